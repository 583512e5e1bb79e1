"""A layer under everything that asks the kernel to change files: at any single call it can stop the process, or fail.

It stands in for `os`'s own functions, which pathlib and tempfile call too; sqlite3 and git make calls of their own (and
are killed from outside instead). Only in a forked child: what it replaces is never put back.
"""

import errno
import io
import os
import random
import subprocess
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from jobserver.store import fs

STOPPED = 77
_CALLS = ("open", "write", "fsync", "rename", "replace", "unlink", "link", "mkdir", "chmod")
_REAL: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in _CALLS}
_OPEN, _RUN = io.open, subprocess.run


class Fault(StrEnum):
    """What happens at the point."""

    BEFORE = "stopped before it"
    AFTER = "stopped after it"
    TORN = "stopped half way"
    EIO = "EIO"
    ENOSPC = "ENOSPC"
    EACCES = "EACCES"


class Points:
    """Counts the calls; at number ``at`` (from 0), the fault. ``seen`` has the names of all."""

    def __init__(self, at: int = -1, fault: Fault = Fault.BEFORE) -> None:
        self._at, self._fault = at, fault
        self.seen: list[str] = []
        self.is_on = False

    def install(self) -> None:
        sync_in_turn(self._at)
        for name in _CALLS:
            setattr(os, name, self._wrap(name))
        io.open = self._open  # type: ignore[assignment]
        subprocess.run = self._git  # type: ignore[assignment]

    def _wrap(self, name: str) -> Callable[..., Any]:
        real = _REAL[name]

        def call(*args: Any, **more: Any) -> Any:
            if not self.is_on or (name == "open" and not args[1] & os.O_CREAT):
                return real(*args, **more)
            torn = (lambda: real(args[0], args[1][: len(args[1]) // 2])) if name == "write" else None
            return self._at_point(name, lambda: real(*args, **more), torn)

        return call

    def _open(self, file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
        if not self.is_on or not set(mode) & set("wax+"):
            return _OPEN(file, mode, *args, **more)
        return self._at_point("open", lambda: _OPEN(file, mode, *args, **more), None)

    def _git(self, *args: Any, **more: Any) -> Any:
        if not self.is_on:
            return _RUN(*args, **more)
        command = args[0][args[0].index("-C") + 2] if "-C" in args[0] else ""
        return self._at_point(f"git {command}", lambda: _RUN(*args, **more), None)

    def _at_point(self, name: str, real: Callable[[], Any], torn: Callable[[], Any] | None) -> Any:
        self.seen.append(name)
        if len(self.seen) - 1 != self._at:
            return real()
        if self._fault is Fault.BEFORE:
            os._exit(STOPPED)
        if self._fault is Fault.TORN:
            if torn is not None:
                torn()
            os._exit(STOPPED)
        if self._fault is Fault.AFTER:
            real()
            os._exit(STOPPED)
        number = getattr(errno, self._fault.name)
        raise OSError(number, os.strerror(number))


def sync_in_turn(seed: int) -> None:
    """Files that are synced together are synced one after the other, each time in another order: so a fault may come
    after any of them and before any other, and the same seed gives the same calls again.

    A disk that syncs them side by side does nothing else: nobody calls anything until all have ended, and what it has
    not finished counts as not synced.
    """
    chance = random.Random(seed)

    def in_turn(descriptors: Sequence[int]) -> list[OSError | None]:
        return [fs.fsync_outcome(descriptor) for descriptor in chance.sample(descriptors, len(descriptors))]

    fs._fsync_all = in_turn


def replace_calls(disk: Any, before_each: Callable[[], None]) -> Callable[[], None]:
    """Has ``disk`` follow the process's calls; ``before_each`` comes before each that changes something.

    Returns what puts the real ones back.
    """
    followed = {
        "open": disk.opened,
        "write": disk.written,
        "fsync": disk.synced,
        "close": disk.closed,
        "rename": disk.renamed,
        "replace": disk.renamed,
        "link": disk.linked,
        "unlink": disk.removed,
        "rmdir": disk.removed,
        "mkdir": disk.made,
    }
    real = {name: getattr(os, name) for name in followed}

    def wrap(name: str) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            if name != "close" and (name != "open" or args[1] & os.O_CREAT):
                before_each()
            return followed[name](real[name], *args, **more)

        return call

    for name in followed:
        setattr(os, name, wrap(name))

    def restore() -> None:
        for name, function in real.items():
            setattr(os, name, function)

    return restore
