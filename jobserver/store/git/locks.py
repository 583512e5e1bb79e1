"""Locks of git (and ours, which are the same files) that a killed process left behind; nobody else would remove them.

A lock is stale if no git process is at work in the repository: each has it as its working directory, as /proc says,
also one that is suspended. Callers hold the writer's turn, so no process of ours is at work either. Where there is no
/proc, nothing is ever taken for stale. Format: git's lockfile API, ``<file>.lock``.
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
_YOUNG_SECONDS = 1.0  # whoever made it may be neither git nor us
_LITTER_SECONDS = 3600.0


def clear(repository: Path, locks: Iterable[Path]) -> bool:
    """Removes those of the locks that are stale; whether all of them are gone.

    They are looked at before the processes are: one that is taken afterwards is another file.
    """
    found = {path: state for path in locks if (state := _state(path)) is not None}
    young = [path for path, state in found.items() if time.time() - state.st_mtime < _YOUNG_SECONDS]
    if young or (found and _in_use(repository)):
        return False
    for path, state in found.items():
        now = _state(path)
        if now is not None and (now.st_ino, now.st_mtime_ns) == (state.st_ino, state.st_mtime_ns):
            _log.warning("%s was left behind by a process that was killed; removed", path)
            path.unlink(missing_ok=True)
    return True


def clear_all(repository: Path) -> bool:
    """As `clear`, for every lock in the repository."""
    places = [*repository.glob("*.lock"), *(repository / "refs").rglob("*.lock")]
    places += (repository / "objects" / "info").rglob("*.lock")
    places += (repository / "objects" / "pack").glob("*.lock")
    return clear(repository, [path for path in places if path.name != "jobserver.lock"])


def sweep(packs: Path) -> None:
    """Takes away what interrupted batches left beside the packs: marks that hold maintenance off, parts of files; and
    what pushes unpacked whose git was killed: 64 MiB each at most.
    """
    shared = packs / SHARED_KEEP
    with contextlib.suppress(FileNotFoundError):
        ours = shared.stat().st_ino
        for keep in packs.glob("pack-*.keep"):
            if keep.stat().st_ino == ours:
                keep.unlink()
    for litter in packs.glob("tmp_*"):
        if _is_old(litter):
            litter.unlink(missing_ok=True)
    for pattern in ("tmp_objdir-*", "incoming-*"):  # git's quarantines; the latter until 2.34
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
    """Whether a git process works there, or one that can't be looked at might."""
    if not (_PROC / "self" / "cwd").exists():
        return True
    place = repository.resolve()
    for process in _PROC.iterdir():
        if not process.name.isdigit():
            continue
        try:
            if not (process / "comm").read_text().startswith("git"):
                continue
            # One that has ended and waits for its parent has no working directory any more.
            where = (process / "cwd").readlink()
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            return True
        if where == place or place in where.parents:
            return True
    return False
