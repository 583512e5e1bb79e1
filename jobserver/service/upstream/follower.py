"""The thread that looks on the hosted repository for what other servers wrote."""

import logging
from collections.abc import Callable
from datetime import datetime

from jobserver.errors import Error
from jobserver.service.upstream.branches import HostedBranches
from jobserver.service.upstream.status import HostStatus
from jobserver.store.write.writer import Writer
from jobserver.worker import Worker

_log = logging.getLogger(__name__)


class Follower:
    """Looks at intervals, and at each `hint`. Takes the writer's turn only if a branch moved."""

    def __init__(
        self,
        writer: Writer,
        branches: HostedBranches,
        status: HostStatus,
        clock: Callable[[], datetime],
        refresh: Callable[[], object],
    ) -> None:
        """``refresh`` brings the branches here up to date, in the writer's turn."""
        self._writer, self._branches, self._status = writer, branches, status
        self._clock, self._refresh = clock, refresh
        self._seconds = 0.0
        self._worker = Worker("hosted", self._step)

    def start(self, seconds: float) -> None:
        """``seconds``: the interval."""
        self._seconds = seconds
        self._worker.start(seconds)

    def hint(self) -> None:
        """A branch may have moved on the host."""
        self._worker.wake()

    def close(self) -> None:
        self._worker.close()

    def _step(self) -> float:
        try:
            self._follow()
        except (Error, OSError) as error:  # health checks show an outage; each try of it need not warn
            _log.info("Could not follow the hosted repository: %s", error)
        return self._seconds

    def _follow(self) -> None:
        asked = self._clock()
        if not self._branches.has_news(self._branches.tips()):
            self._status.seen(asked)
            return
        with self._writer.locked():
            self._refresh()
