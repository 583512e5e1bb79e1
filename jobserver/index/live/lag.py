"""Whether the index falls behind the branches, and why."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from jobserver.errors import unavailable
from jobserver.store.fs import reason

_log = logging.getLogger(__name__)


class Lag:
    """``problem`` says why readers may get older data than the branches have; it is empty while they do not."""

    def __init__(self) -> None:
        self.problem = ""

    @contextmanager
    def tolerated(self, branch: str) -> Iterator[None]:
        """For code that brings something up to the tip of a branch. A full disk must not stop reads: they get older
        data, and the next reader tries again.

        Raises `Error` (unavailable) if another process writes for too long. Older data would then hide a write that
        was already confirmed to the caller.
        """
        try:
            yield
            self.problem = ""
        except (sqlite3.Error, OSError, KeyError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise unavailable(f"another process is writing the index, try again: {reason(error)}") from None
            self.problem = f"the index can't follow {branch}: {reason(error)}"
            _log.warning("%s: %s", self.problem, error)
