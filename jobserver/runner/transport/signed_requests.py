"""What of a backend's branch the server vouches for: gone over commit by commit, from the last one that it signed.

A request counts as the last commit that touched it left it, if a key of the server's signed that commit. Keys are
followed as everywhere (`jobserver.store.keys.key_walk`), from the one that the runner was told. History is a line: in a
merge there is no last commit. What was found is kept in a file, so that nothing is believed again after a restart.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from jobserver.errors import Error, conflict, invalid
from jobserver.store.keys.key_walk import KeyWalk
from jobserver.store.keys.signers import Signer, read
from jobserver.store.keys.signing import verify
from jobserver.store.read.tree_changes import Commit, parse_commit
from jobserver.store.repo import SIGNERS

_NEWEST = 100  # commits that are looked at for the last one that the server signed
_PATHS = (SIGNERS, ":(glob)active/**/request.yaml")
_AS_IT_IS = ("-c", "log.showRoot=true", "-c", "log.showSignature=false", "-c", "core.quotePath=true")


class Git(Protocol):
    def __call__(self, *arguments: str, stdin: bytes = b"") -> bytes: ...


@dataclass(slots=True)
class Found:
    """Up to the commit ``at``: ``requests``: path -> blob that the server brought; ``doubts``: path -> commit, why."""

    keys: KeyWalk
    at: str = ""
    requests: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, tuple[str, str]] = field(default_factory=dict)


class Vouched:
    """``signer``: the fingerprint of a key of the server's. ``deepen`` brings so many commits more, before the oldest.

    ``view`` is what was found up to the tip that `look` was given last.
    """

    def __init__(self, run: Git, folder: Path, branch: str, signer: str, deepen: Callable[[int], None]) -> None:
        self._run, self._folder, self._branch, self._signer, self._deepen = run, folder, branch, signer, deepen
        self._file = folder / "jobserver.vouched"
        self._known = self._read() or self._nothing()
        self.view = self._known
        self._tip = ""

    @property
    def at(self) -> str:
        """The last commit that the server signed, as far as it was looked at; empty if none."""
        return self._known.at

    def look(self, tip: str, wanted: Mapping[str, str]) -> None:
        """``wanted``: path -> blob of what is asked for at ``tip``. Raises `Error` (conflict) if there is a merge."""
        if tip == self._tip:
            return
        if self._known.at:
            self._go_on(tip, self._known.at)
        else:
            more = 200
            while not self._begin(tip, wanted):
                self._deepen(more)
                more *= 2
        self._tip = tip

    def _begin(self, tip: str, wanted: Mapping[str, str]) -> bool:
        """Over all that is here; False if what is asked for may be older, or the key that brought it."""
        self._known = self._nothing(self._predecessors(tip))
        oldest = line(self._run, tip)[0]
        if oldest not in self._shallow():
            self._go_on(tip, "")
            return True
        # Where a clone begins, everything seems to be brought by one commit: it only shows what stood there.
        with suppress(Error):
            self._known.keys.named = read(self._text(oldest).decode(errors="replace"))
        self._go_on(tip, oldest)
        return all(self.view.requests.get(path) == blob for path, blob in wanted.items())

    def _predecessors(self, tip: str) -> Iterable[Signer]:
        """Those that our key tells of itself, as it does when it begins: what they signed in their time counts."""
        found: dict[str, Signer] = {}
        told = self._run("rev-list", "--grep=^Event: keys.rotated$", tip).decode().split()
        for sha, commit in self._commits(told).items():
            with suppress(Error):
                says = commit.trailer("Event"), commit.trailer("Branch")
                if verify(commit.signature, commit.signed) == self._signer and says == ("keys.rotated", self._branch):
                    found |= read(self._text(sha).decode(errors="replace"))
        found.pop(self._signer, None)
        return found.values()

    def _go_on(self, tip: str, since: str) -> None:
        shas = line(self._run, tip, since)
        changes = self._changes(tip, since)
        self.view = deepcopy(self._known)
        self._walk(self.view, changes)
        newest = [since, *shas][-_NEWEST:]
        commits = self._commits([sha for sha in newest if sha])
        at = next((sha for sha in reversed(newest) if sha and self._is_signed(self.view.keys, commits[sha])), "")
        if at and at != self._known.at:
            after = set(shas[shas.index(at) + 1 :]) if at in shas else set(shas)
            left = {sha: paths for sha, paths in changes.items() if sha not in after}
            if len(left) == len(changes):
                self._known = deepcopy(self.view)
            else:  # what nobody vouches for may be another history the next time
                self._walk(self._known, left)
            self._known.at = at
            self._write()

    def _walk(self, found: Found, changes: Mapping[str, Mapping[str, str]]) -> None:
        commits = self._commits(changes)
        for sha, paths in changes.items():
            commit = commits[sha]
            reason = ""
            try:
                found.keys.signed_by(commit)
                if commit.trailer("Branch") != self._branch:
                    raise invalid("is signed for another branch")
            except Error as error:
                reason = str(error)
                commit = replace(commit, signature=b"")
            for path, blob in paths.items():
                found.requests.pop(path, None)
                found.doubts.pop(path, None)
                if path == SIGNERS:
                    found.keys.take(commit, self._blob(blob) if blob else None)
                elif blob and reason:
                    found.doubts[path] = sha, reason
                elif blob:
                    found.requests[path] = blob

    def _is_signed(self, keys: KeyWalk, commit: Commit) -> bool:
        try:
            return bool(keys.signed_by(commit)) and commit.trailer("Branch") == self._branch
        except Error:
            return False

    # What git says

    def _changes(self, tip: str, since: str) -> dict[str, dict[str, str]]:
        """commit -> path -> blob (empty: gone), oldest first; of a line, so that each is what that very commit did."""
        how = ("--reverse", "--format=%x00%H", "--raw", "-r", "--no-abbrev", "--no-renames", "--no-color")
        said = self._run(*_AS_IT_IS, "log", *how, _range(tip, since), "--", *_PATHS).decode(errors="surrogateescape")
        found: dict[str, dict[str, str]] = {}
        for part in said.split("\0")[1:]:
            sha, *rows = part.strip("\n").split("\n")
            paths = found.setdefault(sha, {})
            for row in rows:
                head, tab, path = row.partition("\t")
                if tab:
                    new = head.split(" ")[3]
                    paths[path] = "" if not new.strip("0") else new
        return found

    def _commits(self, shas: Iterable[str]) -> dict[str, Commit]:
        return {sha: parse_commit(sha, data) for sha, data in objects(self._run, shas).items()}

    def _text(self, commit: str) -> bytes:
        return self._run("cat-file", "blob", f"{commit}:{SIGNERS}")

    def _blob(self, sha: str) -> bytes:
        return self._run("cat-file", "blob", sha)

    def _shallow(self) -> list[str]:
        file = self._folder / "shallow"
        return file.read_text().split() if file.exists() else []

    # What is kept

    def _nothing(self, more: Iterable[Signer] = ()) -> Found:
        return Found(KeyWalk([*more, Signer(self._signer)], believes_first=False))

    def _read(self) -> Found | None:
        """None if there is nothing, or it began with another key."""
        try:
            kept: dict[str, Any] = json.loads(self._file.read_bytes())
            if kept["signer"] != self._signer:
                return None
            found = self._nothing()
            found.keys.signers, found.keys.named = _signers(kept["signers"]), _signers(kept["named"])
            found.keys.ended = set(kept["ended"])
            found.at, found.requests = kept["at"], dict(kept["requests"])
            found.doubts = {path: (sha, why) for path, (sha, why) in kept["doubts"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found

    def _write(self) -> None:
        known = self._known
        kept = {
            "signer": self._signer,
            "at": known.at,
            "requests": known.requests,
            "doubts": known.doubts,
            "signers": _rows(known.keys.signers),
            "named": _rows(known.keys.named),
            "ended": sorted(known.keys.ended),
        }
        beside = self._file.with_name(f"{self._file.name}.new")
        beside.write_text(json.dumps(kept))
        beside.replace(self._file)


def line(run: Git, tip: str, since: str = "") -> list[str]:
    """The commits after ``since`` up to ``tip``, oldest first. Raises `Error` (conflict) if they are no line."""
    said = run("rev-list", "--reverse", "--topo-order", "--parents", _range(tip, since)).decode()
    rows = [row.split(" ") for row in said.splitlines()]
    for sha, *parents in rows:
        if len(parents) > 1:
            raise conflict(f"the branch has a merge, {sha}: history is a line, and nothing of it is run")
    return [row[0] for row in rows]


def objects(run: Git, shas: Iterable[str]) -> dict[str, bytes]:
    """id -> content, asked for at once."""
    wanted: Sequence[str] = list(shas)
    said = run("cat-file", "--batch", stdin="\n".join([*wanted, ""]).encode()) if wanted else b""
    found = {}
    at = 0
    for sha in wanted:
        end = said.index(b"\n", at)
        size = int(said[at:end].split()[2])
        found[sha] = said[end + 1 : end + 1 + size]
        at = end + size + 2
    return found


def _range(tip: str, since: str) -> str:
    return f"{since}..{tip}" if since else tip


def _rows(signers: Mapping[str, Signer]) -> list[list[str | None]]:
    def text(at: datetime | None) -> str | None:
        return at.isoformat() if at else None

    return [[one.fingerprint, text(one.after), text(one.before)] for one in signers.values()]


def _signers(rows: list[list[str | None]]) -> dict[str, Signer]:
    def time(at: str | None) -> datetime | None:
        return datetime.fromisoformat(at) if at else None

    return {str(key): Signer(str(key), time(after), time(before)) for key, after, before in rows}
