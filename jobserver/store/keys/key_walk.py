"""Who may sign for the server, at one point of a branch after the other: only a key that is valid at that point may
change who is valid. Servers, `audit verify` and the runner's `--signer` all go by this.
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
from jobserver.store.read.tree_changes import Commit
from jobserver.store.repo import SIGNERS


class KeyWalk:
    """``signers`` count, by fingerprint, each in its time; ``ended`` are those of them that sign nothing from here on.

    ``refused``: commit -> why its change of keys does not count. ``brought``: key -> the commit that it came with,
    signed by a key before it. ``revoking``: commit -> the key that it is signed by, and ends as of an earlier time.
    """

    def __init__(self, trusted: Iterable[Signer] = (), believes_first: bool = True) -> None:
        """``trusted``: keys that somebody vouches for who is not the repository.

        ``believes_first``: the keys that the first commit names count too, if one of them signed it.
        """
        self._trusted = {one.fingerprint: one for one in trusted}
        self._believes_first = believes_first
        self.signers = dict(self._trusted)
        self.ended: set[str] = set()
        self.named: Mapping[str, Signer] = {}  # by the commit before
        self.refused: dict[str, str] = {}
        self.brought: dict[str, str] = {}
        self.revoking: dict[str, str] = {}

    def signed_by(self, commit: Commit) -> str:
        """The key that signed it, which may do so at this point. Raises `Error` (invalid) that says why it may not."""
        made_by = signed_by(commit, self.signers)
        if made_by in self.ended:  # whatever time the commit claims
            raise invalid(f"is signed by {made_by}, which had ended before")
        return made_by

    def take(self, commit: Commit, text: bytes | None) -> None:
        """Goes over a commit that changes `allowed_signers`; ``text`` is what it has then, None: it has none."""
        is_first = not commit.parents and self._believes_first
        try:
            named = read((text or b"").decode(errors="replace"))
            changed = {key: one for key, one in named.items() if self.named.get(key) != one}
            self.named = named
            if is_first:
                signed_by(commit, named)
            made_by = self._changed_by(commit, changed) if not is_first else ""
        except Error as error:
            self.refused[commit.sha] = str(error)
            return
        before = set(self.ended)
        for key, one in changed.items():
            if key not in self.signers and not is_first:
                self.brought[key] = commit.sha
            self.signers[key] = _narrowed(self.signers.get(key), one)
            if one.before is not None:
                self.ended.add(key)
        if made_by in changed and made_by not in before and not self.signers[made_by].was_valid(commit.at):
            self.revoking[commit.sha] = made_by

    def _changed_by(self, commit: Commit, changed: Mapping[str, Signer]) -> str:
        """The key that signed it, which may do so at this point, or brings nothing but what the trusted keys say."""
        try:
            return self.signed_by(commit)
        except Error:
            known = self._trusted
            if all(key in known and _narrowed(known[key], one) == known[key] for key, one in changed.items()):
                return verify(commit.signature, commit.signed)
            raise


def _narrowed(known: Signer | None, new: Signer) -> Signer:
    """In no more time than both have: what a key signed may come to count less, never more."""
    if known is None:
        return new
    after = max((one.after for one in (known, new) if one.after), default=None)
    before = min((one.before for one in (known, new) if one.before), default=None)
    return Signer(new.fingerprint, after, before, new.public or known.public)


def main_keys(repository: Path, trusted: Iterable[Signer] | None = None) -> KeyWalk:
    """Over main of a state repository, or a clone: from its first commit, or the keys that are ``trusted`` instead.

    Raises `Error` (invalid) for what is none.
    """
    tip = state_branches(repository)[layout.MAIN]
    walk = follow(repository, tip, trusted or (), trusted is None)
    if not walk.named:
        raise invalid(f"is no state repository: its main names no keys ({SIGNERS})", str(repository))
    return walk


def follow(repository: Path, tip: str, trusted: Iterable[Signer] = (), believes_first: bool = True) -> KeyWalk:
    """Over all of main, which ends at ``tip``, from its first commit. Not to be changed: it is kept.

    Raises `Error` (unavailable) if git can't read it.
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
                objects.tree(commit.tree)  # which hashes it: git, that found the file in there, did not
                walk.take(commit, objects.raw(bytes.fromhex(blob)) if blob else None)
    except KeyError as error:
        raise invalid(f"can't be read: {error.args[0]} is not there", str(repository)) from None
    finally:
        objects.close()
    return walk


def _line(repository: Path, tip: str) -> Iterator[tuple[str, list[str], str]]:
    """(commit, its parents, its `allowed_signers` as a blob's id or empty), oldest first.

    Asks for the file of each commit: git's own search for what changed it leaves a line where a merge offers another.
    """
    whole = ("-c", "core.commitGraph=false")
    said = git(repository, *whole, "rev-list", "--reverse", "--first-parent", "--parents", "--end-of-options", tip)
    rows = [row.split(" ") for row in said.splitlines()]
    asked = "".join(f"{sha}:{SIGNERS}\n" for sha, *_ in rows).encode()
    form = "--batch-check=%(objecttype) %(objectname)"
    done = run([*whole, "cat-file", form], repository=repository, input=asked)
    for (sha, *parents), line in zip(rows, done.stdout.decode(errors="replace").splitlines(), strict=True):
        kind, _, blob = line.partition(" ")
        yield sha, parents, blob if kind == "blob" else ""
