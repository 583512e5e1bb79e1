"""Joins the small packs of batches into larger ones, in the background.

Each batch writes a pack of its own, and git and all readers slow down with the number of packs. Joining is safe at any
time: packs never change, the joined pack is durable before the small ones are deleted, and maintenance, which also
deletes packs, takes turns with it by a lock file.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from jobserver.store.git import packs
from jobserver.store.git.repack import delete
from jobserver.worker import Worker

_PACKS_TO_JOIN = 100


@contextlib.contextmanager
def maintaining(path: Path, wait: bool = True) -> Iterator[bool]:
    """Holds the lock file of everything that deletes packs; yields False if it is held elsewhere and not ``wait``."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


class Compactor:
    """``folder`` is ``objects/pack``. The thread starts when there is first something to do."""

    def __init__(self, folder: Path, lock: Path) -> None:
        self._folder, self._lock = folder, lock
        self._small: list[Path] = []
        self._worker = Worker("compactor", self._join)

    def add(self, stem: Path) -> None:
        """Adds a small pack that is complete. Called by one thread at a time."""
        self._small.append(stem)
        if len(self._small) >= _PACKS_TO_JOIN:
            self._worker.start(delay=None)
            self._worker.wake()

    def close(self) -> None:
        self._worker.close()

    def _join(self) -> None:
        """Packs that can't be joined now are left to maintenance."""
        stems, self._small = self._small, []
        with contextlib.suppress(OSError, ValueError), maintaining(self._lock, wait=False) as is_locked:
            if is_locked:
                join(stems, self._folder)


def join(stems: list[Path], folder: Path) -> None:
    """Joins the packs into one and deletes them. Raises OSError or ValueError with all of them still there."""
    joined = packs.join(stems, folder)
    if joined is not None:
        for stem in stems:
            if stem != joined:
                delete(stem)
