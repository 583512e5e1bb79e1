"""The thread that looks on the hosted repository for what other servers wrote."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from jobserver.errors import Error
from jobserver.service.upstream.branches import HostedBranches
from jobserver.service.upstream.status import HostStatus
from jobserver.store.write.writer import Writer

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
        self._hint = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self, seconds: float) -> None:
        """``seconds``: the interval."""
        self._thread = threading.Thread(target=self._run, args=(seconds,), name="hosted", daemon=True)
        self._thread.start()

    def hint(self) -> None:
        """A branch may have moved on the host."""
        self._hint.set()

    def close(self) -> None:
        self._closing = True
        self._hint.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, seconds: float) -> None:
        while not self._closing:
            self._hint.wait(seconds)
            self._hint.clear()
            try:
                self._look()
            except (Error, OSError) as error:
                _log.info("Could not follow the hosted repository: %s", error)
            except Exception:  # noqa: BLE001 - a bug is logged, and must not end this thread
                _log.exception("Could not follow the hosted repository")

    def _look(self) -> None:
        asked = self._clock()
        if not self._branches.has_news(self._branches.tips()):
            self._status.seen(asked)
            return
        with self._writer.locked():
            self._refresh()
