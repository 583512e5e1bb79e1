"""Checks that a folder may become a state repository: it is empty, missing, or left by an interrupted `init`.

Changes nothing. An interrupted `init` leaves files of `git init`, and branches that begin as ours do.
"""

import re
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.errors import Error, invalid
from jobserver.store.fs import disk_errors
from jobserver.store.git.command import git

_HEAD = re.compile(rb"(?:ref: refs/\S+|[0-9a-f]{40})\n?")
_BY_GIT = frozenset({"HEAD", "branches", "config", "description", "hooks", "info", "objects", "refs"})
_FIRST = "%h%x09%(trailers:key=Event,valueonly,separator=%x2C)%x09%(trailers:key=Branch,valueonly,separator=%x2C)%x09%s"


def check_place(path: Path) -> None:
    """Raises `Error` (invalid) if something else is there."""
    with disk_errors():
        problem = _problem(path)
    if problem:
        raise invalid(f"{problem}; name a folder that is empty or does not exist", str(path))


def _problem(path: Path) -> str:
    if not path.exists():
        return ""
    held = {child.name for child in path.iterdir()} if path.is_dir() else {path.name}
    if not held:
        return ""
    head = path / "HEAD"
    if not head.is_file() or not _HEAD.fullmatch(head.read_bytes()):
        return "contains something else"
    if not {"objects", "refs"} <= held:  # `git init` was interrupted
        return "" if held <= _BY_GIT else "contains something else"
    if _is_of_working_copy(path):
        return "is the repository of a working copy, not a bare one"
    refs = _ask(path, "for-each-ref", "--format=%(refname)").split()
    for ref in refs:
        branch = ref.removeprefix("refs/heads/")
        # A clone of ours may have a host's own refs (pull requests), but they alone are not a repository of ours.
        if not layout.is_branch(branch) and (ref != branch or f"refs/heads/{layout.MAIN}" not in refs):
            return f"is a repository that jobserver did not create: it has {ref}"
        if layout.is_branch(branch) and (beginning := _foreign_beginning(path, branch)):
            return f"is a repository that jobserver did not create: its branch {branch} begins with {beginning}"
    return ""


def _foreign_beginning(path: Path, branch: str) -> str:
    """The first commit of the branch, in words, if it does not open a branch of ours."""
    firsts = _ask(path, "log", "--max-parents=0", f"--format={_FIRST}", f"refs/heads/{branch}", "--").splitlines()
    for first in firsts:
        sha, event, of, subject = first.split("\t", 3)
        if (event, of) != ("branch.opened", branch) or len(firsts) > 1:
            return f"{sha} {subject!r}"
    return ""


def _is_of_working_copy(path: Path) -> bool:
    try:
        return _ask(path, "config", "--type=bool", "--get", "core.bare").strip() == "false"
    except Error:  # the setting is missing
        return False


def _ask(path: Path, *arguments: str) -> str:
    """Runs git on this very folder, not on a repository around it."""
    return git(path, "--git-dir=.", *arguments)
