"""`jobserver audit verify`: checks that a server signed or judged every commit, and that nothing was removed.

Needs the repository, or a clone, and the public keys. docs/threat-model.md says what needs a witness to be found: who
has the key and can rewrite the whole repository can rewrite `audit` too.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

from jobserver.audit.checked_release_check import compare_checked, release_counts
from jobserver.audit.receipts import AuditRecord, PushRecord, pushed_commits, read_audit_record
from jobserver.audit.replay import CommitRange, Problem, ReplayResult, replay
from jobserver.audit.repository_check import anomalies, damaged_objects, objects_of
from jobserver.audit.vouched_release_check import compare, recorded_folders
from jobserver.domain.base import layout
from jobserver.domain.record import Checkpoint
from jobserver.errors import Error, invalid
from jobserver.store.git.cat_file import PipedObjects, branches, commits_between, state_branches
from jobserver.store.git.command import commit_of, git
from jobserver.store.keys import signers as keys
from jobserver.store.keys.key_walk import KeyWalk, follow

_RANGE = 2_000  # commits that one process takes at a time
_PROCESSES = 2
Progress = Callable[[int, int], None]
"""Called with (number of commits judged so far, number of all commits)."""


@dataclass(frozen=True, slots=True)
class BranchHistory:
    """A branch's commits with their parents, oldest first. ``known``: how many `--since` leaves out."""

    commits: list[tuple[str, tuple[str, ...]]]
    positions: Mapping[str, int]
    known: int = 0

    @property
    def shas(self) -> list[str]:
        return [sha for sha, _ in self.commits]


@dataclass(frozen=True, slots=True)
class AuditResult:
    """``commits``: how many were judged. ``problems``: everything that is wrong, in order.

    ``followed``: key -> the commit of main that added it, if ``signers`` lead to it.
    ``imported``: statement of an import, in words -> the number of commits that name it. ``released``: what left the
    backends, in words -> how much; empty if nobody asked for it.
    """

    commits: int
    problems: list[Problem]
    followed: Mapping[str, str] = field(default_factory=dict)
    imported: Mapping[str, int] = field(default_factory=dict)
    released: Mapping[str, int] = field(default_factory=dict)


def verify(
    repository: Path,
    *,
    signers: str | None = None,
    witness: Path | None = None,
    since: str = "",
    releases: Path | None = None,
    fast: bool = False,
    progress: Progress = lambda done, all_: None,
) -> AuditResult:
    """``signers``: the text of an allowed_signers file from elsewhere; by default, trusts main's first commit.

    ``releases``: the folder RELEASE_STORAGE, to compare its files with the record. ``fast``: checks only the objects
    that it reads, not every copy of every object.

    Raises `Error` if there is nothing to verify, or if ``signers`` or ``since`` can't be read.
    """
    start = commit_of(repository, since) if since else None
    if since and start is None:
        raise invalid(f"expected a commit of this repository, found {since!r}", "--since")
    with objects_of(repository) as objects:
        tips = state_branches(repository)
        problems = [Problem(*anomaly) for anomaly in anomalies(repository)]
        if not fast:
            problems += [Problem("objects", "", line) for line in damaged_objects(objects, tips)]
        try:
            return _verify(objects, tips, problems, signers, witness, start, releases, progress)
        except Error as error:
            if not problems:
                raise
            raise Error(error.code, f"{error.message} ({problems[0]})", error.where, error.faults) from None


def _verify(
    repository: Path,
    tips: Mapping[str, str],
    problems: list[Problem],
    signers: str | None,
    witness: Path | None,
    since: str | None,
    releases: Path | None,
    progress: Progress,
) -> AuditResult:
    trusted = () if signers is None else keys.read(signers).values()
    walk = follow(repository, tips[layout.MAIN], trusted, signers is None)
    ours = {branch: tip for branch, tip in tips.items() if layout.is_branch(branch)}
    lines = {branch: _line(repository, tip) for branch, tip in ours.items()}
    problems += _unfounded(repository, tips[layout.MAIN], ours)
    with closing(PipedObjects(repository)) as objects:
        record, faults = _record(objects, lines)
        problems += faults
        if since is not None:
            lines = _shortened(objects, lines, since)
        problems += _keys(walk, lines[layout.MAIN])
        judged, covered = _judge(repository, objects, lines, record, walk, progress)
    for branch, result in judged.items():
        problems += result.problems
        problems += _retired(branch, lines[branch], result)
        problems += _unpaired(branch, lines[branch], covered[branch], result)
        problems += _unstated(branch, result, record)
    problems += _checkpoints(record, lines)
    problems += _numbers(record)
    if witness is not None:
        problems += _compare(repository, witness, lines)
    released: Mapping[str, int] = {}
    if releases is not None:
        problems += [*compare(repository, ours, releases), *compare_checked(repository, ours, releases)]
        released = release_counts(repository, ours, len(list(recorded_folders(repository, ours))))
    followed = {} if signers is None else walk.brought
    commits = sum(len(line.commits) - line.known for line in lines.values())
    return AuditResult(commits, problems, followed, _imported(record, judged), released)


def _unfounded(repository: Path, main: str, tips: Mapping[str, str]) -> Iterator[Problem]:
    """Branches of backends that main does not have: with an ended key, somebody could start such a branch."""
    paths = git(repository, "ls-tree", "-r", "--name-only", main, "backends/").splitlines()
    named = {layout.backend_branch(path.removeprefix("backends/").removesuffix(".yaml")) for path in paths}
    for branch, tip in tips.items():
        if branch not in (layout.MAIN, layout.AUDIT) and branch not in named:
            yield Problem(branch, tip, "is the branch of a backend that main does not have")


def _keys(walk: KeyWalk, main: BranchHistory) -> Iterator[Problem]:
    for sha, reason in walk.refused.items():
        if main.positions[sha] >= main.known:
            yield Problem(layout.MAIN, sha, f"changes the server's keys, and {reason}: the change does not count")


def _line(repository: Path, tip: str) -> BranchHistory:
    commits = commits_between(repository, tip)
    return BranchHistory(commits, {sha: position for position, (sha, _) in enumerate(commits)})


def _record(objects: PipedObjects, lines: Mapping[str, BranchHistory]) -> tuple[AuditRecord, list[Problem]]:
    line = lines.get(layout.AUDIT)
    if line is None:
        return AuditRecord([], []), [
            Problem(layout.AUDIT, "", "the branch is gone: pushes and rollbacks can't be judged")
        ]
    try:
        return read_audit_record(objects, map(objects.commit, line.shas)), []
    except (Error, KeyError, ValueError) as error:
        return AuditRecord([], []), [Problem(layout.AUDIT, "", f"can't be read: {error}")]


def _shortened(objects: PipedObjects, lines: Mapping[str, BranchHistory], since: str) -> dict[str, BranchHistory]:
    """The commits after ``since``: a commit of a branch, or one of `audit`, which then counts for all branches."""
    starts: dict[str, int] = {}
    for branch, line in lines.items():
        if since in line.positions:
            starts[branch] = line.positions[since] + 1
    if not starts:
        raise invalid(f"expected a commit of a branch of the record, found {since!r}", "--since")
    if layout.AUDIT in starts:
        before = read_audit_record(objects, map(objects.commit, lines[layout.AUDIT].shas[: starts[layout.AUDIT]]))
        for branch, tip in before.checkpoints[-1].tips.items() if before.checkpoints else ():
            if branch in lines and tip in lines[branch].positions:
                starts[branch] = lines[branch].positions[tip] + 1
    return {branch: replace(line, known=starts.get(branch, 0)) for branch, line in lines.items()}


def _judge(
    repository: Path,
    objects: PipedObjects,
    lines: Mapping[str, BranchHistory],
    record: AuditRecord,
    walk: KeyWalk,
    progress: Progress,
) -> tuple[dict[str, ReplayResult], dict[str, dict[str, PushRecord]]]:
    mains = [(sha, objects.commit(sha).time) for sha in lines[layout.MAIN].shas]
    covered = {branch: pushed_commits(record, branch, line.positions, line.shas) for branch, line in lines.items()}
    ranges = []
    for branch, line in lines.items():
        for start in range(line.known, len(line.commits), _RANGE):
            part = line.commits[start : start + _RANGE]
            some = {sha: covered[branch][sha] for sha, _ in part if sha in covered[branch]}
            ranges.append(CommitRange(repository, branch, part, start == 0, some, walk.signers, walk.revoking, mains))
    total = sum(len(commit_range.commits) for commit_range in ranges)
    results = {branch: ReplayResult() for branch in lines}
    done = 0
    for commit_range, replayed in zip(ranges, _replayed(ranges, objects), strict=True):
        result = results[commit_range.branch]
        result.problems += replayed.problems
        result.signed_by |= replayed.signed_by
        result.retired |= replayed.retired
        result.imported |= replayed.imported
        done += len(commit_range.commits)
        progress(done, total)
    return results, covered


def _replayed(ranges: Sequence[CommitRange], objects: PipedObjects) -> Iterator[ReplayResult]:
    if len([commit_range for commit_range in ranges if len(commit_range.commits) > _RANGE // 4]) < 2:
        yield from (replay(commit_range, objects) for commit_range in ranges)
        return
    with ProcessPoolExecutor(_PROCESSES, get_context("spawn")) as pool:
        yield from pool.map(replay, ranges)


def _retired(branch: str, line: BranchHistory, judged: ReplayResult) -> Iterator[Problem]:
    """Commits by a key after the branch says that the key ended, whatever time they claim."""
    ended: set[str] = set()
    for sha in line.shas:
        if judged.signed_by.get(sha) in ended:
            yield Problem(branch, sha, f"is signed by {judged.signed_by[sha]}, which ended before")
        ended.update(judged.retired.get(sha, ()))


def _unpaired(
    branch: str, line: BranchHistory, covered: Mapping[str, PushRecord], judged: ReplayResult
) -> Iterator[Problem]:
    """The server's own commits that a receipt covers: somebody combined two histories."""
    for sha in line.shas[line.known :]:
        if sha in covered and sha in judged.signed_by:
            yield Problem(branch, sha, f"is signed by the server, but a receipt says {covered[sha].actor} pushed it")


def _unstated(branch: str, judged: ReplayResult, record: AuditRecord) -> Iterator[Problem]:
    """Imported commits without a statement of what was read."""
    stated = {statement.sha256 for statement in record.statements}
    for sha, digest in judged.imported.items():
        if digest not in stated:
            yield Problem(branch, sha, f"says Imported: {digest[:10] or 'nothing'}, which no statement on audit has")


def _imported(record: AuditRecord, judged: Mapping[str, ReplayResult]) -> dict[str, int]:
    counts = Counter(digest for result in judged.values() for digest in result.imported.values())
    return {
        f"statement {statement.number} of {statement.read_at:%Y-%m-%d} ({statement.source}, "
        f"{sum(table.rows for table in statement.tables.values())} rows, sha256 {statement.sha256[:10]})": count
        for statement in record.statements
        if (count := counts[statement.sha256])
    }


def _checkpoints(record: AuditRecord, lines: Mapping[str, BranchHistory]) -> Iterator[Problem]:
    last: dict[str, tuple[int, Checkpoint]] = {}
    reported: set[str] = set()
    for checkpoint in record.checkpoints:
        for branch, tip in checkpoint.tips.items():
            source = f"checkpoint {checkpoint.number} of {checkpoint.made_at:%Y-%m-%d %H:%M:%S} UTC"
            if branch in reported:
                continue
            if branch not in lines:
                reported.add(branch)
                yield Problem(branch, tip, f"{source} has this branch, which is gone")
                continue
            position = lines[branch].positions.get(tip)
            if position is None:
                reported.add(branch)
                yield Problem(
                    branch,
                    tip,
                    f"{source} has this tip, which is missing: rolled back, forked or swapped",
                )
            elif branch in last and position < last[branch][0]:
                reported.add(branch)
                yield Problem(
                    branch,
                    tip,
                    f"{source} has this tip, the one before it a later one: rolled back",
                )
            else:
                last[branch] = position, checkpoint


def _numbers(record: AuditRecord) -> Iterator[Problem]:
    for kind, numbers in (
        ("receipts", [receipt.number for receipt, _ in record.receipts]),
        ("checkpoints", [checkpoint.number for checkpoint in record.checkpoints]),
        ("statements of imports", [statement.number for statement in record.statements]),
    ):
        if numbers != list(range(1, len(numbers) + 1)):
            yield Problem(layout.AUDIT, "", f"the {kind} are not numbered in sequence")


def _compare(repository: Path, witness: Path, lines: Mapping[str, BranchHistory]) -> Iterator[Problem]:
    """Branches of the witness, an earlier copy, that are not part of the branches here."""
    for branch, tip in branches(witness).items():
        if not layout.is_branch(branch):
            continue
        line = lines.get(branch)
        if line is None:
            yield Problem(branch, tip, f"the witness {witness} has this branch, which is gone")
        elif tip not in line.positions:
            theirs = {sha for sha, _ in commits_between(witness, tip)}
            if line.commits and line.commits[-1][0] in theirs:
                yield Problem(branch, tip, f"the witness {witness} is ahead: it has commits that are missing here")
            else:
                yield Problem(branch, tip, f"the witness {witness} has another history")
