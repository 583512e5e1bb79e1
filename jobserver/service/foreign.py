"""Commits that came by way of a hosted repository: whether a server of ours made or judged each of them.

A server signs what it makes; what people and runners push has its signed receipt on `audit`. The host runs no hook of
ours, so whatever else stands there came past every rule. What was decided is not decided again: `audit verify` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.audit import signers as keys
from jobserver.audit.agree import WITHOUT_DOCUMENTS
from jobserver.audit.receipts import covers, recorded
from jobserver.domain import names
from jobserver.errors import Code, Error
from jobserver.store.git import git
from jobserver.store.piped import PipedObjects, line_of, newest_first
from jobserver.store.repo import SIGNERS

_KNOWN = 100


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

    def __init__(self, repository: Path) -> None:
        self._path = repository
        self._known: dict[tuple[str, str | None, str | None], Judged] = {}

    def is_known(self, branch: str, old: str | None, new: str | None) -> bool:
        """Whether a problem between the two was found before."""
        found = self._known.get((branch, old, new))
        return new is None or (found is not None and bool(found.problem))

    def signers_at(self, commit: str) -> str:
        """The text of ``allowed_signers`` at a commit. Raises `Error` (unavailable) if it has none."""
        return git(self._path, "show", f"{commit}:{SIGNERS}")

    def judge(self, branch: str, old: str | None, new: str, main: str | None, audit: str | None) -> Judged:
        """``old``: what stands here; None for a branch that is new. ``main``, whose keys count; ``audit``, where
        receipts are.
        """
        asked = branch, old, new
        found = self._known.get(asked)
        if found is None or not found.problem or "receipt" in found.problem:  # the receipt may have come since
            try:
                found = self._judge(branch, old, new, main, audit)
            except (Error, KeyError, ValueError) as error:
                is_certain = isinstance(error, Error) and error.code is Code.INVALID
                found = Judged(f"has something that can't be read: {error}", is_certain=is_certain)
            if len(self._known) > _KNOWN:
                self._known.clear()
            if found.is_certain:
                self._known[asked] = found
        return found

    def _judge(self, branch: str, old: str | None, new: str, main: str | None, audit: str | None) -> Judged:
        line = line_of(self._path, new, old or "")
        if not line:
            return Judged(f"went back to {new[:10]}, from {str(old)[:10]}")
        if line[0][1] != ((old,) if old else ()):
            return Judged(f"has another history than {str(old)[:10]}, which was acknowledged")
        shas = [sha for sha, _ in line]
        for before, (sha, parents) in zip(shas, line[1:], strict=False):
            if parents != (before,):
                return Judged(f"has {sha[:10]}, which is a merge")
        first = old if branch == names.MAIN else main
        signers = keys.read(self.signers_at(first or shas[0]))
        unsigned: list[str] = []
        servers: list[str] = []
        reason = ""
        objects = PipedObjects(self._path)
        try:
            for sha in shas:
                commit = objects.commit(sha)
                try:
                    keys.signed_by(commit, signers)
                except Error as error:
                    unsigned.append(sha)
                    servers.append("")
                    reason = reason or str(error)
                    continue
                servers.append(commit.trailer("Server"))
                if branch == names.MAIN and commit.trailer("Event") in WITHOUT_DOCUMENTS:
                    signers = keys.read(self.signers_at(sha))
            if unsigned and branch != names.AUDIT and audit is not None:
                unsigned = self._without_receipt(objects, branch, shas, unsigned, audit, signers)
        finally:
            objects.close()
        if not unsigned:
            return Judged("", tuple(servers))
        named = ", ".join(sha[:10] for sha in unsigned[:5]) + (" ..." if len(unsigned) > 5 else "")
        return Judged(f"has {named}, which no server made or judged (it {reason}, and no receipt covers it)")

    def _without_receipt(
        self,
        objects: PipedObjects,
        branch: str,
        line: Sequence[str],
        unsigned: Sequence[str],
        audit: str,
        signers: Mapping[str, keys.Signer],
    ) -> list[str]:
        positions = {sha: at for at, sha in enumerate(line)}
        left = set(unsigned)
        for commit in newest_first(self._path, audit):
            if commit.trailer("Event") != "push.received":
                continue
            try:
                keys.signed_by(commit, signers)
            except Error:
                continue  # a receipt that anybody could have written
            left -= covers(recorded(objects, [commit]), branch, positions, list(line)).keys()
            if not left:
                break
        return [sha for sha in unsigned if sha in left]
