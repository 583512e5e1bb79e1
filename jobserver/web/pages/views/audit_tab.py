"""The audit tab: who changed something, when and how, and whether the signature of each commit is valid.

This part of the pages reads git, limited to a few paths and to the time from creation to end. Others read the index.
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
from jobserver.store.read.commits import Commit
from jobserver.store.repo import StateRepo

_MOST = 200  # entries
_EARLIER_SECONDS = 60  # documents are created a moment before their commit
_DIFF_BYTES = 20_000
# The digest of a token. Readers of a page do not need it, and could use it to test a token that they have found.
_DIGEST = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])")
_FILES = re.compile(r"^(?=diff --git )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """``signature``: empty if it is valid, else the problem, or who pushed the commit. ``is_sound``: no problem."""

    commit: Commit
    actor: str
    via: str
    signature: str
    is_sound: bool
    diff: Sequence[str]


def entries(
    repo: StateRepo, branch: str, paths: Sequence[str], since: datetime | None = None, until: datetime | None = None
) -> list[Entry]:
    """The commits that changed these paths, newest first. Raises `Error` (unavailable) if git fails.

    ``until``: the end, by the clock of a runner. That can be wrong: if the paths changed more than a day later, all
    commits up to now are read."""
    tip = _ref(branch)
    # Not git's --since, which stops at the first commit whose time is older.
    before = tip_at(repo.path, tip, int(since.timestamp()) - _EARLIER_SECONDS) if since else None
    begins = [f"^{before}"] if before else []
    ends = [f"--until={int(until.timestamp()) + 86_400}"] if until else []
    diffs = _diffs(repo, tip, paths, *begins, *ends)
    if ends and (not diffs or _contents(repo, next(iter(diffs)), paths) != _contents(repo, tip, paths)):
        diffs = _diffs(repo, tip, paths, *begins)
    objects = PipedObjects(repo.path)
    try:
        known = followed(repo, record_only=True).signers
        commits = [objects.commit(sha) for sha in diffs]
        pushed = _pushed(objects, repo, branch, known) if any(not commit.signature for commit in commits) else {}
        return [_entry(commit, known, pushed, diffs[commit.sha]) for commit in commits]
    finally:
        objects.close()


def _ref(branch: str) -> str:
    """The full name: git would find a tag or a file of the short name first."""
    return f"refs/heads/{branch}"


def _diffs(repo: StateRepo, tip: str, paths: Sequence[str], *limits: str) -> dict[str, str]:
    """commit -> its diff, newest first."""
    # One process for all of them, separated by NUL: git treats a file with a NUL as binary.
    options = (f"--max-count={_MOST}", "--format=%x00%H", "--patch", "-M", "-U1", "--no-color")
    # Newer versions of git would apply a .gitattributes file of the repository to diffs (`attr.tree`).
    listed = git(repo.path, "-c", "attr.tree=none", "log", *options, *limits, "--end-of-options", tip, "--", *paths)
    diffs = {part[:40]: part[40:].lstrip("\n") for part in listed.split("\0")[1:]}
    if tip != _ref(layout.MAIN):  # only main has tokens; elsewhere a pipeline can name an image by its digest
        return diffs
    return {sha: _DIGEST.sub("(a digest)", diff) for sha, diff in diffs.items()}


def _contents(repo: StateRepo, revision: str, paths: Sequence[str]) -> list[str]:
    """The blobs under these paths: moving a request to the archive does not change them."""
    listed = git(repo.path, "ls-tree", "-r", revision, "--", *paths)
    return sorted(line.split(maxsplit=3)[2] for line in listed.splitlines())


def _entry(commit: Commit, known: dict[str, keys.Signer], pushed: dict[str, PushRecord], diff: str) -> Entry:
    problem, push = keys.signature_fault(commit, known), pushed.get(commit.sha)
    via, lines = commit.trailer("Via"), _lines(diff)
    if problem and push is not None:
        return Entry(commit, str(push.actor), via, f"pushed by {push.actor}, with a receipt", True, lines)
    claimed = "" if problem else commit.trailer("Actor")  # without a signature, the trailer proves nothing
    return Entry(commit, claimed or "unknown person", via, problem, not problem, lines)


def _pushed(
    objects: PipedObjects, repo: StateRepo, branch: str, known: dict[str, keys.Signer]
) -> dict[str, PushRecord]:
    try:
        audit = git(repo.path, "rev-list", "--reverse", "--grep=^Event: push.received", _ref(layout.AUDIT)).split()
        line = git(repo.path, "rev-list", "--reverse", _ref(branch)).split()
        receipts = (commit for commit in map(objects.commit, audit) if not keys.signature_fault(commit, known))
        record = read_audit_record(objects, receipts)
        return pushed_commits(record, branch, {sha: position for position, sha in enumerate(line)}, line)
    except Error:
        return {}


def _lines(diff: str) -> list[str]:
    parts = _FILES.split(diff)  # the pipeline last: it is long, and the other files show what happened
    parts.sort(key=lambda part: layout.PIPELINE_FILE in part.partition("\n")[0])
    data = "".join(parts).encode(errors="surrogateescape")
    text = data[:_DIFF_BYTES].decode("utf-8", "replace")
    kept = [line for line in text.splitlines() if not line.startswith(("diff ", "index ", "new file", "deleted file"))]
    return [*kept, "…"] if len(data) > _DIFF_BYTES else kept


def commit_at(repo: StateRepo, branch: str, text: str) -> str:
    """The commit of ``branch`` with this id (or its first 7 or more digits), or the newest one at this time.

    Raises `Error` (invalid).
    """
    try:
        if 7 <= len(text) <= 40 and all(char in "0123456789abcdef" for char in text):
            sha = commit_of(repo.path, text)
            if sha is None:
                raise invalid(f"commit {text} does not exist", "at")
            if git(repo.path, "merge-base", sha, _ref(branch)).strip() == sha:
                return sha
            raise invalid(f"commit {text} is not in the history of {branch}", "at")
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("expected a commit id, or a time such as 2026-11-24T09:30:00Z", "at") from None
    except Error as error:
        if error.where == "at":
            raise
        raise invalid(f"commit {text} does not exist", "at") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    tip = tip_at(repo.path, _ref(branch), int(moment.timestamp()))
    if tip is None:
        raise invalid(f"the history begins after {text}", "at")
    return tip
