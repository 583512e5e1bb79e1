"""The first step of a state repository: an empty git repository, in a folder that may become one.

Such a folder is empty, missing, or left by an interrupted `init`, with files of `git init`, and with branches that
begin as ours do.
"""

import re
import tempfile
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.errors import Error, invalid
from jobserver.store.fs import disk_errors
from jobserver.store.git.command import git

_HEAD = re.compile(rb"(?:ref: refs/\S+|[0-9a-f]{40})\n?")
_BY_GIT = frozenset({"HEAD", "branches", "config", "description", "hooks", "info", "objects", "refs"})
# Other git processes must be as durable as we are, must not collect garbage, and must not rewrite history.
_CONFIG = {
    "core.fsync": "all",
    "core.hooksPath": "hooks",
    "core.logAllRefUpdates": "false",
    "gc.auto": "0",
    "gc.pruneExpire": "never",
    "maintenance.auto": "false",
    "receive.autogc": "false",
    "receive.denyDeletes": "true",
    "receive.denyNonFastForwards": "true",
    "receive.fsckObjects": "true",
    "transfer.unpackLimit": "1",
}
_FIRST = "%h%x09%(trailers:key=Event,valueonly,separator=%x2C)%x09%(trailers:key=Branch,valueonly,separator=%x2C)%x09%s"


def check_place(path: Path) -> None:
    """Raises `Error` (invalid) if something else is there. Changes nothing."""
    with disk_errors():
        problem = _problem(path)
    if problem:
        raise invalid(f"{problem}; name a folder that is empty or does not exist", str(path))


def init_repository(path: Path) -> None:
    """Creates an empty repository with our settings, or completes one. git brings no sample hooks.

    Raises `Error` (unavailable) with git's message.
    """
    with tempfile.TemporaryDirectory(prefix="jobserver-init-") as template:
        names = (name.split(".") for name in _CONFIG)
        lines = (
            f"[{section}]\n\t{key} = {value}\n" for (section, key), value in zip(names, _CONFIG.values(), strict=True)
        )
        (Path(template) / "config").write_text("".join(lines))
        git(path, "init", "--quiet", "--bare", f"--initial-branch={layout.MAIN}", f"--template={template}", ".")
    rows = _ask(path, "config", "--local", "--list", "-z").split("\0")
    known = {name: value for name, _, value in (row.partition("\n") for row in rows)}
    for name, value in _CONFIG.items():
        if known.get(name.lower()) != value:  # a repository that was there keeps its file
            _ask(path, "config", name, value)


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
