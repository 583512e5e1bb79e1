"""Maintains the repository every hour, and when there are many packs.

The writer joins its own small packs. Packs of the command line, of pushes, of fetches and of servers that were killed
stay, and their number slows down git and every reader. Any number of servers may do this: the repository records when
it was last maintained, and a lock lets only one server do it at a time.
"""

import time

from jobserver.store.repo import StateRepo
from jobserver.worker import Worker

_CHECK_SECONDS = 30.0
_HOUR = 3600.0
_PACKS = 200  # more than the last maintenance left


class Maintenance:
    """`close` waits for maintenance that is running."""

    def __init__(self, repo: StateRepo, check_seconds: float = _CHECK_SECONDS) -> None:
        self._repo, self._check_seconds = repo, check_seconds
        self._packs_left = 0  # by the last maintenance: packs that can't be joined must not be tried all the time
        self._worker = Worker("maintenance", self._step)
        self.close = self._worker.close

    def start(self) -> None:
        self._worker.start(self._check_seconds)

    def is_due(self) -> bool:
        """False for a new repository: its first hour begins when it is created."""
        return self._repo.pack_count() >= self._packs_left + _PACKS or time.time() - self._repo.maintained_at() > _HOUR

    def _step(self) -> float:
        if self.is_due():
            self._repo.maintain()
            self._packs_left = self._repo.pack_count()
        return self._check_seconds
