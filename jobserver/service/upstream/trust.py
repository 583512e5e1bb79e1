"""Decides whether commits that arrive from the hosted repository can be trusted.

The host runs none of our hooks, so a commit that is there may have bypassed every rule. A local branch follows the
hosted one only if all of these hold:

1. The branch only grew, by a line of commits. What a server has acknowledged must stay, and a merge has no commit
   before it that a signature could speak for. (`_line_problem`)
2. Main is here already. It names the keys that sign every branch.
3. A server signed each new commit (`_SignatureCheck`), that is:
   a. main names the key, and the key was valid at the commit's time;
   b. the key had not ended before: a thief can write any time into a commit;
   c. the commit names this branch (`Branch:`), or whoever can write to the host could pass off the history of one
      backend as that of another.
4. Or a receipt on `audit` covers it: this is how a server accepts what people and runners push. (`_without_receipt`)
   A receipt that is not part of `audit` here yet must be signed by a key that has not ended, for the reason of 3b.
5. Or this server's own key vouches for it: no server builds on commits that nobody judged. A later change of keys that
   our key signed vouches for all commits before it, as does, in a new clone, any commit that our key signed. This lets
   a server read history whose keys count no more. It ends with the commit that retires our key.

The rules of the domain are not applied again here: `audit verify` does that.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from jobserver.audit.receipts import pushed_commits, read_audit_record
from jobserver.audit.trailer_check import WITHOUT_DOCUMENTS
from jobserver.domain.base import layout
from jobserver.errors import Code, Error, invalid
from jobserver.store.git import trees
from jobserver.store.git.cat_file import PipedObjects, commits_between, first_parent_log
from jobserver.store.keys import signers as keys
from jobserver.store.keys.signing import SigningKey
from jobserver.store.read.commits import Commit
from jobserver.store.repo import SIGNERS

_CACHED = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrustContext:
    """Tips of other branches that a decision depends on.

    ``main`` here names the keys; `audit` here and on the host has the receipts.
    """

    main: str | None
    audit_here: str | None
    audit_there: str | None


@dataclass(frozen=True, slots=True)
class TrustDecision:
    """``problem``: what the hosted repository did that is not allowed; empty if the commits can be trusted.

    ``servers``: who wrote the commits, oldest first; "" stands for a person's or a runner's push. ``is_certain`` is
    False if something could not be read, so that the next try may decide otherwise.
    """

    problem: str
    servers: tuple[str, ...] = ()
    is_certain: bool = True


class TrustPolicy:
    """For one thread at a time: the one that has the writer's turn. Remembers its latest decisions."""

    def __init__(self, repository: Path, key: Callable[[], SigningKey]) -> None:
        """``key`` returns this server's key.

        The admin who installed it vouches for it, even if main here does not name it yet: it may replace a stolen key,
        whose signature on main counts no more.
        """
        self._path, self._key = repository, key
        self._decisions: dict[tuple[str, str | None, str | None], TrustDecision] = {}

    def is_refused(self, branch: str, old: str | None, new: str | None) -> bool:
        """Whether a problem between the two tips is known already."""
        decision = self._decisions.get((branch, old, new))
        return new is None or (decision is not None and bool(decision.problem))

    def judge(self, branch: str, old: str | None, new: str, context: TrustContext) -> TrustDecision:
        """Whether ``branch`` may move from ``old``, the tip here (None for a new branch), to ``new``."""
        try:
            ours = self._key().fingerprint
        except Error as error:
            _log.error("%s", error)
            return TrustDecision("can't be judged while this server's SIGNING_KEY can't be read", is_certain=False)
        question = branch, old, new
        decision = self._decisions.get(question)
        if decision is None or not decision.problem or "receipt" in decision.problem:  # a receipt may arrive later
            try:
                decision = self._judge(branch, old, new, context, ours)
            except (Error, KeyError, ValueError) as error:
                is_certain = isinstance(error, Error) and error.code is Code.INVALID
                decision = TrustDecision(f"has something that can't be read: {error}", is_certain=is_certain)
            if len(self._decisions) > _CACHED:
                self._decisions.clear()
            if decision.is_certain:
                self._decisions[question] = decision
        return decision

    def _judge(self, branch: str, old: str | None, new: str, context: TrustContext, ours: str) -> TrustDecision:
        line = commits_between(self._path, new, old or "")
        if problem := _line_problem(line, old, new):
            return TrustDecision(problem)
        if branch != layout.MAIN and context.main is None:
            return TrustDecision("can't be judged before main", is_certain=False)
        shas = [sha for sha, _ in line]
        objects = PipedObjects(self._path)
        try:
            check = _SignatureCheck(objects, branch, old, context.main, ours)
            for sha in shas:
                check.add(sha)
            unsigned = check.unsigned
            if unsigned and branch != layout.AUDIT and context.audit_there is not None:
                receipts = self._receipts(context, check.signers)
                unsigned = _without_receipt(objects, branch, shas, unsigned, receipts)
        finally:
            objects.close()
        if not unsigned:
            return TrustDecision("", tuple(check.servers))
        listed = ", ".join(sha[:10] for sha in unsigned[:5]) + (" ..." if len(unsigned) > 5 else "")
        return TrustDecision(
            f"has {listed}, which no server made or judged (it {check.reason}, and no receipt covers it)"
        )

    def _receipts(self, context: TrustContext, signers: Mapping[str, keys.Signer]) -> Iterator[Commit]:
        """The commits of `audit` on the host whose receipts count (rule 4), newest first."""
        assert context.audit_there is not None
        is_taken = False
        for commit in first_parent_log(self._path, context.audit_there):
            is_taken = is_taken or commit.sha == context.audit_here
            is_receipt = (commit.trailer("Event"), commit.trailer("Branch")) == ("push.received", layout.AUDIT)
            if is_receipt and (is_taken or _is_by_current(commit, signers)):
                yield commit


def _line_problem(line: Sequence[tuple[str, tuple[str, ...]]], old: str | None, new: str) -> str:
    """Rule 1. ``line``: the new commits with their parents, oldest first."""
    if not line:
        return f"went back to {new[:10]}, from {str(old)[:10]}"
    if line[0][1] != ((old,) if old else ()):
        return f"has another history than {str(old)[:10]}, which was acknowledged"
    for (before, _), (sha, parents) in pairwise(line):
        if parents != (before,):
            return f"has {sha[:10]}, which is a merge"
    return ""


def _without_receipt(
    objects: PipedObjects, branch: str, line: list[str], unsigned: Sequence[str], receipts: Iterable[Commit]
) -> list[str]:
    """Rule 4: those of ``unsigned`` that no receipt covers. Reads only as many receipts as it needs."""
    positions = {sha: position for position, sha in enumerate(line)}
    uncovered = set(unsigned)
    for commit in receipts:
        uncovered -= pushed_commits(read_audit_record(objects, [commit]), branch, positions, line).keys()
        if not uncovered:
            break
    return [sha for sha in unsigned if sha in uncovered]


class _SignatureCheck:
    """Rules 3 and 5, over the new commits of a branch, oldest first.

    ``unsigned``: commits that no server signed; ``reason``: why, for the first of them. ``servers``: who made each
    commit, "" if unsigned.
    """

    def __init__(self, objects: PipedObjects, branch: str, old: str | None, main: str | None, ours: str) -> None:
        self._objects, self._branch, self._is_new, self._ours = objects, branch, old is None, ours
        self._is_main = branch == layout.MAIN
        first = old if self._is_main else main
        self.signers: dict[str, keys.Signer] = self._with_ours(_signers_at(objects, first)) if first else {}
        before = old or (None if self._is_main else main)  # a new branch has not been told of any key's end
        self._ended = _ended(_signers_at(objects, before)) if before else set()
        self._is_ours_retired = False
        self.unsigned: list[str] = []
        self.servers: list[str] = []
        self.reason = ""

    def add(self, sha: str) -> None:
        commit = self._objects.commit(sha)
        if not self.signers:  # main is new here: its first commit names the keys
            self.signers = self._with_ours(_signers_at(self._objects, sha))
        try:
            signer = self._signer_of(commit)
        except Error as error:
            self.unsigned.append(sha)
            self.servers.append("")
            self.reason = self.reason or str(error)
            self._is_ours_retired = self._is_ours_retired or ("Retired", self._ours) in commit.trailers()
            return
        self.servers.append(commit.trailer("Server"))
        changes_keys = commit.trailer("Event") in WITHOUT_DOCUMENTS
        if signer == self._ours and (changes_keys or self._is_new) and not self._is_ours_retired:  # rule 5
            self.unsigned.clear()
            self.reason = ""
        if changes_keys:
            signers = _signers_at(self._objects, sha)
            self._ended |= _ended(signers)
            if self._is_main:
                self.signers = self._with_ours(signers)

    def _signer_of(self, commit: Commit) -> str:
        """The key's fingerprint. Raises `Error` if the signature does not count."""
        signer = keys.signed_by(commit, self.signers)
        if signer in self._ended:
            raise invalid(f"is signed by {signer}, which ended before")
        if commit.trailer("Branch") != self._branch:
            raise invalid(f"says Branch: {commit.trailer('Branch') or 'nothing'}, but is on {self._branch}")
        return signer

    def _with_ours(self, signers: Mapping[str, keys.Signer]) -> dict[str, keys.Signer]:
        return {self._ours: keys.Signer(self._ours)} | dict(signers)


def _is_by_current(commit: Commit, signers: Mapping[str, keys.Signer]) -> bool:
    try:
        return signers[keys.signed_by(commit, signers)].before is None
    except Error:
        return False


def _signers_at(objects: PipedObjects, commit: str) -> dict[str, keys.Signer]:
    """Raises `Error` (invalid) if the commit has no such file, as every commit by a server has."""
    tree = {entry.name: entry for entry in trees.entries(objects.tree(objects.commit(commit).tree))}
    entry = tree.get(SIGNERS.encode())
    if entry is None or not entry.mode.startswith(b"100"):
        raise invalid(f"{commit[:10]} has no {SIGNERS}")
    return keys.read(objects.raw(entry.sha).decode(errors="replace"))


def _ended(signers: Mapping[str, keys.Signer]) -> set[str]:
    return {signer.fingerprint for signer in signers.values() if signer.before is not None}
