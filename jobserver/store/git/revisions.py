"""What a branch has had: which of some ids are of its own history, and no other branch's."""

import subprocess
import threading
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from time import monotonic

from jobserver.errors import unavailable
from jobserver.store.git.command import git, start

# Each may read a whole history, for whoever asks for that.
_COMMITS, _FILES = threading.BoundedSemaphore(4), threading.BoundedSemaphore(1)
_WAIT_SECONDS = 10.0
_READ_SECONDS = 60.0
_SUBMODULE = b"160000"  # its id is of no object of this repository


def commits_in(repository: Path, tip: str, wanted: Iterable[str]) -> set[str]:
    """Those of the ids (40 hex digits) that are ``tip`` or commits before it. Ends once it has found them all."""
    left = set(wanted) - {tip}
    found = set(wanted) - left
    if left:
        for line in _read(_COMMITS, repository, "rev-list", tip):
            sha = line[:40].decode()
            if sha in left:
                left.discard(sha)
                found.add(sha)
                if not left:
                    break
    return found


class History:
    """All that a branch up to ``tip`` has had: its commits, and their folders and files."""

    def __init__(self, repository: Path, tip: str) -> None:
        self._repository, self._tip = repository, tip

    def without(self, wanted: Iterable[bytes]) -> set[bytes]:
        """Those ids (20 bytes) that the branch never had.

        Cheap for what stands at the root or in ``active/`` now; else it reads the history, until all are found.
        """
        left = set(wanted)
        if left:
            left -= self._now
        if left:
            # Each commit is `<id> <tree>`, then a line `:<mode> <mode> <old> <new> ...` for each folder and file that
            # came.
            options = ("--format=%H %T", "--raw", "-t", "--no-abbrev", "--no-renames", "--no-color")
            settings = ("-c", "log.showRoot=true", "-c", "log.showSignature=false")
            for line in _read(_FILES, self._repository, *settings, "log", *options, self._tip):
                words = line.split(b" ", 4)
                if not line.startswith(b":"):
                    ids = words[:2]
                elif words[1] != _SUBMODULE:
                    ids = words[3:4]
                else:
                    continue
                left.difference_update(bytes.fromhex(one.decode()) for one in ids if one.strip(b"0\n"))
                if not left:
                    break
        return left

    @cached_property
    def _now(self) -> set[bytes]:
        found = set(map(bytes.fromhex, git(self._repository, "rev-parse", self._tip, f"{self._tip}^{{tree}}").split()))
        for asked in ((self._tip,), ("-r", "-t", self._tip, "active")):
            listed = git(self._repository, "ls-tree", "-z", *asked)
            rows = (line.split(" ", 2) for line in listed.split("\0") if line)
            found.update(bytes.fromhex(rest[:40]) for _, kind, rest in rows if kind != "commit")
        return found


def _read(turn: threading.BoundedSemaphore, repository: Path, *arguments: str) -> Iterator[bytes]:
    """git's lines, until nobody wants more. Raises `Error` (unavailable)."""
    if not turn.acquire(timeout=_WAIT_SECONDS):
        raise unavailable("too many ask for old commits at once: try again")
    try:
        ends = monotonic() + _READ_SECONDS
        process = start(arguments, repository=repository, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                yield line
                if monotonic() > ends:
                    raise unavailable(f"the branch's history can't be looked through within {_READ_SECONDS:g} s")
            if process.wait():
                raise unavailable("git can't read the branch's history")
        finally:
            process.kill()
            process.communicate()
    finally:
        turn.release()
