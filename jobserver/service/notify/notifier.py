"""Finds out what happened on the branches since the last time, and queues the messages about it in the outbox.

The private store records how far the notifier has got, in the same transaction as the messages, so a crash loses and
repeats nothing. People get one email for each job request, however often it is reopened, and one for each invitation.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Area, Kind
from jobserver.domain.members import Invitation
from jobserver.domain.users import User
from jobserver.errors import Error
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify import expiring_token, finished, first_login, invitation, mail
from jobserver.service.notify.invitation import ProjectInvitation
from jobserver.service.notify.mail import Mail
from jobserver.service.notify.outbox import Message, Outbox
from jobserver.service.writes.job_requests import RequestWithJobs, with_jobs
from jobserver.store.git.diff import diff
from jobserver.store.git.objects import Objects
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.repo import StateRepo
from jobserver.worker import Worker

_log = logging.getLogger(__name__)
_CHECK_SECONDS = 5.0
_TOKENS_EVERY = timedelta(hours=1)


class Notifier:
    """`wake`: a ref moved. ``link``: the page where an invitation to a project is accepted."""

    def __init__(
        self,
        repo: StateRepo,
        private: PrivateStore,
        outbox: Outbox,
        base_url: str,
        clock: Callable[[], datetime],
        link: Callable[[str, Invitation], str],
    ) -> None:
        self._repo, self._private, self._outbox = repo, private, outbox
        self._base_url, self._clock, self._link = base_url, clock, link
        self._tokens_due: datetime | None = None
        self._objects = Objects(repo.path)
        self._worker = Worker("notifier", self._step)
        self.start, self.wake = self._worker.start, self._worker.wake

    def close(self) -> None:
        self._worker.close(run_again=True)
        self._objects.close()

    def _step(self) -> float:
        self.queue_news()
        return _CHECK_SECONDS

    def queue_news(self) -> None:
        """Queues the messages about everything that is new. Raises `Error` if the private store can't be used."""
        for branch, tip in self._repo.writer.refs.branches().items():
            if branch != layout.MAIN and layout.branch_backend(branch) is None:
                continue
            known = self._private.notified(branch)
            if known == tip:
                continue
            # Of a branch that is new to this server, another server sent the messages.
            messages = self._messages(branch, known, tip) if known is not None else []
            self._outbox.queue(messages, self._private.set_notified(branch, tip))
        self._queue_token_warnings()

    def _messages(self, branch: str, old: str, new: str) -> list[Message]:
        """About what happened on the branch between these commits."""
        try:
            before, after = (Head.read(branch, tip, self._objects).root for tip in (old, new))
            if branch == layout.MAIN:
                invitations = list(invitation.new_invitations(self._objects, before, after))
                users = list(first_login.first_logins(self._objects, before, after))
            else:
                paths = [change.path for change in diff(self._objects, before, after) if change.new is not None]
        except (Error, KeyError, ValueError) as error:
            _log.warning("no messages are sent about %s, because the branch can't be read: %s", branch, error)
            return []
        if branch == layout.MAIN:
            return [*self._about_invitations(invitations), *self._about_first_logins(users, new)]
        return self._about_finished(self._finished(branch, new, paths))

    def _finished(self, branch: str, tip: str, paths: Iterable[str]) -> list[RequestWithJobs]:
        """The job requests among these paths that are in the archive."""
        places = {
            where.place
            for path in paths
            if (where := layout.parse_path(branch, path)) is not None
            and where.kind is Kind.REQUEST
            and where.place is not None
            and where.place.area is Area.ARCHIVE
        }
        if not places:
            return []

        def read(state: Snapshot) -> list[RequestWithJobs]:
            requests = [with_jobs(state, state.find(place.identifier)) for place in places]
            return [request for request in requests if request is not None]

        return self._repo.writer.read(branch, read, commit=tip)

    def _about_finished(self, requests: Iterable[RequestWithJobs]) -> list[Message]:
        messages: list[Message] = []
        for request in requests:
            document = request.stored.request
            if document.will_notify:
                content = finished.email(request, self._base_url)
                subject = f"job request {document.identifier}"
                messages += self._email(document.identifier, document.created_by, subject, content)
        return messages

    def _about_invitations(self, invitations: Iterable[ProjectInvitation]) -> list[Message]:
        messages: list[Message] = []
        for new in invitations:
            content = invitation.email(new, self._link(new.project, new.invitation))
            messages += self._email(new.mark, new.invitation.username, "an invitation", content)
        return messages

    def _about_first_logins(self, users: Iterable[User], tip: str) -> list[Message]:
        messages: list[Message] = []
        for user in users:
            admins = self._repo.writer.read(
                layout.MAIN, lambda state: first_login.super_users(state.users()), commit=tip
            )
            content = first_login.email(user, self._base_url)
            for admin in admins:
                mark = f"bound/{user.username}/{user.github_id}/{admin}"
                messages += self._email(mark, admin, f"the first login of {user.username}", content)
        return messages

    def _queue_token_warnings(self) -> None:
        """One email for each token that expires soon. No commit announces that, so every user is read, once an hour."""
        now = self._clock()
        if self._tokens_due is not None and now < self._tokens_due:
            return
        users = self._repo.writer.read(layout.MAIN, lambda state: list(state.users()))
        messages: list[Message] = []
        for user, token in expiring_token.expiring_tokens(users, now):
            content = expiring_token.email(token, self._base_url)
            mark = f"token/{user.username}/{token.sha256}"
            messages += self._email(mark, user.username, "a warning about a token", content)
        if messages:
            self._outbox.queue(messages)
        self._tokens_due = now + _TOKENS_EVERY

    def _email(self, mark: str, username: str, subject: str, content: Mail) -> list[Message]:
        """None if the person has no address."""
        return [mail.queued(mark, username, subject, content)] if self._private.email(username) else []
