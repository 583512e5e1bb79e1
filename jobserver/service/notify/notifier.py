"""Finds what finished, and who was invited, since it last looked, by the difference of two trees, and writes to them.

Where it stands is kept in the private store, so that a restart loses nothing but what waits to be tried again; each
request is written about once, however often it is reopened, and each invitation. What can't be sent now is tried again
after growing pauses, for a day at most; what is refused for good is given up at once.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Area, Kind
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.members import Invitation
from jobserver.domain.users import User
from jobserver.errors import Code, Error
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify import first_login as bound
from jobserver.service.notify import invitation as invited
from jobserver.service.notify.invitation import ProjectInvitation
from jobserver.service.notify.mail import Mail, Mailer
from jobserver.service.writes.job_requests import RequestWithJobs, with_jobs
from jobserver.store.git.diff import diff
from jobserver.store.git.objects import Objects
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.repo import StateRepo

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 5.0
_REMEMBERED = timedelta(days=90)
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=1)
_GIVEN_UP = timedelta(days=1)
_NAMED = 20  # emails that were given up, on /health-check/


def about(seen: RequestWithJobs, to: str, base_url: str) -> Mail:
    """What a researcher is told. No message of a job: those may say more than may leave the page."""
    request, jobs = seen.stored.request, seen.jobs
    status = lifecycle.request_status([job.status for job in jobs])
    rows = [f"  {job.action}: {job.status}" for job in sorted(jobs, key=lambda job: job.action)]
    body = "\n".join(
        [
            f"The jobs that you asked for on {request.workspace.name} ({request.backend}) have {status}.",
            "",
            *rows,
            "",
            f"{base_url}/job-requests/{request.identifier}/",
            "",
            f"You get this because you asked to be told. Addresses: {base_url}/settings/",
        ]
    )
    return Mail(to, f"{request.workspace.name}: {status}", body + "\n")


@dataclass(frozen=True, slots=True)
class _Unsent:
    """An email that is to be tried again at ``due``. ``since`` it has been tried; ``problem`` is the last answer."""

    mail: Mail
    since: datetime
    due: datetime
    problem: str


def _subject(mark: str) -> str:
    """What an email is about, in words that anybody may read: who was invited to what is for those two only."""
    return "an invitation" if mark.startswith("invitation/") else f"job request {mark}"


class Notifier:
    """A thread of its own. ``moved`` is a hint. ``link``: where an invitation to a project is accepted."""

    def __init__(
        self,
        repo: StateRepo,
        private: PrivateStore,
        mailer: Mailer,
        base_url: str,
        clock: Callable[[], datetime],
        link: Callable[[str, Invitation], str],
    ) -> None:
        self._repo, self._private, self._mailer = repo, private, mailer
        self._base_url, self._clock, self._link = base_url, clock, link
        self._objects = Objects(repo.path)
        self._unsent: dict[str, _Unsent] = {}
        self._given_up: deque[str] = deque(maxlen=_NAMED)
        self._hint = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._hint.set()

    def problems(self) -> list[str]:
        """What was given up since the start, and what is still tried, without addresses; thread-safe."""
        waiting = [f"{_subject(mark)}: {one.problem}; to be tried again" for mark, one in list(self._unsent.items())]
        return [*self._given_up, *waiting[:_NAMED]]

    def close(self) -> None:
        self._closing = True
        self._hint.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._objects.close()

    def send_due(self) -> None:
        """Sends what is due now. Raises `Error` where the private store can't be used."""
        now = self._clock()
        late = [(mark, one) for mark, one in self._unsent.items() if one.due <= now]
        for branch, tip in self._repo.writer.refs.branches().items():
            if branch != layout.MAIN and layout.branch_backend(branch) is None:
                continue
            known = self._private.notified(branch)
            if known == tip:
                continue
            if known is not None:  # otherwise this is new here, and what is old was told by others
                self._tell_of(branch, known, tip)
            self._private.set_notified(branch, tip)
        for mark, one in late:
            self._send(mark, one.mail, one.since)

    def _tell_of(self, branch: str, old: str, new: str) -> None:
        """Of what happened on the branch between these commits."""
        guests: list[ProjectInvitation] = []
        owned: list[User] = []
        paths: list[str] = []
        try:
            before, after = (Head.read(branch, tip, self._objects).root for tip in (old, new))
            if branch == layout.MAIN:
                guests = list(invited.new_invitations(self._objects, before, after))
                owned = list(bound.first_logins(self._objects, before, after))
            else:
                paths = [one.path for one in diff(self._objects, before, after) if one.new is not None]
        except (Error, KeyError, ValueError) as error:
            _log.warning("%s can't be looked through for whom to tell: %s", branch, error)
        for guest in guests:
            self._tell_invited(guest)
        for user in owned:
            self._tell_bound(user, new)
        for seen in self._finished(branch, new, paths):
            self._tell(seen)

    def _finished(self, branch: str, tip: str, paths: Iterable[str]) -> list[RequestWithJobs]:
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
            found = [with_jobs(state, state.find(place.identifier)) for place in places]
            return [seen for seen in found if seen is not None and seen.stored.request.will_notify]

        return self._repo.writer.read(branch, read, commit=tip)

    def _tell(self, seen: RequestWithJobs) -> None:
        request = seen.stored.request
        self._write(request.identifier, request.created_by, lambda to: about(seen, to, self._base_url))

    def _tell_invited(self, found: ProjectInvitation) -> None:
        url = self._link(found.project, found.invitation)
        self._write(found.mark, found.invitation.username, lambda to: invited.email(found, to, url))

    def _tell_bound(self, user: User, tip: str) -> None:
        told = self._repo.writer.read(layout.MAIN, lambda state: bound.super_users(state.users()), commit=tip)
        for admin in told:
            mark = f"bound/{user.username}/{user.github_id}/{admin}"
            self._write(mark, admin, lambda to: bound.email(user, to, self._base_url))

    def _write(self, mark: str, username: str, mail: Callable[[str], Mail]) -> None:
        """Once for each mark, to who has an address."""
        to, now = self._private.email(username), self._clock()
        until = int((now + _REMEMBERED).timestamp())
        if to and self._private.use_up(f"mail/{mark}", until, int(now.timestamp())):
            self._send(mark, mail(to), now)

    def _send(self, mark: str, mail: Mail, since: datetime) -> None:
        self._unsent.pop(mark, None)
        try:
            self._mailer.send(mail)
        except Error as error:
            _log.warning("%s: %s", mark, error)
            tried = self._clock() - since
            if error.code is not Code.UNAVAILABLE or tried >= _GIVEN_UP:
                self._given_up.append(f"{_subject(mark)}: {error.message}; given up")
                return
            pause = min(max(tried, _FIRST_PAUSE), _LONGEST_PAUSE)  # as long again as it has been tried: it doubles
            self._unsent[mark] = _Unsent(mail, since, since + tried + pause, error.message)

    def _run(self) -> None:
        while True:  # looks first: where a branch stands now is what is old, and not what the first hint brings
            try:
                self.send_due()
            except (Error, OSError) as error:
                _log.warning("email: %s", error)
            except Exception:  # noqa: BLE001 - this thread must outlive a bug, which is logged
                _log.exception("email")
            if self._closing:
                return
            self._hint.wait(_LOOK_SECONDS)
            self._hint.clear()
