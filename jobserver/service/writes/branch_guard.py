"""Decides whether the writer may build on a branch: only if a server made or judged its commits.

The server's next commit vouches for all commits below it. So the writer must not build on a commit that somebody wrote
to the disk past every rule, or on a branch that went back or is gone. Commits of other servers, processes and commands
have a signature, and pushed commits have a receipt. All of them apply this rule, so a signed commit vouches for those
below it: if the tip is signed and descends from the last known tip, no other commit is read. The tips that this process
wrote itself are not checked.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from time import monotonic

from jobserver.audit.repository_check import UNEXPECTED_REF, anomalies, objects_of, wrong_objects
from jobserver.domain.admit import newer_policy
from jobserver.domain.base import layout
from jobserver.errors import Error, invalid, unavailable
from jobserver.service.upstream.trust import TrustContext, TrustPolicy
from jobserver.store.git.command import is_ancestor
from jobserver.store.git.objects import Objects
from jobserver.store.keys import signers as keys
from jobserver.store.keys.signing import KeyFile
from jobserver.store.read.commits import Commit, parse_commit
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.repo import GONE, PRINCIPAL, SIGNERS, StateRepo

_INSPECT_SECONDS = 30.0  # between two inspections while there are problems
_NEAR = 2_000  # commits to read here before asking git


class BranchGuard:
    """The `TipCheck` of a writer. Thread-safe."""

    def __init__(self, repo: StateRepo) -> None:
        self._path, self._refs = repo.path, repo.writer.refs
        self._keys = KeyFile(repo.writer.keys.path, PRINCIPAL)
        # In process, because `store.git.locks` would take a waiting `git cat-file` for a git process at work.
        self._objects = Objects(repo.path)
        self._policy = TrustPolicy(repo.path, self._keys.current)
        self._good: dict[str, str] = {}
        self._inspected: dict[str, str] = {}
        self._inspect_at = 0.0
        # The tips of the last checkpoint at the first `inspect`, from which later inspections begin too.
        self._began: dict[str, str] = {}
        self.idle: list[str] = []  # unexpected refs that change nothing, as of the last `inspect`
        self._guard = threading.RLock()

    def close(self) -> None:
        with self._guard:
            self._objects.close()

    def mark_good(self, branch: str, tip: str) -> None:
        """See `store.write.submission.TipCheck`."""
        self._good[branch] = tip

    def check(self, branch: str, tip: str | None, is_told: bool = True, objects: Objects | None = None) -> None:
        """See `store.write.submission.TipCheck`."""
        if tip is not None and self._good.get(branch) == tip:
            return
        with self._guard, self._reading(objects):
            known = self._known(branch)
            newer = self._newer_policy(tip) if tip is not None else ""  # even if a checkpoint vouches for the tip
            if tip == known and not newer:
                return
            problem = newer or (GONE if tip is None else self._problem(branch, known, tip, is_told))
            if not problem:
                if tip is not None and self._good.get(branch) in (None, known):
                    self._good[branch] = tip
            elif self._refs.tip(branch) == tip:  # else the branch has moved, and a decision on this tip has no effect
                raise unavailable(f"{problem}: nothing is written there", branch)

    @contextmanager
    def _reading(self, objects: Objects | None) -> Iterator[None]:
        before = self._objects
        self._objects = objects or before
        try:
            yield
        finally:
            self._objects = before

    def problems(self) -> dict[str, str]:
        """Branch, ref or file -> why no server builds on it, or what somebody changed on the disk."""
        branches = {layout.AUDIT, *filter(layout.is_branch, self._refs.branches()), *self._good}
        with suppress(Error):  # keeps the result of the last inspection
            if self._inspected and monotonic() >= self._inspect_at:
                self._inspect()
        problems = dict(self._inspected)
        if self._refs.tip(layout.AUDIT) is None and self._refs.tip(layout.MAIN) is not None:
            problems[layout.AUDIT] = GONE
        for branch in sorted(branches):
            try:
                self.check(branch, self._refs.tip(branch))
            except Error as error:
                problems[branch] = error.message
        return problems

    def inspect(self) -> dict[str, str]:
        """Checks the commits and objects since the last checkpoint, and all refs.

        `problems` lists what is wrong until somebody corrects it; `idle` lists refs that change nothing. Raises `Error`
        if the check is not possible.
        """
        self._inspect()
        return self.problems()

    def _inspect(self) -> None:
        with self._guard:
            self._inspect_at = monotonic() + _INSPECT_SECONDS
            by_ref = {ref: anomaly for ref, _, anomaly in anomalies(self._path)}
            problems = {ref: anomaly for ref, anomaly in by_ref.items() if anomaly != UNEXPECTED_REF}
            self.idle = [ref for ref, anomaly in by_ref.items() if anomaly == UNEXPECTED_REF]
            branches = self._refs.branches()
            tips = {branch: tip for branch, tip in branches.items() if layout.is_branch(branch)}
            known = self._began
            if not known:
                known |= {branch: sha for branch in tips if (sha := self._checkpointed(branch)) is not None}
                if layout.AUDIT in tips:
                    known[layout.AUDIT] = self._last_checkpoint(tips[layout.AUDIT])
            for branch, tip in tips.items():
                old = known.get(branch)
                if old is not None and old != tip and (problem := self._judged(branch, old, tip)):
                    problems[branch] = problem
            with objects_of(self._path) as objects:
                there = {branch: sha for branch, sha in known.items() if self._has(sha)}
                if damage := list(wrong_objects(objects, tips, there)):
                    problems["objects"] = ", ".join(damage[:5])
            self._inspected = problems

    def _last_checkpoint(self, audit: str) -> str:
        """The commit of `audit` that wrote the last checkpoint, or else the first commit."""
        commit = self._commit(audit)
        while commit.parents and commit.trailer("Event") != "tips.checkpointed":
            commit = self._commit(commit.parents[0])
        return commit.sha

    def _has(self, sha: str) -> bool:
        try:
            self._commit(sha)
        except (Error, KeyError, ValueError):
            return False
        return True

    def _known(self, branch: str) -> str | None:
        """The last tip of the branch that was known to be good."""
        return self._good.get(branch) or self._checkpointed(branch)

    def _checkpointed(self, branch: str) -> str | None:
        audit = self._refs.tip(layout.AUDIT)
        if branch == layout.AUDIT or audit is None:
            return None
        self.check(layout.AUDIT, audit)
        head = Head.read(layout.AUDIT, audit, self._objects)
        last = Snapshot(self._objects, head, head).checkpoint()
        return last.tips.get(branch) if last is not None else None

    def _newer_policy(self, tip: str) -> str:
        """After a downgrade, rules that this version does not know may hold on the branch: it must not break them."""
        try:
            return newer_policy(self._commit(tip).trailer("Policy"))
        except (Error, KeyError, ValueError):
            return ""  # `_problem` names it

    def _problem(self, branch: str, known: str | None, tip: str, is_told: bool) -> str:
        try:
            main = self._good_main(branch, known, tip) if is_told else known or tip
            if self._is_by_server(branch, known, tip, main):
                return ""
        except (Error, KeyError, ValueError, OSError) as error:
            return f"can't be judged: {error}"
        return self._judged(branch, known, tip, main)

    def _judged(self, branch: str, known: str | None, tip: str, main: str | None = None) -> str:
        audit = self._refs.tip(layout.AUDIT)
        context = TrustContext(main or self._refs.tip(layout.MAIN), audit, audit)
        return self._policy.judge(branch, known, tip, context).problem

    def _good_main(self, branch: str, known: str | None, tip: str) -> str | None:
        """The commit of main whose keys count. Checks it first, because an unchecked commit could name any key."""
        if branch == layout.MAIN:
            return known or tip
        main = self._refs.tip(layout.MAIN)
        if branch != layout.AUDIT:  # which is asked for where main was
            self.check(layout.MAIN, main)
        return main

    def _is_by_server(self, branch: str, known: str | None, tip: str, main: str | None) -> bool:
        commit = self._commit(tip)
        if commit.trailer("Branch") != branch or main is None or len(commit.parents) > 1:
            return False
        ours = self._keys.current().fingerprint
        try:
            made_by = keys.signed_by(commit, {ours: keys.Signer(ours)} | self._signers(main))
            before = self._signers(commit.parents[0]) if commit.parents else {}
        except Error:
            return False
        has_ended = made_by in before and before[made_by].before is not None  # whatever time the commit claims
        return not has_ended and (known is None or self._descends(commit, known))

    def _commit(self, sha: str) -> Commit:
        return parse_commit(sha, self._objects.raw(bytes.fromhex(sha)))

    def _signers(self, commit: str) -> dict[str, keys.Signer]:
        head = Head.read("", commit, self._objects)
        text = Snapshot(self._objects, head, head).read_file(SIGNERS)
        if text is None:
            raise invalid(f"{commit[:10]} has no {SIGNERS}")
        return keys.read(text.decode(errors="replace"))

    def _descends(self, commit: Commit, known: str) -> bool:
        ancestor = commit
        for _ in range(_NEAR):
            if len(ancestor.parents) != 1:
                return False
            if ancestor.parents[0] == known:
                return True
            ancestor = self._commit(ancestor.parents[0])
        return is_ancestor(self._path, known, ancestor.sha)


def guard_branches(repo: StateRepo) -> BranchGuard:
    """Makes the repository's writer refuse to build on commits that no server made or judged."""
    if not isinstance(repo.writer.tips.guard, BranchGuard):
        repo.writer.tips.guard = BranchGuard(repo)
    return repo.writer.tips.guard


def branch_problems(repo: StateRepo) -> Mapping[str, str]:
    return repo.writer.tips.guard.problems() if isinstance(repo.writer.tips.guard, BranchGuard) else {}
