"""Removes lock files and partial files that killed processes left behind.

A lock is stale if no git process runs in the repository. Each git process has the repository as its working directory,
as /proc shows, also while it is suspended. Callers hold the writer's turn, so none of our processes holds a lock.
Without /proc no lock ever counts as stale. Format: git's lockfile API, ``<file>.lock``.
"""

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from jobserver.store.git.packs import SHARED_KEEP

_log = logging.getLogger(__name__)
_PROC = Path("/proc")
_YOUNG_SECONDS = 1.0  # its maker may be neither git nor jobserver
_LITTER_SECONDS = 3600.0


def clear(repository: Path, locks: Iterable[Path]) -> bool:
    """Removes the stale ones of the locks; True if all of the locks are gone.

    Reads the locks before the processes, so that a lock taken afterwards is another file.
    """
    present = {path: state for path in locks if (state := _state(path)) is not None}
    young = [path for path, state in present.items() if time.time() - state.st_mtime < _YOUNG_SECONDS]
    if young or (present and _in_use(repository)):
        return False
    for path, state in present.items():
        now = _state(path)
        if now is not None and (now.st_ino, now.st_mtime_ns) == (state.st_ino, state.st_mtime_ns):
            _log.warning("removed %s, which a killed process left behind", path)
            path.unlink(missing_ok=True)
    return True


def clear_all(repository: Path) -> bool:
    """As `clear`, for every lock in the repository."""
    places = [*repository.glob("*.lock"), *(repository / "refs").rglob("*.lock")]
    places += (repository / "objects" / "info").rglob("*.lock")
    places += (repository / "objects" / "pack").glob("*.lock")
    return clear(repository, [path for path in places if path.name != "jobserver.lock"])


def sweep(packs: Path) -> None:
    """Removes what interrupted batches left beside the packs: ``.keep`` files and partial files; and the quarantine
    folders of pushes whose git was killed, of 64 MiB each at most.
    """
    shared = packs / SHARED_KEEP
    with contextlib.suppress(FileNotFoundError):
        inode = shared.stat().st_ino
        for keep in packs.glob("pack-*.keep"):
            if keep.stat().st_ino == inode:
                keep.unlink()
    for litter in packs.glob("tmp_*"):
        if _is_old(litter):
            litter.unlink(missing_ok=True)
    for pattern in ("tmp_objdir-*", "incoming-*"):  # git's quarantines; the latter until git 2.34
        for quarantine in packs.parent.glob(pattern):
            if _is_old(quarantine):
                shutil.rmtree(quarantine, ignore_errors=True)


def _is_old(litter: Path) -> bool:
    state = _state(litter)
    return state is not None and time.time() - state.st_mtime > _LITTER_SECONDS


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _in_use(repository: Path) -> bool:
    """Whether a git process runs in the repository, or a process that we may not inspect might."""
    if not (_PROC / "self" / "cwd").exists():
        return True
    place = repository.resolve()
    for process in _PROC.iterdir():
        if not process.name.isdigit():
            continue
        try:
            if not (process / "comm").read_text().startswith("git"):
                continue
            # A process that has ended and waits for its parent has no working directory.
            where = (process / "cwd").readlink()
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            return True
        if where == place or place in where.parents:
            return True
    return False
