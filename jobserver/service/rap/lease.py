"""Which of several servers calls the controllers: the one that holds the lease.

Servers of one machine take a lock on a file, which the kernel gives back when its holder ends, however it ends. Servers
with clones of a hosted repository also move a ref there, by compare-and-swap: the holder moves it every few seconds,
and another takes it once it has not moved for long enough. No clock is compared with another, and no commit is made.
"""

import contextlib
import fcntl
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Protocol, TextIO

from jobserver.errors import Error
from jobserver.worker import Worker

_log = logging.getLogger(__name__)
REF = "refs/jobserver/controllers"
RENEW_SECONDS = 20.0
HOLD_SECONDS = 60.0  # a holder that could not renew for this long has lost it; the others wait for as long again
_VALUES = 64  # so that others see each move, and the host keeps no more than these small objects of a process


class LeaseRef(Protocol):
    """One ref of the hosted repository. `read` raises `Error` (unavailable) without an answer; whether a move was made,
    only `read` says."""

    def object_of(self, text: str) -> str:
        """The id of an object with this text, which the repository here has from now on."""

    def read(self) -> str:
        """The object's id; empty if there is no such ref."""

    def move(self, old: str, new: str) -> None:
        """Moves it from ``old`` to ``new``, and nowhere if it is elsewhere. Empty: there is no such ref."""


class Lease:
    """Thread-safe. ``file``: the lock of this machine. ``shared`` is None without a hosted repository."""

    def __init__(
        self,
        file: Path,
        server: str = "",
        shared: LeaseRef | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._path, self._shared, self._clock = file, shared, clock
        self._holder = f"{server} {secrets.token_hex(8)}"  # copies of a machine have the same server id
        self._file: TextIO | None = None
        self._value, self._number = "", 0
        self._own: set[str] = set()
        self._seen, self._seen_at = "", clock()
        self._until = 0.0
        self._worker = Worker("lease", self.step)

    def start(self) -> None:
        self._worker.start()

    def close(self, gives_back: bool = True) -> None:
        self._worker.close(patience=2.0)
        if gives_back and self._shared is not None and self.is_held():
            with contextlib.suppress(Error):
                self._shared.move(self._value, "")
        self._until = 0.0
        if gives_back and self._file is not None:
            self._file.close()
            self._file = None

    def is_held(self) -> bool:
        """Whether this server is the one that calls."""
        return self._file is not None and (self._shared is None or self._clock() < self._until)

    def step(self) -> float:
        """Takes or renews the lease, as far as possible now. Returns the seconds until the next step."""
        if self._file is None and not self._lock():
            return 1.0
        if self._shared is None:
            return RENEW_SECONDS
        began = self._clock()
        try:
            if self._value:
                self._move(self._value, began)
            else:
                self._try_to_take(began)
        except Error as error:
            _log.warning("the lease on the controllers: %s", error)
        return RENEW_SECONDS if self._value else RENEW_SECONDS / 4

    def _lock(self) -> bool:
        file = self._path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another process of this machine holds it
            file.close()
            return False
        self._file = file
        return True

    def _try_to_take(self, now: float) -> None:
        assert self._shared is not None
        try:
            value = self._shared.read()
        except Error:
            self._seen = ""  # it may move meanwhile, even to the same value again
            raise
        if value and value != self._seen:
            self._seen, self._seen_at = value, now
        elif not value or now - self._seen_at >= 2 * HOLD_SECONDS:
            self._move(value, now)

    def _move(self, old: str, began: float) -> None:
        assert self._shared is not None
        self._number = (self._number + 1) % _VALUES
        new = self._shared.object_of(f"{self._holder} {self._number}")
        self._own.add(new)
        self._shared.move(old, new)
        value = self._shared.read()
        if value == new:
            if not self._value:
                _log.info("this server calls the controllers")
            self._value, self._until = value, began + HOLD_SECONDS
        elif value in self._own:  # an earlier move was made after all; the next step goes on from there
            self._value = value
        else:
            if self._value:
                _log.warning("another server calls the controllers now")
            self._value, self._until = "", 0.0
            self._seen, self._seen_at = value, began
