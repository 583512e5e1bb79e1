"""Judges every commit of a range of one branch again: its signature, parents and trailers, and its change by `admit`.

Each commit is judged on its parent's tree, so ranges can be judged in parallel.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import accumulate
from pathlib import Path

from jobserver.audit.receipts import PushRecord
from jobserver.audit.trailer_check import WITHOUT_DOCUMENTS, disagreements, with_release
from jobserver.domain.admit import POLICY, admit, newer_policy
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.base.state import PUSHED
from jobserver.domain.record import KEY_EVENTS, TRAILER, check_key_change, is_import
from jobserver.errors import Error, printable
from jobserver.store.git.cat_file import PipedObjects
from jobserver.store.keys.signers import Signer, signed_by
from jobserver.store.read.commits import Commit, forged_claims
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.read.tree_changes import read_changes
from jobserver.store.read.validate import OTHER_FILES

# The rules of each `Policy:`. Old policies stay as long as there is history that was judged by them.
_WITHOUT_CLAIMS = frozenset({"1"})  # policies that did not check the claims of pushed commits
POLICIES: dict[str, Callable[..., object]] = {
    str(number): partial(admit, policy=number) for number in range(1, POLICY + 1)
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the record. ``commit`` is empty if the problem is about a branch."""

    branch: str
    commit: str
    message: str

    def __str__(self) -> str:
        return printable(f"{self.branch} {self.commit[:10]}: {self.message}".replace(" :", ":", 1))


@dataclass(frozen=True, slots=True)
class CommitRange:
    """``commits``: (id, parents), oldest first. ``pushed_commits``: who pushed the commits without a server's key.

    ``revoking``: see `KeyWalk`. ``mains``: (commit of main, its time), oldest first, for commits that don't say on
    which main they were judged.
    """

    repository: Path
    branch: str
    commits: Sequence[tuple[str, tuple[str, ...]]]
    is_first: bool
    pushed_commits: Mapping[str, PushRecord]
    signers: Mapping[str, Signer]
    revoking: Mapping[str, str]
    mains: Sequence[tuple[str, int]]


@dataclass(slots=True)
class ReplayResult:
    """``signed_by``: commit -> fingerprint of the server's key; ``retired``: commit -> the keys that it ends.

    ``imported``: commit -> the digest of the statement that it names."""

    problems: list[Problem] = field(default_factory=list)
    signed_by: dict[str, str] = field(default_factory=dict)
    retired: dict[str, list[str]] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)


def replay(commit_range: CommitRange, objects: PipedObjects | None = None) -> ReplayResult:
    """``objects``: of the repository, to read from; else a git process of its own is started."""
    if objects is not None:
        return _Replay(commit_range, objects).run()
    with closing(PipedObjects(commit_range.repository)) as own:
        return _Replay(commit_range, own).run()


class _Replay:
    def __init__(self, commit_range: CommitRange, objects: PipedObjects) -> None:
        self._range, self._objects = commit_range, objects
        self._mains = {sha for sha, _ in commit_range.mains}
        self._times = list(accumulate((time for _, time in commit_range.mains), max))
        self._main_head: Head | None = None
        self._judged = ReplayResult()

    def run(self) -> ReplayResult:
        commit_range = self._range
        head: Head | None = None
        time = 0
        for number, (sha, parents) in enumerate(commit_range.commits):
            try:
                commit = self._objects.commit(sha)
                if head is None or head.tip != (parents[0] if parents else None):
                    head = Head.read(commit_range.branch, parents[0] if parents else None, self._objects)
                    time = head.time
                messages = list(self._judge(commit, head, is_root=commit_range.is_first and number == 0))
                if len(parents) != 1 and not (commit_range.is_first and number == 0):
                    messages.append("is a merge, or a second first commit: a branch has a linear history")
                if commit.sha in self._judged.signed_by and commit.time < time:
                    messages.append("is older than the commit before it")
                owners = head.owners
                head = Head(commit_range.branch, sha, commit.tree, commit.time)
                head.owners = owners if owners and not messages and owners.follow(self._changes) else None
                time = max(time, commit.time)
            except (Error, KeyError, ValueError) as error:
                messages = [f"can't be read: {error}"]
                head = None
            self._judged.problems += [Problem(commit_range.branch, sha, message) for message in messages]
        return self._judged

    def _judge(self, commit: Commit, head: Head, is_root: bool) -> Iterator[str]:
        branch = self._range.branch
        changes = read_changes(self._objects, branch, head.root, commit.tree, commit.trailer("Event") or PUSHED)
        self._changes = with_release(commit, changes.proposed)
        yield from map(str, changes.faults)
        problem = self._signature(commit)
        if problem is None:
            yield from self._by_server(commit, head, changes.others, is_root)
        elif (cover := self._range.pushed_commits.get(commit.sha)) is not None:
            if "allowed_signers" in changes.others:
                yield "changes allowed_signers, which only the server may write"
            if cover.policy not in _WITHOUT_CLAIMS:
                yield from forged_claims(commit, head.time)
            now = cover.received_at
            yield from self._admit(cover.actor, cover.policy, now, self._main_at(int(now.timestamp())), head)
        else:
            yield f"{problem}, and no receipt of a push covers it"

    def _signature(self, commit: Commit) -> str | None:
        """None if a key of the server that was valid then signed the commit; else the reason."""
        try:
            known = self._range.revoking.get(commit.sha)
            self._judged.signed_by[commit.sha] = known or signed_by(commit, self._range.signers)
        except Error as error:
            return str(error)
        return None

    def _by_server(self, commit: Commit, head: Head, others: list[str], is_root: bool) -> Iterator[str]:
        event = commit.trailer("Event")
        try:
            actor = Actor.parse(commit.trailer("Actor"))
        except ValueError:
            yield f"has no valid Actor: trailer: {commit.trailer('Actor')!r}"
            return
        yield from disagreements(commit, actor, self._changes, others)
        if is_import(event):
            self._judged.imported[commit.sha] = commit.trailer(TRAILER)
        if event in WITHOUT_DOCUMENTS:
            if set(others) - OTHER_FILES or (is_root != (event == "branch.opened")):
                yield f"says Event: {event}, but does something else"
            yield from self._check_actor(event, actor, head)
            self._judged.retired[commit.sha] = [value for key, value in commit.trailers() if key == "Retired"]
            return
        if is_root:
            yield "is the first commit of its branch, but does not open the branch"
        named = commit.trailer("Main")
        if named and named not in self._mains:
            yield f"says Main: {named[:10]}, which is not in the history of main"
            return
        main = named or self._main_at(commit.time)
        yield from self._admit(actor, commit.trailer("Policy"), commit.committed_at, main, head)

    def _check_actor(self, event: str, actor: Actor, head: Head) -> Iterator[str]:
        try:
            if event in KEY_EVENTS:
                check_key_change(Snapshot(self._objects, head, head), actor, head.branch)
            elif actor.kind is not ActorKind.SERVER:
                yield f"is by {actor}: only the server opens a branch"
        except Error as error:
            yield str(error)

    def _admit(self, actor: Actor, policy: str, now: datetime, main: str | None, head: Head) -> Iterator[str]:
        rules = POLICIES.get(policy)
        if rules is None:
            yield (
                newer_policy(policy)
                or f"says Policy: {policy or 'nothing'}, and there are only the policies 1 to {POLICY}"
            )
            return
        if actor.kind is not ActorKind.SERVER and head.branch == layout.AUDIT:
            yield f"is by {actor}: only the server writes {layout.AUDIT}"
        state = Snapshot(self._objects, head, head if head.branch == layout.MAIN else self._main(main))
        try:
            rules(state, self._changes, actor, now)
        except Error as error:
            yield from (str(fault) for fault in error.faults) if error.faults else [str(error)]

    def _main(self, sha: str | None) -> Head:
        if self._main_head is None or self._main_head.tip != sha:
            self._main_head = Head.read(layout.MAIN, sha, self._objects)
        return self._main_head

    def _main_at(self, time: int) -> str | None:
        """The last commit of main that is not newer than ``time``."""
        count = bisect_right(self._times, time)
        return self._range.mains[count - 1][0] if count else None
