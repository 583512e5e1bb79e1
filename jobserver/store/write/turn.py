"""The turn to write: processes take turns by a lock file, and so do the threads of one process.

Only batches of one process can share a turn, so that one is decided while the one before it lands.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_IN_ONE = 8  # batches; then others get their turn


class Turn:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._descriptor = -1
        self._sharing = self._in_a_row = 0

    @contextmanager
    def alone(self) -> Iterator[None]:
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """For batches: begins a turn, or joins the batch that has it."""
        with self._guard:
            if not self._sharing:
                self._descriptor, self._in_a_row = self._open(), 0
                try:
                    fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                except BaseException:
                    os.close(self._descriptor)
                    raise
            self._sharing += 1
            self._in_a_row += 1
        try:
            yield
        finally:
            with self._guard:
                self._sharing -= 1
                if not self._sharing:
                    os.close(self._descriptor)

    @property
    def takes_more(self) -> bool:
        """Whether another batch may join."""
        return self._in_a_row < MOST_IN_ONE

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
