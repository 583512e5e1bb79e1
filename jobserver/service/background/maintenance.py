"""Maintenance by the server itself, hourly and whenever packs have become many.

The writer joins its own small packs; those of the command line, of pushes, of fetches and of servers that were killed
stay, and git and every reader slow down with their number. Any number of servers may do this: the repository knows
when it was last maintained, and by a lock only one does it at a time.
"""

import logging
import threading
import time

from jobserver.errors import Error
from jobserver.store.repo import StateRepo

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 30.0
_HOUR = 3600.0
_PACKS = 200  # more than were left by the last time


class Maintenance:
    """A thread of its own; `close` waits for what it is doing."""

    def __init__(self, repo: StateRepo, look_seconds: float = _LOOK_SECONDS) -> None:
        self._repo, self._look_seconds = repo, look_seconds
        self._left = 0  # packs after the last time: what can't be joined must not be tried all the time
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()

    def is_due(self) -> bool:
        """A new repository is not: its first hour begins with it."""
        return self._repo.pack_count() >= self._left + _PACKS or time.time() - self._repo.maintained_at() > _HOUR

    def _run(self) -> None:
        while not self._closing.wait(self._look_seconds):
            try:
                if self.is_due():
                    self._repo.maintain()
                    self._left = self._repo.pack_count()
            except (Error, OSError) as error:
                _log.warning("maintenance: %s", error)
            except Exception:  # noqa: BLE001 - this thread must outlive a bug, which is logged
                _log.exception("maintenance")
