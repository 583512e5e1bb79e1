"""Writes the emails about what happened."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from jobserver.domain.base import layout
from jobserver.domain.governance.readers import reads_everything, reads_workspace
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.members import Invitation
from jobserver.domain.users import User
from jobserver.service.accounts.private_store import PrivateStore, Statement
from jobserver.service.notify.email import expiring_token, finished, first_login, invitation, mail, release_request
from jobserver.service.notify.email.mail import Mail
from jobserver.service.notify.news import News
from jobserver.service.notify.outbox import Message
from jobserver.service.notify.subscriptions import Subscriber, Subscriptions
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.repo import StateRepo

_TOKENS_EVERY = timedelta(hours=1)


class EmailWriter:
    """``link``: the page where an invitation to a project is accepted. ``earlier``: the outcome of the request before
    one; empty if there is none. ``limits_reading``: the setting LIMIT_READING."""

    def __init__(
        self,
        repo: StateRepo,
        private: PrivateStore,
        base_url: str,
        clock: Callable[[], datetime],
        link: Callable[[str, Invitation], str],
        earlier: Callable[[JobRequest], str] = lambda request: "",
        limits_reading: bool = False,
    ) -> None:
        self._repo, self._private, self._base_url = repo, private, base_url
        self._clock, self._link, self._earlier = clock, link, earlier
        self._subscriptions = Subscriptions(private)
        self._limits_reading = limits_reading
        self._tokens_due: datetime | None = None

    def is_needed(self) -> bool:
        return True

    def about(self, news: News) -> list[Message]:
        return [
            *self._about_finished(news),
            *self._about_invitations(news),
            *self._about_first_logins(news),
            *self._about_releases(news),
        ]

    def _about_finished(self, news: News) -> list[Message]:
        messages: list[Message] = []
        for request in news.finished:
            document = request.stored.request
            owner = [Subscriber(document.created_by, "")] if document.will_notify else []
            names = {subscriber.username for subscriber in owner}
            subjects = (f"request/{document.identifier}", f"workspace/{document.workspace.name}")
            others = [subscriber for subscriber in self._subscriptions.of(subjects) if subscriber.username not in names]
            if not owner and not others:
                continue
            earlier = self._earlier(document)
            for subscriber in (*owner, *self._active(others, document.workspace.name)):
                if self._subscriptions.choice(subscriber.username).covers(request.outcome, earlier):
                    mark = f"{document.identifier}/{subscriber.username}" if subscriber.subject else document.identifier
                    content = finished.email(request, self._base_url, subscriber.subject)
                    messages += self._email(mark, subscriber.username, f"job request {document.identifier}", content)
        return messages

    def _active(self, subscribers: Sequence[Subscriber], workspace: str) -> list[Subscriber]:
        """Those whose account is not disabled, and who may read about the workspace."""

        def is_told(state: Snapshot, user: User | None) -> bool:
            if user is None or not user.active:
                return False
            document = state.workspace(workspace) if self._limits_reading else None
            return not self._limits_reading or (
                reads_workspace(state, user, document) if document is not None else reads_everything(user)
            )

        def read(state: Snapshot) -> list[Subscriber]:
            return [subscriber for subscriber in subscribers if is_told(state, state.user(subscriber.username))]

        return self._repo.writer.read(layout.MAIN, read) if subscribers else []

    def _about_invitations(self, news: News) -> list[Message]:
        messages: list[Message] = []
        for new in news.invitations:
            content = invitation.email(new, self._link(new.project, new.invitation))
            messages += self._email(new.mark, new.invitation.username, "an invitation", content)
        return messages

    def _about_first_logins(self, news: News) -> list[Message]:
        messages: list[Message] = []
        for user in news.first_logins:
            admins = self._repo.writer.read(
                layout.MAIN, lambda state: first_login.super_users(state.users()), commit=news.tip
            )
            content = first_login.email(user, self._base_url)
            for admin in admins:
                mark = f"bound/{user.username}/{user.github_id}/{admin}"
                messages += self._email(mark, admin, f"the first login of {user.username}", content)
        return messages

    def _about_releases(self, news: News) -> list[Message]:
        messages: list[Message] = []
        for event in news.releases:
            content = release_request.email(event, self._base_url)
            if content is not None:
                subject = f"release request {event.release.identifier}"
                messages += self._email(f"release/{event.mark}", event.release.author, subject, content)
        return messages

    def periodic(self) -> tuple[list[Message], list[Statement]]:
        """One email for each token that expires soon. No commit announces that, so every user is read, once an hour."""
        now = self._clock()
        messages: list[Message] = []
        if self._tokens_due is None or now >= self._tokens_due:
            users = self._repo.writer.read(layout.MAIN, lambda state: list(state.users()))
            for user, token in expiring_token.expiring_tokens(users, now):
                content = expiring_token.email(token, self._base_url)
                mark = f"token/{user.username}/{token.sha256}"
                messages += self._email(mark, user.username, "a warning about a token", content)
            self._tokens_due = now + _TOKENS_EVERY
        return messages, []

    def _email(self, mark: str, username: str, subject: str, content: Mail) -> list[Message]:
        """None if the person has no address."""
        return [mail.queued(mark, username, subject, content)] if self._private.email(username) else []
