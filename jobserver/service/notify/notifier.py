"""Finds out what happened on the branches since the last look, and notifies people by email.

The private store records how far the notifier has got, so a restart loses nothing. People get one email for each job
request, however often it is reopened, and one for each invitation.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Area, Kind
from jobserver.domain.members import Invitation
from jobserver.domain.tokens import PersonalToken
from jobserver.domain.users import User
from jobserver.errors import Error
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify import expiring_token, finished, first_login, invitation
from jobserver.service.notify.invitation import ProjectInvitation
from jobserver.service.notify.mail import Mailer
from jobserver.service.notify.outbox import Outbox
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
        mailer: Mailer,
        base_url: str,
        clock: Callable[[], datetime],
        link: Callable[[str, Invitation], str],
    ) -> None:
        self._repo, self._private, self._base_url, self._link = repo, private, base_url, link
        self._clock = clock
        self._tokens_due: datetime | None = None
        self._outbox = Outbox(private, mailer, clock)
        self._objects = Objects(repo.path)
        self._worker = Worker("email", self._step)
        self.start, self.wake, self.problems = self._worker.start, self._worker.wake, self._outbox.problems

    def close(self) -> None:
        """Sends a last time."""
        self._worker.close(run_again=True)
        self._objects.close()

    def _step(self) -> float:
        self.send_due()
        return _CHECK_SECONDS

    def send_due(self) -> None:
        """Sends what is due now. Raises `Error` if the private store can't be used."""
        for branch, tip in self._repo.writer.refs.branches().items():
            if branch != layout.MAIN and layout.branch_backend(branch) is None:
                continue
            known = self._private.notified(branch)
            if known == tip:
                continue
            if known is not None:  # a branch that is new to this server: others sent the emails
                self._notify(branch, known, tip)
            self._private.set_notified(branch, tip)
        self._warn_of_expiry()
        self._outbox.send_again()

    def _warn_of_expiry(self) -> None:
        """One email for each token that expires soon. No commit announces that, so every user is read, once an hour."""
        now = self._clock()
        if self._tokens_due is not None and now < self._tokens_due:
            return
        self._tokens_due = now + _TOKENS_EVERY
        users = self._repo.writer.read(layout.MAIN, lambda state: list(state.users()))
        for user, token in expiring_token.expiring_tokens(users, now):
            self._notify_owner(user, token)

    def _notify_owner(self, user: User, token: PersonalToken) -> None:
        mark = f"token/{user.username}/{token.sha256}"
        self._outbox.send_once(mark, user.username, lambda to: expiring_token.email(token, to, self._base_url))

    def _notify(self, branch: str, old: str, new: str) -> None:
        """Of what happened on the branch between these commits."""
        invitations: list[ProjectInvitation] = []
        users: list[User] = []
        paths: list[str] = []
        try:
            before, after = (Head.read(branch, tip, self._objects).root for tip in (old, new))
            if branch == layout.MAIN:
                invitations = list(invitation.new_invitations(self._objects, before, after))
                users = list(first_login.first_logins(self._objects, before, after))
            else:
                paths = [change.path for change in diff(self._objects, before, after) if change.new is not None]
        except (Error, KeyError, ValueError) as error:
            _log.warning("emails about %s can't be sent, because the branch can't be read: %s", branch, error)
        for new_invitation in invitations:
            self._notify_invited(new_invitation)
        for user in users:
            self._notify_super_users(user, new)
        for request in self._finished(branch, new, paths):
            self._notify_finished(request)

    def _finished(self, branch: str, tip: str, paths: Iterable[str]) -> list[RequestWithJobs]:
        """The job requests among these paths that are in the archive, if somebody asked to be notified."""
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
            return [request for request in requests if request is not None and request.stored.request.will_notify]

        return self._repo.writer.read(branch, read, commit=tip)

    def _notify_finished(self, request: RequestWithJobs) -> None:
        document = request.stored.request
        self._outbox.send_once(
            document.identifier, document.created_by, lambda to: finished.email(request, to, self._base_url)
        )

    def _notify_invited(self, new: ProjectInvitation) -> None:
        url = self._link(new.project, new.invitation)
        self._outbox.send_once(new.mark, new.invitation.username, lambda to: invitation.email(new, to, url))

    def _notify_super_users(self, user: User, tip: str) -> None:
        admins = self._repo.writer.read(layout.MAIN, lambda state: first_login.super_users(state.users()), commit=tip)
        for admin in admins:
            mark = f"bound/{user.username}/{user.github_id}/{admin}"
            self._outbox.send_once(mark, admin, lambda to: first_login.email(user, to, self._base_url))
