"""Joins the small packs of batches into larger ones, beside the writer, so that no commit waits for it.

Each batch leaves a pack of its own; git and all readers slow down with their number. Safe at any time: packs never
change, the joined one is durable before the small ones go, and maintenance, which also takes packs away, has its turn
by the same lock file.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from jobserver.store.git import packs

_AT = 100  # packs


@contextlib.contextmanager
def maintaining(path: Path, wait: bool = True) -> Iterator[bool]:
    """Holds the lock file of whatever takes packs away; yields False if another has it and ``wait`` is not set."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


class Compactor:
    """``folder`` is ``objects/pack``. The thread is started when there is first something to do."""

    def __init__(self, folder: Path, lock: Path) -> None:
        self._folder, self._lock = folder, lock
        self._small: list[Path] = []
        self._ready = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def add(self, stem: Path) -> None:
        """One more small pack, whose objects a ref has now. Called by one thread at a time."""
        self._small.append(stem)
        if len(self._small) >= _AT:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="joiner", daemon=True)
                self._thread.start()
            self._ready.set()

    def close(self) -> None:
        self._closing = True
        self._ready.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._ready.wait()
            self._ready.clear()
            if self._closing:
                return
            stems, self._small = self._small, []
            with contextlib.suppress(OSError, ValueError), maintaining(self._lock, wait=False) as ours:
                if ours:
                    join(stems, self._folder)


def join(stems: list[Path], folder: Path) -> None:
    """Makes one pack of these and takes them away. Raises OSError or ValueError with all of them still there."""
    joined = packs.join(stems, folder)
    if joined is not None:
        for stem in stems:
            if stem != joined:
                # The index first: git must not look for a pack that is gone.
                for suffix in (".idx", ".pack"):
                    stem.with_suffix(suffix).unlink(missing_ok=True)
