"""Commits that came by way of a hosted repository: whether a server of ours made or judged each of them.

A server signs what it makes; what people and runners push has its signed receipt on `audit`. The host runs no hook of
ours, so whatever else stands there came past every rule. What was decided is not decided again: `audit verify` does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.audit import signers as keys
from jobserver.audit.agree import WITHOUT_DOCUMENTS
from jobserver.audit.receipts import covers, recorded
from jobserver.domain import names
from jobserver.errors import Code, Error
from jobserver.store.piped import PipedObjects, line_of, newest_first
from jobserver.store.signing import SigningKey

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

    def __init__(self, repository: Path, key: Callable[[], SigningKey]) -> None:
        """``key``: this server's. Whoever put it there vouches for it, also where main as it is here does not know it
        yet: it may have taken the place of one that was stolen, and vouches for nothing any more."""
        self._path, self._key = repository, key
        self._known: dict[tuple[str, str | None, str | None], Judged] = {}

    def is_known(self, branch: str, old: str | None, new: str | None) -> bool:
        """Whether a problem between the two was found before."""
        found = self._known.get((branch, old, new))
        return new is None or (found is not None and bool(found.problem))

    def _signers(self, commit: str) -> dict[str, keys.Signer]:
        ours = self._key().fingerprint
        return {ours: keys.Signer(ours)} | keys.read(keys.at(self._path, commit))

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
        ours = self._key().fingerprint
        signers = self._signers(first or shas[0])
        unsigned: list[str] = []
        servers: list[str] = []
        reason = ""
        objects = PipedObjects(self._path)
        try:
            for sha in shas:
                commit = objects.commit(sha)
                try:
                    made_by = keys.signed_by(commit, signers)
                except Error as error:
                    unsigned.append(sha)
                    servers.append("")
                    reason = reason or str(error)
                    continue
                servers.append(commit.trailer("Server"))
                is_of_keys = commit.trailer("Event") in WITHOUT_DOCUMENTS
                if made_by == ours and (is_of_keys or old is None):
                    # No server builds on what none has judged, and by then a key may vouch for nothing any more.
                    unsigned.clear()
                    reason = ""
                if branch == names.MAIN and is_of_keys:
                    signers = self._signers(sha)
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
