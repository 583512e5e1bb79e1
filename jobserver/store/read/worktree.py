"""A working copy judged before it is pushed: every document as it stands, and every change since the server's branch;
or, for a pre-commit hook, what is staged and nothing else. Needs the clone and nothing else.
"""

import os
import shutil
import tempfile
from pathlib import Path

from jobserver.domain.admit import review
from jobserver.domain.base import layout
from jobserver.domain.base.state import Change, Changes
from jobserver.errors import Error, Fault, invalid
from jobserver.store.git.cat_file import PipedObjects, commits_between, first_parent_log
from jobserver.store.git.command import commit_of, environment_of_user, fork_of, git, run
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.read.tree_changes import LOST, MERGE, forgeries, read_changes
from jobserver.store.read.validate import read_document


def top_of(folder: Path) -> Path | None:
    """The top of the working copy that ``folder`` is in; None if it is in none."""
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    except Error:
        return None


def branch_of(top: Path) -> str:
    """The branch of a state repository that the work here is for: the one checked out, or the one that it began on.

    Raises `Error` (invalid) where neither is one.
    """
    found = _git(top, "branch", "--show-current").strip()
    if _is_work(found):
        return found
    if commit_of(top, "HEAD") is not None:
        for commit in first_parent_log(top, "HEAD"):
            if commit.is_servers and _is_work(commit.trailer("Branch")):
                return commit.trailer("Branch")
    where = f"is on {found or 'no branch'}"
    raise invalid(f"{where}, and no commit below says which branch it is for: --branch says which it is", str(top))


def _is_work(branch: str) -> bool:
    return branch == layout.MAIN or layout.branch_backend(branch) is not None


def check_staged(top: Path, branch: str, notes: list[Fault] | None = None) -> tuple[int, list[Fault]]:
    """(files looked at, faults) of what the next commit would change: for a hook, which must not blame it for more.

    ``notes`` gets what is no fault, and good to know. Raises `Error`.
    """
    objects = PipedObjects(top)
    try:
        if commit_of(top, "MERGE_HEAD") is not None:
            return 0, [Fault(MERGE)]
        found = _changed(objects, Head.read(branch, commit_of(top, "HEAD"), objects), _index_tree(top), notes)
    finally:
        objects.close()
    return found


def check_worktree(top: Path, branch: str, notes: list[Fault] | None = None) -> tuple[int, list[Fault]]:
    """(documents looked at, faults) of the files in the working copy, committed or not. Raises `Error`."""
    listing = _git(top, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    faults: list[Fault] = []
    changes: list[Change] = []
    count = 0
    for path in sorted(set(listing.split("\0")) - {""}):
        file = top / path
        if not file.is_symlink() and not file.exists():
            continue  # deleted
        count += 1
        if file.is_symlink() or not file.is_file():
            faults.append(Fault("expected a file", path))
            continue
        document, found = read_document(branch, path, file.read_bytes())
        faults += found
        if document is not None:
            changes.append(Change(path, None, document))
    objects = PipedObjects(top)
    try:
        nothing = Head(branch, None, None, 0)
        if not faults:  # of what can't be read, nothing is known that others refer to
            faults += review(Snapshot(objects, nothing, nothing), Changes(branch, "", "", tuple(changes)))
        since, told = _since(objects, top, branch, notes)
    finally:
        objects.close()
    return count, [*since, *(fault for fault in dict.fromkeys(faults) if fault not in told)]


def _base(top: Path, branch: str) -> str | None:
    """Where the work here left the server's branch, as far as this clone knows: what came after it would be pushed."""
    tracked = _git(top, "for-each-ref", "--format=%(refname)", f"refs/remotes/*/{branch}").split()
    for ref in ("@{upstream}", *tracked, f"refs/heads/{branch}"):
        if ref == "@{upstream}" and not _upstream(top).endswith(f"/{branch}"):
            continue
        tip = commit_of(top, ref)
        if tip is not None and (base := fork_of(top, tip, "HEAD")) is not None:
            return base
    return None


def _upstream(top: Path) -> str:
    try:
        return "/" + _git(top, "rev-parse", "--abbrev-ref", "--quiet", "@{upstream}").strip()
    except Error:
        return ""


def _since(objects: PipedObjects, top: Path, branch: str, notes: list[Fault] | None) -> tuple[list[Fault], set[Fault]]:
    """(faults of each commit that is not pushed yet and of what is not committed, the same without the commits)."""
    base = _base(top, branch)
    if base is None:
        return [], set()
    faults: list[Fault] = []
    head = Head.read(branch, base, objects)
    before = head.time
    line = commits_between(top, "HEAD", base)
    merges = [sha for sha, parents in line if len(parents) != 1]
    steps: list[tuple[str, bytes]] = [(f"{sha[:10]} ", objects.commit(sha).tree) for sha, _ in line]
    for sha, _ in line:
        commit = objects.commit(sha)
        said = [*forgeries(commit, 0 if merges else before), *([MERGE] if sha in merges else [])]
        faults += [Fault(message, sha[:10]) for message in said]
        before = commit.time
    told: set[Fault] = set()
    for label, tree in [*([] if merges else steps), ("", bytes.fromhex(_tree(top)))]:
        _, found = _changed(objects, head, tree, notes)
        faults += [Fault(one.message, label + one.path, one.line, one.key) for one in found if one not in told]
        told.update(found)
        if not found:  # what mends a commit is not blamed for what that broke
            head = Head(branch, base, tree, head.time)
    return faults, told


def _changed(
    objects: PipedObjects, head: Head, tree: str | bytes, notes: list[Fault] | None
) -> tuple[int, list[Fault]]:
    """(files, faults) that lie between ``head`` and ``tree``."""
    found = read_changes(objects, head.branch, head.root, tree if isinstance(tree, bytes) else bytes.fromhex(tree))
    faults = found.faults + found.keys
    # What is on other branches is not known here: of a backend's branch the files alone are judged.
    if not found.unread:
        faults += review(Snapshot(objects, head, head), found.changes)
    if notes is not None:
        notes += [Fault(LOST, path) for path, has_any in found.comments.items() if has_any]
    return len(found.changes.changes) + len(found.others) + len(found.unread), faults


def _index_tree(top: Path) -> str:
    """The tree of what is staged. git tells a hook where that is: for `commit -a` it is not the index."""
    index = top / (os.environ.get("GIT_INDEX_FILE") or _git(top, "rev-parse", "--git-path", "index").strip())
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "index"
        if index.exists():
            shutil.copyfile(index, copy)
        return _with_index(top, copy, ["write-tree"])


def _tree(top: Path) -> str:
    """The tree that a commit of everything here would have; the index of the working copy stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        return _with_index(top, Path(folder) / "index", ["read-tree", "HEAD"], ["add", "--all"], ["write-tree"])


def _with_index(top: Path, index: Path, *commands: list[str]) -> str:
    """What git says to the last one. Raises `Error` (invalid) with its words."""
    said = ""
    for command in commands:
        done = run(command, environment_of_user(GIT_INDEX_FILE=str(index)), repository=top)
        if done.returncode:
            raise invalid(done.stderr.decode(errors="replace").strip(), str(top))
        said = done.stdout.decode().strip()
    return said


def _git(top: Path, *arguments: str) -> str:
    return git(top, *arguments, variables=environment_of_user())
