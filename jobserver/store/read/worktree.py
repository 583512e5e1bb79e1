"""Checks a working copy before it is pushed: every document, and every change since the server's branch.

For a pre-commit hook, checks only what is staged. Needs only the clone.
"""

import os
import shutil
import tempfile
from pathlib import Path

from jobserver.domain.admit import find_faults
from jobserver.domain.base import layout
from jobserver.domain.base.state import Change, Changes
from jobserver.errors import Error, Fault, invalid
from jobserver.store.git.cat_file import PipedObjects, commits_between, first_parent_log
from jobserver.store.git.command import commit_of, environment_of_user, fork_of, git, run
from jobserver.store.read.commits import forged_claims
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.read.tree_changes import MERGE, read_changes
from jobserver.store.read.validate import read_document


def top_of(folder: Path) -> Path | None:
    """The top folder of the working copy around ``folder``; None if there is none."""
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    except Error:
        return None


def branch_of(top: Path) -> str:
    """The branch of a state repository that the working copy changes: the current branch, or the one it started from.

    Raises `Error` (invalid) if neither is a branch of a state repository.
    """
    current = _git(top, "branch", "--show-current").strip()
    if _is_work(current):
        return current
    if commit_of(top, "HEAD") is not None:
        for commit in first_parent_log(top, "HEAD"):
            if commit.is_servers and _is_work(commit.trailer("Branch")):
                return commit.trailer("Branch")
    where = f"is on {current or 'no branch'}"
    raise invalid(f"{where}, and no commit says which branch it started from: name the branch with --branch", str(top))


def _is_work(branch: str) -> bool:
    return branch == layout.MAIN or layout.branch_backend(branch) is not None


def check_staged(top: Path, branch: str) -> tuple[int, list[Fault]]:
    """(number of files, faults) of the changes in the next commit, for a pre-commit hook. Raises `Error`."""
    objects = PipedObjects(top)
    try:
        if commit_of(top, "MERGE_HEAD") is not None:
            return 0, [Fault(MERGE)]
        return _changed(objects, Head.read(branch, commit_of(top, "HEAD"), objects), _index_tree(top))
    finally:
        objects.close()


def check_worktree(top: Path, branch: str) -> tuple[int, list[Fault]]:
    """(number of documents, faults) of the files in the working copy, committed or not. Raises `Error`."""
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
        document, file_faults = read_document(branch, path, file.read_bytes())
        faults += file_faults
        if document is not None:
            changes.append(Change(path, None, document))
    objects = PipedObjects(top)
    try:
        empty = Head(branch, None, None, 0)
        if not faults:  # other documents may refer to those that can't be read
            faults += find_faults(Snapshot(objects, empty, empty), Changes(branch, "", "", tuple(changes)))
        commit_faults, reported = _since(objects, top, branch)
    finally:
        objects.close()
    return count, [*commit_faults, *(fault for fault in dict.fromkeys(faults) if fault not in reported)]


def _base(top: Path, branch: str) -> str | None:
    """The commit of the server's branch that the work started from, as far as this clone knows."""
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


def _since(objects: PipedObjects, top: Path, branch: str) -> tuple[list[Fault], set[Fault]]:
    """(the faults of each commit that is not pushed yet, and of uncommitted changes; the same without commit ids)."""
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
        messages = [*forged_claims(commit, 0 if merges else before), *([MERGE] if sha in merges else [])]
        faults += [Fault(message, sha[:10]) for message in messages]
        before = commit.time
    reported: set[Fault] = set()
    for label, tree in [*([] if merges else steps), ("", bytes.fromhex(_tree(top)))]:
        _, step = _changed(objects, head, tree)
        faults += [
            Fault(fault.message, label + fault.path, fault.line, fault.key) for fault in step if fault not in reported
        ]
        reported.update(step)
        if not step:  # a commit that fixes another one does not get its faults
            head = Head(branch, base, tree, head.time)
    return faults, reported


def _changed(objects: PipedObjects, head: Head, tree: str | bytes) -> tuple[int, list[Fault]]:
    """(number of files, faults) of the changes from ``head`` to ``tree``."""
    changes = read_changes(objects, head.branch, head.root, tree if isinstance(tree, bytes) else bytes.fromhex(tree))
    faults = changes.faults + changes.keys
    # Other branches are not known here, so of a backend's branch only the files are checked.
    if not changes.unread:
        faults += find_faults(Snapshot(objects, head, head), changes.proposed)
    return len(changes.proposed.changes) + len(changes.others) + len(changes.unread), faults


def _index_tree(top: Path) -> str:
    """The tree of what is staged. git gives a hook the index to use: for `commit -a` it is another file."""
    index = top / (os.environ.get("GIT_INDEX_FILE") or _git(top, "rev-parse", "--git-path", "index").strip())
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "index"
        if index.exists():
            shutil.copyfile(index, copy)
        return _with_index(top, copy, ["write-tree"])


def _tree(top: Path) -> str:
    """The tree of a commit of everything in the working copy. Leaves the index as it is."""
    with tempfile.TemporaryDirectory() as folder:
        return _with_index(top, Path(folder) / "index", ["read-tree", "HEAD"], ["add", "--all"], ["write-tree"])


def _with_index(top: Path, index: Path, *commands: list[str]) -> str:
    """The output of the last command. Raises `Error` (invalid) with git's message."""
    output = ""
    for command in commands:
        done = run(command, environment_of_user(GIT_INDEX_FILE=str(index)), repository=top)
        if done.returncode:
            raise invalid(done.stderr.decode(errors="replace").strip(), str(top))
        output = done.stdout.decode().strip()
    return output


def _git(top: Path, *arguments: str) -> str:
    return git(top, *arguments, variables=environment_of_user())
