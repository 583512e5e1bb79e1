"""A working copy judged before it is pushed: every document as it stands, and every change since the upstream branch.

Suits a pre-commit hook and a hosted repository's CI; needs the clone and nothing else.
"""

import tempfile
from pathlib import Path

from jobserver.domain import names
from jobserver.domain.admit import review
from jobserver.domain.state import Change, Changes
from jobserver.errors import Error, Fault, invalid
from jobserver.store.check import OTHERS, read_document
from jobserver.store.git import environment_of_user, git, run
from jobserver.store.incoming import incoming, reserved_trailers
from jobserver.store.piped import PipedObjects, line_of
from jobserver.store.snapshot import Head, Snapshot


def top_of(folder: Path) -> Path | None:
    """The top of the working copy that ``folder`` is in; None if it is in none."""
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    except Error:
        return None


def branch_of(top: Path) -> str:
    """The branch that is checked out, if a state repository has such a one. Raises `Error` (invalid)."""
    found = _git(top, "rev-parse", "--abbrev-ref", "HEAD").strip()
    if found == names.MAIN or names.branch_backend(found):
        return found
    raise invalid(f"is on {found}, which is no branch of a state repository: --branch says which it is", str(top))


def check_worktree(top: Path, branch: str) -> tuple[int, list[Fault]]:
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
        faults += _since_upstream(objects, top, branch)
    finally:
        objects.close()
    return count, list(dict.fromkeys(faults))


def _since_upstream(objects: PipedObjects, top: Path, branch: str) -> list[Fault]:
    """What each commit that is not pushed yet changes, and what is not committed yet."""
    try:
        base = _git(top, "rev-parse", "--verify", "--quiet", "@{upstream}").strip()
    except Error:
        return []
    faults: list[Fault] = []
    head = Head.read(branch, base, objects)
    steps: list[tuple[str, bytes]] = []
    for sha, _ in line_of(top, "HEAD", base):
        commit = objects.commit(sha)
        steps.append((f"{sha[:10]} ", commit.tree))
        faults += [Fault(f"the trailer {key}: is the server's to write", sha[:10]) for key in reserved_trailers(commit)]
    for label, tree in [*steps, ("", bytes.fromhex(_tree(top)))]:
        found = incoming(objects, branch, head.root, tree)
        problems = [*found.faults, *(Fault("is the server's to write", one) for one in found.others if one in _KEYS)]
        # What is on other branches is not known here: of a backend's branch the files alone are judged.
        problems += review(Snapshot(objects, head, head), found.changes) if not found.faults else []
        faults += [Fault(one.message, f"{label}{one.path}", one.line, one.key) for one in problems]
        head = Head(branch, base, tree, head.time)
    return faults


_KEYS = OTHERS - {"README.md"}


def _tree(top: Path) -> str:
    """The tree that a commit of everything here would have; the index of the working copy stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        variables = environment_of_user(GIT_INDEX_FILE=str(Path(folder) / "index"))
        for arguments in (["read-tree", "HEAD"], ["add", "--all"], ["write-tree"]):
            done = run(arguments, variables, repository=top)
            if done.returncode:
                raise invalid(done.stderr.decode(errors="replace").strip(), str(top))
        return done.stdout.decode().strip()


def _git(top: Path, *arguments: str) -> str:
    return git(top, *arguments, variables=environment_of_user())
