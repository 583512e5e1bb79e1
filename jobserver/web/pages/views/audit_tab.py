"""The audit tab: who changed something, when and how, and whether the signature of each commit is valid.

This part of the pages reads git, limited to a few paths and to the time from creation to end. Others read the index.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge

from jobserver.audit.receipts import PushRecord, pushed_commits, read_audit_record
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import ActorKind
from jobserver.errors import Error, invalid
from jobserver.store.git.cat_file import PipedObjects, tip_at
from jobserver.store.git.command import git
from jobserver.store.keys import signers as keys
from jobserver.store.keys.rotation import followed
from jobserver.store.read.commits import Commit
from jobserver.store.repo import StateRepo
from jobserver.web.pages.format.commit_changes import MOST_FILE_BYTES, MOST_FILES, CommitChanges, commit_changes
from jobserver.web.pages.views.history import branch_ref, is_in_history

MOST = 50  # entries of a page
_NAMED_JOBS = 3  # of a report with more, the number
_EARLIER_SECONDS = 60  # documents are created a moment before their commit
# The digest of a token. Readers of a page do not need it, and could use it to test a token that they have found.
_DIGEST = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])")


@dataclass(frozen=True, slots=True)
class Entry:
    """``signature``: empty if it is valid, else the problem, or who pushed the commit. ``is_sound``: no problem."""

    commit: Commit
    actor: str
    via: str
    signature: str
    is_sound: bool
    changes: CommitChanges

    def own_subject(self, actions: Mapping[str, str] | None) -> str:
        """What the commit did to the jobs that its page is about: a report has jobs of several job requests.

        ``actions``: job -> its action, on pages of a job request or a job; else None."""
        jobs = self.changes.jobs
        if actions is None or not jobs or not self.actor.startswith(ActorKind.BACKEND):
            return self.commit.subject
        parts = [f"{actions.get(job, job)} {status}" for job, status in jobs.items()]
        summary = ", ".join(parts) if len(parts) <= _NAMED_JOBS else f"{len(parts)} jobs"
        return f"{self.actor.partition('/')[2]} reported {summary}"

    @property
    def other_requests(self) -> int:
        """The number of job requests beside one that the commit changed, as the server's commits name them."""
        return max(sum(key == "Job-Request" for key, _ in self.commit.trailers()) - 1, 0)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some of the entries, newest first. ``before``: where the page begins; empty at the newest entry. ``older``: where
    the next page begins; empty if there is none."""

    entries: list[Entry]
    before: str = ""
    older: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.before and not self.older


def audit_page(
    repo: StateRepo,
    paths: Mapping[str, Sequence[str]],
    before: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    most: int = MOST,
) -> AuditPage:
    """The commits that changed these paths (branch -> paths), newest first, from ``before`` on: ``older`` of the page
    before this one, which names the next commit of each branch.

    ``until``: the end, by the clock of a runner. That can be wrong: if the paths changed more than a day later, all
    commits up to now are read. Raises `Error`: invalid for another ``before``, unavailable if git fails."""
    tips = _starts(repo, list(paths), before)
    objects = PipedObjects(repo.path)
    try:
        known = followed(repo, record_only=True).signers
        parts = [
            _entries(
                repo, objects, known, (branch, tip), _Range(paths[branch], since, None if before else until, most + 1)
            )
            for branch, tip in tips.items()
        ]
    finally:
        objects.close()
    entries = list(merge(*parts, key=lambda entry: -entry.commit.time))
    shown = entries[:most]
    ids = {entry.commit.sha for entry in shown}
    rest = [next((entry.commit.sha for entry in part if entry.commit.sha not in ids), "") for part in parts]
    return AuditPage(shown, before, ",".join(filter(None, rest)))


def entry_of(repo: StateRepo, branch: str, sha: str) -> Entry:
    """A commit of ``branch``, without its changes."""
    objects = PipedObjects(repo.path)
    try:
        known = followed(repo, record_only=True).signers
        commit = objects.commit(sha)
        pushed = _pushed(objects, repo, branch, known) if not commit.signature else {}
        return _entry(commit, known, pushed, CommitChanges())
    finally:
        objects.close()


@dataclass(frozen=True, slots=True)
class _Range:
    """Which commits of a branch."""

    paths: Sequence[str]
    since: datetime | None
    until: datetime | None
    most: int


def _starts(repo: StateRepo, branches: Sequence[str], before: str) -> dict[str, str]:
    """branch -> the newest commit to read."""
    if not before:
        return {branch: branch_ref(branch) for branch in branches}
    starts = {}
    for sha in before.split(",")[: len(branches)]:
        branch = next((branch for branch in branches if is_in_history(repo, branch, sha)), None)
        if branch is None:
            raise invalid("expected the address of the link to older changes", "before")
        starts[branch] = sha
    return starts


def _entries(
    repo: StateRepo, objects: PipedObjects, known: dict[str, keys.Signer], start: tuple[str, str], chosen: _Range
) -> list[Entry]:
    """``start``: a branch, and the newest commit to read."""
    branch, tip = start
    since, until, paths = chosen.since, chosen.until, chosen.paths
    # Not git's --since, which stops at the first commit whose time is older.
    before = tip_at(repo.path, branch_ref(branch), int(since.timestamp()) - _EARLIER_SECONDS) if since else None
    limits = [f"--max-count={chosen.most}", *([f"^{before}"] if before else [])]
    ends = [f"--until={int(until.timestamp()) + 86_400}"] if until else []
    diffs = _diffs(repo, tip, paths, *limits, *ends)
    if ends and (not diffs or _contents(repo, next(iter(diffs)), paths) != _contents(repo, tip, paths)):
        diffs = _diffs(repo, tip, paths, *limits)
    if branch == layout.MAIN:  # only main has tokens; elsewhere a pipeline can name an image by its digest
        diffs = {sha: _DIGEST.sub("(a digest)", diff) if isinstance(diff, str) else diff for sha, diff in diffs.items()}
    commits = [objects.commit(sha) for sha in diffs]
    pushed = _pushed(objects, repo, branch, known) if any(not commit.signature for commit in commits) else {}
    return [_entry(commit, known, pushed, commit_changes(diffs[commit.sha])) for commit in commits]


def _diffs(repo: StateRepo, tip: str, paths: Sequence[str], *limits: str) -> dict[str, str | int]:
    """commit -> its diff, newest first; of a commit with more files than pages show, their number."""
    # One process for all of them, separated by NUL: git treats a file with a NUL as binary.
    # Newer versions of git would apply a .gitattributes file of the repository to diffs (`attr.tree`).
    # A larger file counts as binary, and git does not even read it: each request of a study has its whole pipeline.
    log = ("-c", "attr.tree=none", "-c", f"core.bigFileThreshold={MOST_FILE_BYTES}", "log", "--format=%x00%H")
    listed = git(repo.path, *log, "--name-only", "--no-renames", *limits, "--end-of-options", tip, "--", *paths)
    counts = {part[:40]: part.count("\n") - 2 for part in listed.split("\0")[1:]}
    diffs: dict[str, str | int] = {**counts}
    if small := [sha for sha, count in counts.items() if count <= MOST_FILES]:
        patch = ("--no-walk=unsorted", "--patch", "-M", "-U1", "--no-color", "--end-of-options", *small)
        shown = git(repo.path, *log, *patch, "--", *paths)
        diffs |= {part[:40]: part[40:].lstrip("\n") for part in shown.split("\0")[1:]}
    return diffs


def _contents(repo: StateRepo, revision: str, paths: Sequence[str]) -> list[str]:
    """The blobs under these paths: moving a request to the archive does not change them."""
    listed = git(repo.path, "ls-tree", "-r", revision, "--", *paths)
    return sorted(line.split(maxsplit=3)[2] for line in listed.splitlines())


def _entry(
    commit: Commit, known: dict[str, keys.Signer], pushed: dict[str, PushRecord], changes: CommitChanges
) -> Entry:
    problem, push = keys.signature_fault(commit, known), pushed.get(commit.sha)
    via = commit.trailer("Via")
    if problem and push is not None:
        return Entry(commit, str(push.actor), via, f"pushed by {push.actor}, with a receipt", True, changes)
    claimed = "" if problem else commit.trailer("Actor")  # without a signature, the trailer proves nothing
    return Entry(commit, claimed or "unknown person", via, problem, not problem, changes)


def _pushed(
    objects: PipedObjects, repo: StateRepo, branch: str, known: dict[str, keys.Signer]
) -> dict[str, PushRecord]:
    try:
        audit = git(
            repo.path, "rev-list", "--reverse", "--grep=^Event: push.received", branch_ref(layout.AUDIT)
        ).split()
        line = git(repo.path, "rev-list", "--reverse", branch_ref(branch)).split()
        receipts = (commit for commit in map(objects.commit, audit) if not keys.signature_fault(commit, known))
        record = read_audit_record(objects, receipts)
        return pushed_commits(record, branch, {sha: position for position, sha in enumerate(line)}, line)
    except Error:
        return {}
