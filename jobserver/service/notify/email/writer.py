"""Writes the emails about what happened."""

from collections.abc import Callable
from datetime import datetime, timedelta

from jobserver.domain.base import layout
from jobserver.domain.members import Invitation
from jobserver.service.accounts.private_store import PrivateStore, Statement
from jobserver.service.notify.email import expiring_token, finished, first_login, invitation, mail
from jobserver.service.notify.email.mail import Mail
from jobserver.service.notify.news import News
from jobserver.service.notify.outbox import Message
from jobserver.store.repo import StateRepo

_TOKENS_EVERY = timedelta(hours=1)


class EmailWriter:
    """``link``: the page where an invitation to a project is accepted."""

    def __init__(
        self,
        repo: StateRepo,
        private: PrivateStore,
        base_url: str,
        clock: Callable[[], datetime],
        link: Callable[[str, Invitation], str],
    ) -> None:
        self._repo, self._private, self._base_url = repo, private, base_url
        self._clock, self._link = clock, link
        self._tokens_due: datetime | None = None

    def is_needed(self) -> bool:
        return True

    def about(self, news: News) -> list[Message]:
        return [*self._about_finished(news), *self._about_invitations(news), *self._about_first_logins(news)]

    def _about_finished(self, news: News) -> list[Message]:
        messages: list[Message] = []
        for request in news.finished:
            document = request.stored.request
            if document.will_notify:
                content = finished.email(request, self._base_url)
                subject = f"job request {document.identifier}"
                messages += self._email(document.identifier, document.created_by, subject, content)
        return messages

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
