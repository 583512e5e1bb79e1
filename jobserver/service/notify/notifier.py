"""Finds out what happened on the branches since the last time, and queues the messages about it in the outbox.

The private store records how far the notifier has got, in the same transaction as the messages, so a crash loses and
repeats nothing. People get one email for each job request, however often it is reopened, and one for each invitation.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Area, Kind
from jobserver.domain.job_requests import lifecycle
from jobserver.errors import Code, Error
from jobserver.service.accounts.private_store import PrivateStore, Statement
from jobserver.service.notify.email import first_login, invitation
from jobserver.service.notify.news import MessageWriter, News
from jobserver.service.notify.outbox import Message, Outbox
from jobserver.service.notify.release_events import new_events
from jobserver.service.writes.job_requests import RequestWithJobs, with_cancellers, with_jobs
from jobserver.store.git.diff import diff
from jobserver.store.git.objects import Objects
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.repo import StateRepo
from jobserver.worker import Worker

_log = logging.getLogger(__name__)
_CHECK_SECONDS = 5.0
_SETTLE_SECONDS = 0.2  # one transaction for the commits of a busy moment


class Notifier:
    """`wake`: a ref moved."""

    def __init__(
        self, repo: StateRepo, private: PrivateStore, outbox: Outbox, writers: Sequence[MessageWriter]
    ) -> None:
        self._repo, self._private, self._outbox, self._writers = repo, private, outbox, writers
        self._is_idle = False
        self._objects = Objects(repo.path)
        self._worker = Worker("notifier", self._step, _SETTLE_SECONDS)
        self.start, self.wake = self._worker.start, self._worker.wake

    def close(self) -> None:
        self._worker.close(run_again=True)
        self._objects.close()

    def _step(self) -> float:
        self.queue_news()
        return _CHECK_SECONDS

    def queue_news(self) -> None:
        """Queues the messages about everything that is new. Raises `Error` if the private store can't be used."""
        writers = [writer for writer in self._writers if writer.is_needed()]
        if not writers:
            if not self._is_idle:
                self._private.run("DELETE FROM notified")  # or else the first receiver would get the old news
            self._is_idle = True
            return
        self._is_idle = False
        for branch, tip in self._repo.writer.refs.branches().items():
            if branch != layout.MAIN and layout.branch_backend(branch) is None:
                continue
            known = self._private.notified(branch)
            if known == tip:
                continue
            # Of a branch that is new to this server, another server sent the messages.
            news = self._news(branch, known, tip) if known is not None else News(branch, tip)
            if news is None:
                continue
            messages = [message for writer in writers for message in writer.about(news)]
            self._outbox.queue(messages, self._private.set_notified(branch, tip))
        for writer in writers:
            self._queue_periodic(*writer.periodic())

    def _queue_periodic(self, messages: Sequence[Message], statements: Sequence[Statement]) -> None:
        if messages or statements:
            self._outbox.queue(messages, *statements)

    def _news(self, branch: str, old: str, new: str) -> News | None:
        """What happened on the branch between these commits; None if it can't be read now, but perhaps later."""
        for is_last in (False, True):
            try:
                return self._read_news(branch, old, new)
            except KeyError as error:  # git joins packs meanwhile; or history was replaced, which stays so
                problem: Exception = error
                if is_last:
                    break
                self._objects.forget()
            except (Error, ValueError) as error:
                problem = error
                break
        if isinstance(problem, Error) and problem.code is Code.UNAVAILABLE:
            _log.warning("messages about %s wait, because the branch can't be read now: %s", branch, problem)
            return None
        _log.warning("no messages are sent about %s, because the branch can't be read: %s", branch, problem)
        return News(branch, new)

    def _read_news(self, branch: str, old: str, new: str) -> News:
        before, after = (Head.read(branch, tip, self._objects).root for tip in (old, new))
        if branch == layout.MAIN:
            invitations = list(invitation.new_invitations(self._objects, before, after))
            users = list(first_login.first_logins(self._objects, before, after))
            return News(branch, new, invitations=invitations, first_logins=users)
        paths = [change.path for change in diff(self._objects, before, after) if change.new is not None]
        releases = new_events(self._repo, branch, old, new, paths)
        return News(branch, new, finished=self._finished(branch, new, paths), releases=releases)

    def _finished(self, branch: str, tip: str, paths: Iterable[str]) -> list[RequestWithJobs]:
        """The job requests among these paths that are in the archive, in the order in which they finished."""
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
            return sorted((request for request in requests if request is not None), key=_finished_at)

        finished = self._repo.writer.read(branch, read, commit=tip)
        return [with_cancellers(self._repo.path, tip, request) for request in finished]


def _finished_at(request: RequestWithJobs) -> tuple[datetime, str]:
    document = request.stored.request
    return lifecycle.newest(request.jobs) or document.created_at, document.identifier
