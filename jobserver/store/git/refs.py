"""Reads branch tips as they are on disk now, and moves them by compare-and-swap, durably.

Format: gitrepository-layout(5). Takes git's own locks (``<ref>.lock``), so a git process beside us waits or fails. Why
not dulwich: it does not fsync the folder, and it reports a lost race in a way that is easily taken for success.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.errors import unavailable
from jobserver.store.fs import create, sync_folder, write_durably
from jobserver.store.git import locks
from jobserver.store.upstream import Unconfirmed

_HEX = re.compile(rb"[0-9a-f]{40}\n?").fullmatch
_RETRY_SECONDS = 0.1  # what git waits for a lock (core.filesRefLockTimeout)


class Refs:
    def __init__(self, repository: Path) -> None:
        self._root = repository
        self._heads, self._packs = repository / "refs" / "heads", repository / "objects" / "pack"
        self._folder = str(self._heads)
        self._synced: dict[str, str] = {}
        self._files: dict[str, _TipFile] = {}

    def tip(self, branch: str) -> str | None:
        """The commit id (40 hex) of the branch, or None if there is no such branch."""
        for _ in range(2):  # pack-refs may move it from loose to packed between the two reads
            try:
                path = f"{self._folder}/{branch}"
                file = self._files.get(branch)
                if file is None or not file.is_at(path):
                    file = _TipFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
                    if file.tip and layout.is_branch(branch):  # of others there may be very many
                        self._files[branch] = file
                if file.tip:
                    return file.tip
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                pass
            if packed := self._packed().get(branch):
                return packed
        return None

    def durable_tip(self, branch: str) -> str | None:
        """As `tip`, once the tip would survive a power cut: another process may have just renamed it into place."""
        tip = self.tip(branch)
        if tip is not None and self._synced.get(branch) != tip:
            folder = (self._heads / branch).parent
            if folder.is_dir():
                sync_folder(folder)
            self._synced[branch] = tip
        return tip

    def _packed(self) -> dict[str, str]:
        try:
            lines = (self._root / "packed-refs").read_text().splitlines()
        except FileNotFoundError:
            return {}
        prefix = "refs/heads/"
        return {line[41:].removeprefix(prefix): line[:40] for line in lines if line[41:].startswith(prefix)}

    def branches(self) -> dict[str, str]:
        """Every branch of a state repository with its tip. Other branches are left out."""
        tips = self._packed()
        for path in self._heads.rglob("*"):
            name = path.relative_to(self._heads).as_posix()
            if path.is_file() and not name.endswith(".lock") and (tip := self.tip(name)):
                tips[name] = tip
        return {branch: tip for branch, tip in sorted(tips.items()) if layout.is_branch(branch)}

    @contextlib.contextmanager
    def prepared(self, tips: Iterable[str]) -> Iterator[list[int]]:
        """Writes what `move` will need for these new tips; yields descriptors for the caller to sync in one wait with
        other files, so that `move` need not wait for it. Raises OSError."""
        paths = {tip: self._prepared(tip) for tip in tips}
        descriptors: list[int] = []
        try:
            for tip, path in paths.items():
                descriptors.append(create(path, [_line(tip)], mode=0o644, flags=os.O_TRUNC))
            yield descriptors
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
            for path in paths.values():
                with contextlib.suppress(OSError):
                    path.unlink()

    def _prepared(self, tip: str) -> Path:
        """Maintenance removes such files if a killed process left them."""
        return self._packs / f"tmp_ref_{tip}"

    def move(self, branch: str, old: str | None, new: str) -> bool:
        """Moves the tip from ``old`` (None: there must be no such branch) to ``new``; True once that is durable.

        False: the tip is not ``old``, and nothing changed. Raises OSError with nothing changed if the disk refuses,
        `Error` (unavailable) if another process holds the branch's lock, and `Unconfirmed` if the disk did not confirm
        a move that readers can see already; a second try could then do it twice.

        The caller holds the writer's turn.
        """
        path = self._heads / branch
        if not path.parent.is_dir():  # git removes it when it packs all the branches in it
            path.parent.mkdir(parents=True, exist_ok=True)
            sync_folder(self._heads)
        lock = path.with_name(path.name + ".lock")
        self._lock(lock, new)
        is_locked = True
        try:
            self._files.pop(branch, None)  # so that what counts is what the file says
            if self.tip(branch) != old:
                return False
            # Not fs.replace_durably: the lock is git's, and what fails after the rename must be told apart.
            lock.rename(path)
            is_locked = False
            try:
                sync_folder(path.parent)
                if old is None:
                    sync_folder(self._heads)
            except OSError as error:
                raise Unconfirmed(f"the disk did not confirm the write ({error.strerror})") from None
            self._synced[branch] = new
            return True
        finally:
            if is_locked:  # once renamed, a lock of this name would be another process's
                lock.unlink(missing_ok=True)

    def _lock(self, lock: Path, new: str) -> None:
        """Takes the lock, with the new tip in it, durably."""
        until = time.monotonic() + _RETRY_SECONDS
        while True:
            try:
                return self._make(lock, new)
            except FileExistsError:
                if time.monotonic() > until:
                    if locks.clear(self._root, [lock]):
                        continue
                    raise unavailable("another process holds the lock of this branch; try again", lock.name) from None
                time.sleep(0.005)

    def _make(self, lock: Path, new: str) -> None:
        """Raises FileExistsError if another process has the lock."""
        try:
            return lock.hardlink_to(self._prepared(new))  # whose bytes are durable already
        except FileExistsError:
            raise
        except OSError:  # nobody prepared it, or a file system without links
            pass
        try:
            write_durably(lock, [_line(new)], mode=0o644, flags=os.O_EXCL)
        except FileExistsError:
            raise
        except OSError:
            lock.unlink(missing_ok=True)
            raise


class _TipFile:
    """The file of a tip, kept open. While it is, no other file gets its number, so one call of the system shows that it
    is still in its place. Opening, reading and closing it again are three, and each lets another thread in.

    git and jobserver replace such a file and never write into it.
    """

    __slots__ = ("_descriptor", "_known", "tip")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._known = _identity(os.fstat(descriptor))  # before its bytes, in case somebody writes into it now
        data = os.read(descriptor, 64)
        self.tip = data[:40].decode() if _HEX(data) else ""

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        """No thread uses it any more. ``close``: modules may be gone when the interpreter ends."""
        close(self._descriptor)

    def is_at(self, path: str) -> bool:
        """Raises OSError if nothing is there."""
        return _identity(os.stat(path)) == self._known  # noqa: PTH116 - a Path takes three times as long


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    """Also shows most of what an editor did to the file."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _line(tip: str) -> bytes:
    return tip.encode() + b"\n"
