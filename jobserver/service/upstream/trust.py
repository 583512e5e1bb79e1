"""Commits that came by way of a hosted repository: whether a server of ours made or judged each of them.

A server signs what it makes; what people and runners push has its signed receipt on `audit`. The host runs no hook of
ours, so whatever else stands there came past every rule. What was decided is not decided again: `audit verify` does.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.audit.receipts import pushed_commits, read_audit_record
from jobserver.audit.trailer_check import WITHOUT_DOCUMENTS
from jobserver.domain.base import names
from jobserver.errors import Code, Error, invalid
from jobserver.store.git import trees
from jobserver.store.git.cat_file import PipedObjects, commits_between, first_parent_log
from jobserver.store.keys import signers as keys
from jobserver.store.keys.signing import SigningKey
from jobserver.store.read.tree_changes import Commit
from jobserver.store.repo import SIGNERS

_KNOWN = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Beside:
    """Tips of other branches that a judgement rests on: ``main`` here, whose keys count, and `audit` here and there,
    where receipts are.
    """

    main: str | None
    audit_here: str | None
    audit_there: str | None


@dataclass(frozen=True, slots=True)
class Judged:
    """``problem``: what the hosted repository does with a branch that it may not; empty if it can be believed.

    ``servers``: who wrote the commits, oldest first, "" for what was pushed. Not ``is_certain``: it could not be read,
    which may be over at the next look.
    """

    problem: str
    servers: tuple[str, ...] = ()
    is_certain: bool = True


class Foreign:
    """For one thread at a time: whoever has the writer's turn."""

    def __init__(self, repository: Path, key: Callable[[], SigningKey]) -> None:
        """``key``: this server's. Whoever put it there vouches for it, also where main as it is here does not know it
        yet: it may have taken the place of one that was stolen, and vouches for nothing any more."""
        self._path, self._key = repository, key
        self._known: dict[tuple[str, str | None, str | None], Judged] = {}

    def is_known(self, branch: str, old: str | None, new: str | None) -> bool:
        """Whether a problem between the two was found before."""
        found = self._known.get((branch, old, new))
        return new is None or (found is not None and bool(found.problem))

    def judge(self, branch: str, old: str | None, new: str, beside: Beside) -> Judged:
        """``old``: what stands here; None for a branch that is new."""
        try:
            ours = self._key().fingerprint
        except Error as error:
            _log.error("%s", error)
            return Judged("can't be judged while this server's SIGNING_KEY can't be read", is_certain=False)
        asked = branch, old, new
        found = self._known.get(asked)
        if found is None or not found.problem or "receipt" in found.problem:  # the receipt may have come since
            try:
                found = self._judge(branch, old, new, beside, ours)
            except (Error, KeyError, ValueError) as error:
                is_certain = isinstance(error, Error) and error.code is Code.INVALID
                found = Judged(f"has something that can't be read: {error}", is_certain=is_certain)
            if len(self._known) > _KNOWN:
                self._known.clear()
            if found.is_certain:
                self._known[asked] = found
        return found

    def _judge(self, branch: str, old: str | None, new: str, beside: Beside, ours: str) -> Judged:
        line = commits_between(self._path, new, old or "")
        if not line:
            return Judged(f"went back to {new[:10]}, from {str(old)[:10]}")
        if line[0][1] != ((old,) if old else ()):
            return Judged(f"has another history than {str(old)[:10]}, which was acknowledged")
        shas = [sha for sha, _ in line]
        for before, (sha, parents) in zip(shas, line[1:], strict=False):
            if parents != (before,):
                return Judged(f"has {sha[:10]}, which is a merge")
        if branch != names.MAIN and beside.main is None:
            return Judged("can't be judged before main", is_certain=False)
        objects = PipedObjects(self._path)
        try:
            walk = _Walk(objects, branch, old, beside.main, ours)
            for sha in shas:
                walk.go_on(sha)
            unsigned = walk.unsigned
            if unsigned and branch != names.AUDIT and beside.audit_there is not None:
                unsigned = self._without_receipt(objects, branch, shas, unsigned, beside, walk.signers)
        finally:
            objects.close()
        if not unsigned:
            return Judged("", tuple(walk.servers))
        named = ", ".join(sha[:10] for sha in unsigned[:5]) + (" ..." if len(unsigned) > 5 else "")
        return Judged(f"has {named}, which no server made or judged (it {walk.reason}, and no receipt covers it)")

    def _without_receipt(
        self,
        objects: PipedObjects,
        branch: str,
        line: Sequence[str],
        unsigned: Sequence[str],
        beside: Beside,
        signers: Mapping[str, keys.Signer],
    ) -> list[str]:
        assert beside.audit_there is not None
        positions = {sha: at for at, sha in enumerate(line)}
        left = set(unsigned)
        is_judged = False
        for commit in first_parent_log(self._path, beside.audit_there):
            is_judged = is_judged or commit.sha == beside.audit_here
            if (commit.trailer("Event"), commit.trailer("Branch")) != ("push.received", names.AUDIT):
                continue
            if not is_judged and not _is_by_current(commit, signers):
                continue  # times are whatever a commit claims: it counts once `audit` is taken
            left -= pushed_commits(read_audit_record(objects, [commit]), branch, positions, list(line)).keys()
            if not left:
                break
        return [sha for sha in unsigned if sha in left]


class _Walk:
    """Over the new commits of a branch, oldest first: which of them no server signed."""

    def __init__(self, objects: PipedObjects, branch: str, old: str | None, main: str | None, ours: str) -> None:
        self._objects, self._branch, self._is_new, self._ours = objects, branch, old is None, ours
        self._is_main = branch == names.MAIN
        first = old if self._is_main else main
        self.signers: dict[str, keys.Signer] = self._with_ours(_signers_at(objects, first)) if first else {}
        before = old or (None if self._is_main else main)  # a branch that is new was told by nobody
        self._ended = _ended(_signers_at(objects, before)) if before else set()
        self._lost_ours = False
        self.unsigned: list[str] = []
        self.servers: list[str] = []
        self.reason = ""

    def go_on(self, sha: str) -> None:
        commit = self._objects.commit(sha)
        if not self.signers:  # a main that is new here: its first commit names the keys it begins with
            self.signers = self._with_ours(_signers_at(self._objects, sha))
        try:
            made_by = keys.signed_by(commit, self.signers)
            if made_by in self._ended:  # whatever time the commit claims, as `audit verify` has it
                raise invalid(f"is signed by {made_by}, which had ended before")
            if commit.trailer("Branch") != self._branch:
                raise invalid(f"says Branch: {commit.trailer('Branch') or 'nothing'}, and stands on {self._branch}")
        except Error as error:
            self.unsigned.append(sha)
            self.servers.append("")
            self.reason = self.reason or str(error)
            self._lost_ours = self._lost_ours or ("Retired", self._ours) in commit.trailers()
            return
        self.servers.append(commit.trailer("Server"))
        is_of_keys = commit.trailer("Event") in WITHOUT_DOCUMENTS
        if made_by == self._ours and (is_of_keys or self._is_new) and not self._lost_ours:
            # No server builds on what none has judged, and by then a key may vouch for nothing any more.
            self.unsigned.clear()
            self.reason = ""
        if is_of_keys:
            found = _signers_at(self._objects, sha)
            self._ended |= _ended(found)
            if self._is_main:
                self.signers = self._with_ours(found)

    def _with_ours(self, signers: Mapping[str, keys.Signer]) -> dict[str, keys.Signer]:
        return {self._ours: keys.Signer(self._ours)} | dict(signers)


def _is_by_current(commit: Commit, signers: Mapping[str, keys.Signer]) -> bool:
    try:
        return signers[keys.signed_by(commit, signers)].before is None
    except Error:
        return False


def _signers_at(objects: PipedObjects, commit: str) -> dict[str, keys.Signer]:
    """Raises `Error` (invalid) where there are none, as that of no commit that a server made."""
    tree = {entry.name: entry for entry in trees.entries(objects.tree(objects.commit(commit).tree))}
    found = tree.get(SIGNERS.encode())
    if found is None or not found.mode.startswith(b"100"):
        raise invalid(f"{commit[:10]} has no {SIGNERS}")
    return keys.read(objects.raw(found.sha).decode(errors="replace"))


def _ended(signers: Mapping[str, keys.Signer]) -> set[str]:
    return {one.fingerprint for one in signers.values() if one.before is not None}
