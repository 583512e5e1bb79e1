"""Finds what finished since it last looked, by the difference of two trees, and writes to who asked for it.

Where it stands is kept in the private store, so that a restart loses nothing; each request is written about once,
however often it is reopened. What can't be sent is tried again, at most a day.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from jobserver.domain import lifecycle, names
from jobserver.domain.names import Area, Kind
from jobserver.errors import Error
from jobserver.service.notify.mail import Mail, Mailer
from jobserver.service.private import PrivateStore
from jobserver.service.requests import Seen, see
from jobserver.store.diff import diff
from jobserver.store.objects import Objects
from jobserver.store.repo import StateRepo
from jobserver.store.snapshot import Head, Snapshot

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 5.0
_REMEMBERED = timedelta(days=90)
_AGAIN_SECONDS = 60.0
_GIVEN_UP = timedelta(days=1)


def about(seen: Seen, to: str, base_url: str) -> Mail:
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


class Notifier:
    """A thread of its own. ``moved`` is a hint."""

    def __init__(
        self, repo: StateRepo, private: PrivateStore, mailer: Mailer, base_url: str, clock: Callable[[], datetime]
    ) -> None:
        self._repo, self._private, self._mailer = repo, private, mailer
        self._base_url, self._clock = base_url, clock
        self._objects = Objects(repo.path)
        self._unsent: dict[str, tuple[Mail, datetime]] = {}
        self._hint = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def moved(self) -> None:
        self._hint.set()

    def close(self) -> None:
        self._closing = True
        self._hint.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._objects.close()

    def look(self) -> None:
        """Sends what is due now. Raises `Error` where the private store can't be used."""
        late = list(self._unsent.items())
        for branch, tip in self._repo.writer.refs.branches().items():
            if names.branch_backend(branch) is None:
                continue
            known = self._private.notified(branch)
            if known == tip:
                continue
            if known is not None:  # otherwise this is new here, and what is old was told by others
                for seen in self._finished(branch, known, tip):
                    self._tell(seen)
            self._private.set_notified(branch, tip)
        for identifier, (mail, since) in late:
            self._send(identifier, mail, since)

    def _finished(self, branch: str, old: str, new: str) -> list[Seen]:
        try:
            before, after = (Head.read(branch, tip, self._objects).root for tip in (old, new))
            found = [one.path for one in diff(self._objects, before, after) if one.new is not None]
        except (Error, KeyError, ValueError) as error:
            _log.warning("%s can't be looked through for what finished: %s", branch, error)
            return []
        places = {
            where.place
            for path in found
            if (where := names.parse_path(branch, path)) is not None
            and where.kind is Kind.REQUEST
            and where.place is not None
            and where.place.area is Area.ARCHIVE
        }

        def read(state: Snapshot) -> list[Seen]:
            found = [see(state, state.find(place.identifier)) for place in places]
            return [seen for seen in found if seen is not None and seen.stored.request.will_notify]

        return self._repo.writer.look(branch, read, at=new)

    def _tell(self, seen: Seen) -> None:
        request = seen.stored.request
        to = self._private.email(request.created_by)
        now = self._clock()
        until = int((now + _REMEMBERED).timestamp())
        if to and self._private.use_up(f"mail/{request.identifier}", until, int(now.timestamp())):
            self._send(request.identifier, about(seen, to, self._base_url), now)

    def _send(self, identifier: str, mail: Mail, since: datetime) -> None:
        self._unsent.pop(identifier, None)
        try:
            self._mailer.send(mail)
        except Error as error:
            _log.warning("%s: %s", identifier, error)
            if self._clock() - since < _GIVEN_UP:
                self._unsent[identifier] = mail, since

    def _run(self) -> None:
        while not self._closing:
            self._hint.wait(_AGAIN_SECONDS if self._unsent else _LOOK_SECONDS)
            self._hint.clear()
            try:
                self.look()
            except (Error, OSError) as error:
                _log.warning("email: %s", error)
            except Exception:  # noqa: BLE001 - this thread must outlive a bug, which is logged
                _log.exception("email")
