"""Follows the server's keys along a branch: only a key that is valid at a commit may change which keys are valid.

Servers, `audit verify` and the runner's `--signer` use the same rules.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.errors import Error, invalid
from jobserver.store.git.cat_file import PipedObjects, state_branches
from jobserver.store.git.command import git, run
from jobserver.store.keys.signers import Signer, read, signed_by
from jobserver.store.keys.signing import verify
from jobserver.store.read.commits import Commit
from jobserver.store.repo import SIGNERS


class KeyWalk:
    """``signers``: the keys so far, by fingerprint, each valid in its time. ``ended``: those that sign no more.

    ``refused``: commit -> why its change of keys does not count. ``brought``: key -> the commit that added it, signed
    by an earlier key. ``revoking``: commit -> the key that signed it, and that it ends as of an earlier time.
    """

    def __init__(self, trusted: Iterable[Signer] = (), believes_first: bool = True) -> None:
        """``trusted``: keys that come from elsewhere than the repository.

        ``believes_first``: the keys in the first commit count too, if one of them signed it.
        """
        self._trusted = {signer.fingerprint: signer for signer in trusted}
        self._believes_first = believes_first
        self.signers = dict(self._trusted)
        self.ended: set[str] = set()
        self.named: Mapping[str, Signer] = {}  # by the commit before
        self.refused: dict[str, str] = {}
        self.brought: dict[str, str] = {}
        self.revoking: dict[str, str] = {}

    def signed_by(self, commit: Commit) -> str:
        """The key that signed the commit and may do so here. Raises `Error` (invalid) with the reason if none may."""
        made_by = signed_by(commit, self.signers)
        if made_by in self.ended:  # the time that the commit claims does not count
            raise invalid(f"is signed by {made_by}, which ended before")
        return made_by

    def take(self, commit: Commit, text: bytes | None) -> None:
        """Follows a commit that changes `allowed_signers`. ``text``: the new contents; None if the file is gone."""
        is_first = not commit.parents and self._believes_first
        try:
            named = read((text or b"").decode(errors="replace"))
            changed = {key: signer for key, signer in named.items() if self.named.get(key) != signer}
            self.named = named
            if is_first:
                signed_by(commit, named)
            made_by = self._changed_by(commit, changed) if not is_first else ""
        except Error as error:
            self.refused[commit.sha] = str(error)
            return
        before = set(self.ended)
        for key, signer in changed.items():
            if key not in self.signers and not is_first:
                self.brought[key] = commit.sha
            self.signers[key] = _narrowed(self.signers.get(key), signer)
            if signer.before is not None:
                self.ended.add(key)
        if made_by in changed and made_by not in before and not self.signers[made_by].was_valid(commit.committed_at):
            self.revoking[commit.sha] = made_by

    def _changed_by(self, commit: Commit, changed: Mapping[str, Signer]) -> str:
        """The key that signed the commit. It may do so here, or the change only repeats the trusted keys."""
        try:
            return self.signed_by(commit)
        except Error:
            known = self._trusted
            if all(key in known and _narrowed(known[key], signer) == known[key] for key, signer in changed.items()):
                return verify(commit.signature, commit.signed)
            raise


def _narrowed(known: Signer | None, new: Signer) -> Signer:
    """The key with the time that both allow: later changes may make a key count less, never more."""
    if known is None:
        return new
    after = max((signer.after for signer in (known, new) if signer.after), default=None)
    before = min((signer.before for signer in (known, new) if signer.before), default=None)
    return Signer(new.fingerprint, after, before, new.public or known.public)


def main_keys(repository: Path, trusted: Iterable[Signer] | None = None) -> KeyWalk:
    """Follows main of a state repository, or of a clone: from its first commit, or from ``trusted`` keys instead.

    Raises `Error` (invalid) if it is not a state repository.
    """
    tip = state_branches(repository)[layout.MAIN]
    walk = follow(repository, tip, trusted or (), trusted is None)
    if not walk.named:
        raise invalid(f"is not a state repository: main names no keys ({SIGNERS})", str(repository))
    return walk


def follow(repository: Path, tip: str, trusted: Iterable[Signer] = (), believes_first: bool = True) -> KeyWalk:
    """Follows all of main up to ``tip``. Callers must not change the result, which is cached.

    Raises `Error` (unavailable) if git can't read main.
    """
    return _follow(repository, tip, tuple(trusted), believes_first)


@lru_cache(maxsize=4)
def _follow(repository: Path, tip: str, trusted: tuple[Signer, ...], believes_first: bool) -> KeyWalk:
    walk = KeyWalk(trusted, believes_first)
    objects = PipedObjects(repository)
    try:
        before = ""
        for sha, parents, blob in _line(repository, tip):
            if blob != before:
                before = blob
                if len(parents) > 1:
                    walk.refused[sha] = "is a merge"
                    continue
                commit = objects.commit(sha)
                objects.tree(commit.tree)  # which checks its hash; git did not when it found the file
                walk.take(commit, objects.raw(bytes.fromhex(blob)) if blob else None)
    except KeyError as error:
        raise invalid(f"can't be read: the object {error.args[0]} is missing", str(repository)) from None
    finally:
        objects.close()
    return walk


def _line(repository: Path, tip: str) -> Iterator[tuple[str, list[str], str]]:
    """(commit, its parents, the blob of its `allowed_signers` or empty), oldest first.

    Reads the file of each commit: `git log -- <file>` may follow a merge to another parent.
    """
    whole = ("-c", "core.commitGraph=false")
    listing = git(repository, *whole, "rev-list", "--reverse", "--first-parent", "--parents", "--end-of-options", tip)
    rows = [row.split(" ") for row in listing.splitlines()]
    requests = "".join(f"{sha}:{SIGNERS}\n" for sha, *_ in rows).encode()
    form = "--batch-check=%(objecttype) %(objectname)"
    done = run([*whole, "cat-file", form], repository=repository, input=requests)
    for (sha, *parents), line in zip(rows, done.stdout.decode(errors="replace").splitlines(), strict=True):
        kind, _, blob = line.partition(" ")
        yield sha, parents, blob if kind == "blob" else ""
