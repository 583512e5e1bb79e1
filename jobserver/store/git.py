"""The system's git: where it is, whether it is new enough, and what it says."""

import re
import shutil
import subprocess
from pathlib import Path

from jobserver.errors import unavailable

_NICE = "5"  # a third of what others get where they want it all; less, and maintenance would not keep up with writes
OLDEST_GIT = (2, 34)  # the first whose SSH signatures and geometric repacks we rely on


def program() -> str:
    """Where the system's git is. Raises `Error` (unavailable) if it is missing."""
    found = shutil.which("git")
    if found is None:
        raise unavailable("git is missing: install it (2.34 or later)")
    return found


def check_git() -> None:
    """Raises `Error` (unavailable) if the system's git is missing or too old."""
    said = subprocess.run([program(), "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise unavailable(f"{said.strip() or 'git'} is too old: install 2.34 or later")


def git(repository: Path, *arguments: str, gently: bool = False) -> str:
    """Runs the system's git on the repository; its stdout. Raises `Error` (unavailable) with git's own words.

    ``gently``: it leaves the processors to others, where they want them.
    """
    nice = shutil.which("nice") if gently else None
    command = [*([nice, "-n", _NICE] if nice else []), program(), "-C", str(repository), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise unavailable(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="surrogateescape")


def commit_of(repository: Path, name: str) -> str | None:
    """The id of the commit that git knows by ``name`` (a branch, a tag, an id or its beginning); None if it is none."""
    done = _ask(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return done.stdout.decode().strip() if done.returncode == 0 else None


def has_object(repository: Path, sha: str) -> bool:
    return _succeeds(repository, "cat-file", "-e", sha)


def is_ancestor(repository: Path, old: str, new: str) -> bool:
    """Also False where git can't say: one of them may not be there."""
    return _succeeds(repository, "merge-base", "--is-ancestor", old, new)


def fork_of(repository: Path, one: str, other: str) -> str | None:
    """The last commit that both have; None if there is none."""
    return _ask(repository, "merge-base", one, other).stdout.decode().strip() or None


def _succeeds(repository: Path, *arguments: str) -> bool:
    return _ask(repository, *arguments).returncode == 0


def _ask(repository: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([program(), "-C", str(repository), *arguments], capture_output=True, check=False)
