"""The audit tab: who did what when to one thing, as words and as a diff, and whether each signature verifies.

Asks git, limited to the thing's paths and to the time it lived in; everything else on the pages reads the index.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from jobserver.audit.receipts import PushRecord, pushed_commits, read_audit_record
from jobserver.domain.base import layout
from jobserver.errors import Error, invalid
from jobserver.store.git.cat_file import PipedObjects, tip_at
from jobserver.store.git.command import commit_of, git
from jobserver.store.keys import signers as keys
from jobserver.store.keys.rotation import followed
from jobserver.store.read.tree_changes import Commit
from jobserver.store.repo import StateRepo

_MOST = 200  # entries of a tab
_EARLIER = 60  # seconds: what a thing says of its beginning is not to the second
_DIFF_BYTES = 20_000
# Of a token. Whoever may read a page has no use for it, and could look whether a token that they found is ours.
_DIGEST = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])")
_FILES = re.compile(r"^(?=diff --git )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """``signature``: empty if it verifies, else what is wrong, or who pushed it. ``is_sound``: nothing is wrong."""

    commit: Commit
    actor: str
    via: str
    signature: str
    is_sound: bool
    diff: Sequence[str]


def entries(
    repo: StateRepo, branch: str, paths: Sequence[str], since: datetime | None = None, until: datetime | None = None
) -> list[Entry]:
    """Newest first. ``until``: when it ended, as a runner says, whose word is not relied on: if the paths hold
    something else a day later, all until now is read. Raises `Error` (unavailable) if git can't be asked."""
    tip = _ref(branch)
    # Not git's --since: it stops at the first commit that claims to be older.
    before = tip_at(repo.path, tip, int(since.timestamp()) - _EARLIER) if since else None
    begins = [f"^{before}"] if before else []
    ends = [f"--until={int(until.timestamp()) + 86_400}"] if until else []
    diffs = _diffs(repo, tip, paths, *begins, *ends)
    if ends and (not diffs or _contents(repo, next(iter(diffs)), paths) != _contents(repo, tip, paths)):
        diffs = _diffs(repo, tip, paths, *begins)
    objects = PipedObjects(repo.path)
    try:
        known = followed(repo, alone=True).signers
        commits = [objects.commit(sha) for sha in diffs]
        pushed = _pushed(objects, repo, branch, known) if any(not commit.signature for commit in commits) else {}
        return [_entry(commit, known, pushed, diffs[commit.sha]) for commit in commits]
    finally:
        objects.close()


def _ref(branch: str) -> str:
    """In full: a tag, or a file of that name, would be what git finds first."""
    return f"refs/heads/{branch}"


def _diffs(repo: StateRepo, tip: str, paths: Sequence[str], *limits: str) -> dict[str, str]:
    """commit -> what it changed there, newest first."""
    # One process for all of them. A diff has no NUL: git calls such a file binary.
    how = (f"--max-count={_MOST}", "--format=%x00%H", "--patch", "-M", "-U1", "--no-color")
    # What a .gitattributes on main says of diffs does not count: newer gits would read it (`attr.tree`).
    listed = git(repo.path, "-c", "attr.tree=none", "log", *how, *limits, "--end-of-options", tip, "--", *paths)
    diffs = {part[:40]: part[40:].lstrip("\n") for part in listed.split("\0")[1:]}
    if tip != _ref(layout.MAIN):  # where no document has a token, and a pipeline may name an image by its digest
        return diffs
    return {sha: _DIGEST.sub("(a digest)", diff) for sha, diff in diffs.items()}


def _contents(repo: StateRepo, revision: str, paths: Sequence[str]) -> list[str]:
    """The blobs under these paths: the same after a move into the archive."""
    listed = git(repo.path, "ls-tree", "-r", revision, "--", *paths)
    return sorted(line.split(maxsplit=3)[2] for line in listed.splitlines())


def _entry(commit: Commit, known: dict[str, keys.Signer], pushed: dict[str, PushRecord], diff: str) -> Entry:
    problem, cover = keys.signature_fault(commit, known), pushed.get(commit.sha)
    if problem and cover is not None:
        said, is_sound = f"pushed by {cover.actor}, with a receipt", True
    else:
        said, is_sound = problem, not problem
    claimed = "" if problem else commit.trailer("Actor")  # what nobody signed names nobody
    actor = str(cover.actor) if problem and cover else claimed or "nobody that the record names"
    return Entry(commit, actor, commit.trailer("Via"), said, is_sound, _lines(diff))


def _pushed(
    objects: PipedObjects, repo: StateRepo, branch: str, known: dict[str, keys.Signer]
) -> dict[str, PushRecord]:
    try:
        audit = git(repo.path, "rev-list", "--reverse", "--grep=^Event: push.received", _ref(layout.AUDIT)).split()
        line = git(repo.path, "rev-list", "--reverse", _ref(branch)).split()
        receipts = (commit for commit in map(objects.commit, audit) if not keys.signature_fault(commit, known))
        record = read_audit_record(objects, receipts)
        return pushed_commits(record, branch, {sha: at for at, sha in enumerate(line)}, line)
    except Error:
        return {}


def _lines(diff: str) -> list[str]:
    parts = _FILES.split(diff)  # a pipeline last: it is long, and the rest says what happened
    parts.sort(key=lambda part: layout.PIPELINE_FILE in part.partition("\n")[0])
    data = "".join(parts).encode(errors="surrogateescape")
    text = data[:_DIFF_BYTES].decode("utf-8", "replace")
    kept = [line for line in text.splitlines() if not line.startswith(("diff ", "index ", "new file", "deleted file"))]
    return [*kept, "…"] if len(data) > _DIFF_BYTES else kept


def commit_at(repo: StateRepo, branch: str, text: str) -> str:
    """The commit of ``branch`` that ``text`` names: an id (or its beginning), or a time. Raises `Error` (invalid)."""
    try:
        if 7 <= len(text) <= 40 and all(char in "0123456789abcdef" for char in text):
            sha = commit_of(repo.path, text)
            if sha is None:
                raise invalid(f"there is no commit {text}", "at")
            if git(repo.path, "merge-base", sha, _ref(branch)).strip() == sha:
                return sha
            raise invalid(f"commit {text} is not in the history of {branch}", "at")
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("expected a commit id, or a time such as 2026-11-24T09:30:00Z", "at") from None
    except Error as error:
        if error.where == "at":
            raise
        raise invalid(f"there is no commit {text}", "at") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    found = tip_at(repo.path, _ref(branch), int(moment.timestamp()))
    if found is None:
        raise invalid(f"there was nothing before {text}", "at")
    return found
