"""Tells which objects belong to a branch's own history, and not only to another branch's."""

import subprocess
import threading
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from time import monotonic

from jobserver.errors import unavailable
from jobserver.store.git.command import git, start

# How many callers may read a whole history at a time.
_COMMITS, _FILES = threading.BoundedSemaphore(4), threading.BoundedSemaphore(1)
_WAIT_SECONDS = 10.0
_READ_SECONDS = 60.0
_SUBMODULE = b"160000"  # its id names no object of this repository


def commits_in(repository: Path, tip: str, wanted: Iterable[str]) -> set[str]:
    """Those of the ids (40 hex digits) that are ``tip`` or commits before it."""
    left = set(wanted) - {tip}
    commits = set(wanted) - left
    if left:
        for line in _read(_COMMITS, repository, "rev-list", tip):
            sha = line[:40].decode()
            if sha in left:
                left.discard(sha)
                commits.add(sha)
                if not left:
                    break
    return commits


class History:
    """Everything that a branch up to ``tip`` ever contained: its commits, and their folders and files."""

    def __init__(self, repository: Path, tip: str) -> None:
        self._repository, self._tip = repository, tip

    def without(self, wanted: Iterable[bytes]) -> set[bytes]:
        """Those of the ids (20 bytes) that the branch never contained.

        Cheap for objects that are at the root or in ``active/`` now; otherwise reads the history, until it has found
        them all.
        """
        left = set(wanted)
        if left:
            left -= self._now
        if left:
            # git prints `<id> <tree>` for each commit, then `:<mode> <mode> <old> <new> ...` for each new
            # folder and file.
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
                left.difference_update(bytes.fromhex(sha.decode()) for sha in ids if sha.strip(b"0\n"))
                if not left:
                    break
        return left

    @cached_property
    def _now(self) -> set[bytes]:
        ids = set(map(bytes.fromhex, git(self._repository, "rev-parse", self._tip, f"{self._tip}^{{tree}}").split()))
        for arguments in ((self._tip,), ("-r", "-t", self._tip, "active")):
            listed = git(self._repository, "ls-tree", "-z", *arguments)
            rows = (line.split(" ", 2) for line in listed.split("\0") if line)
            ids.update(bytes.fromhex(rest[:40]) for _, kind, rest in rows if kind != "commit")
        return ids


def _read(turn: threading.BoundedSemaphore, repository: Path, *arguments: str) -> Iterator[bytes]:
    """The lines that git prints. Raises `Error` (unavailable)."""
    if not turn.acquire(timeout=_WAIT_SECONDS):
        raise unavailable("too many requests for old commits at the same time: try again")
    try:
        ends = monotonic() + _READ_SECONDS
        process = start(arguments, repository=repository, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                yield line
                if monotonic() > ends:
                    raise unavailable(f"searching the branch's history took longer than {_READ_SECONDS:g} s")
            if process.wait():
                raise unavailable("git can't read the branch's history")
        finally:
            process.kill()
            process.communicate()
    finally:
        turn.release()
