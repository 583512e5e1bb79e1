"""Finds the requests on a backend's branch that the server signed.

A request counts if one of the server's keys signed the last commit that changed it. The keys are followed from the one
that the runner was started with (`jobserver.store.keys.key_walk`). History must be a line, because in a merge no commit
is the last. The findings are kept in a file, so that a restart does not trust what was refused before.
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
from jobserver.store.read.commits import Commit, parse_commit
from jobserver.store.repo import SIGNERS

_NEWEST = 100  # commits in which to look for the last one that the server signed
_PATHS = (SIGNERS, ":(glob)active/**/request.yaml")
_RAW_LOG = ("-c", "log.showRoot=true", "-c", "log.showSignature=false", "-c", "core.quotePath=true")


class Git(Protocol):
    def __call__(self, *arguments: str, stdin: bytes = b"") -> bytes: ...


@dataclass(slots=True)
class SignatureFindings:
    """Up to the commit ``tip``. ``requests``: path -> blob that the server signed.

    ``doubts``: path -> (the commit that nobody vouches for, why).
    """

    keys: KeyWalk
    tip: str = ""
    requests: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, tuple[str, str]] = field(default_factory=dict)


class SignedRequests:
    """``signer``: the fingerprint of a server's key. ``deepen`` fetches this many more commits before the oldest.

    ``findings``: up to the tip that `update` was called with last.
    """

    def __init__(self, run: Git, folder: Path, branch: str, signer: str, deepen: Callable[[int], None]) -> None:
        self._run, self._folder, self._branch, self._signer, self._deepen = run, folder, branch, signer, deepen
        self._file = folder / "jobserver.vouched"
        self._known = self._read() or self._nothing()
        self.findings = self._known
        self._tip = ""

    @property
    def signed_tip(self) -> str:
        """The last commit that the server signed; empty if none is known."""
        return self._known.tip

    def update(self, tip: str, wanted: Mapping[str, str]) -> None:
        """``wanted``: path -> blob of the requests at ``tip``. Raises `Error` (conflict) if there is a merge."""
        if tip == self._tip:
            return
        if self._known.tip:
            self._continue(tip, self._known.tip)
        else:
            more = 200
            while not self._begin(tip, wanted):
                self._deepen(more)
                more *= 2
        self._tip = tip

    def _begin(self, tip: str, wanted: Mapping[str, str]) -> bool:
        """Reads all commits here. False if a wanted request, or the key that signed it, may be in an older one."""
        self._known = self._nothing(self._predecessors(tip))
        oldest = line_of(self._run, tip)[0]
        if oldest not in self._shallow():
            self._continue(tip, "")
            return True
        # The oldest commit of a shallow clone seems to bring every file: its signature says nothing of them.
        with suppress(Error):
            self._known.keys.named = read(self._signers_at(oldest).decode(errors="replace"))
        self._continue(tip, oldest)
        return all(self.findings.requests.get(path) == blob for path, blob in wanted.items())

    def _predecessors(self, tip: str) -> Iterable[Signer]:
        """The earlier keys that our key named when it began. What they signed in their time counts."""
        signers: dict[str, Signer] = {}
        rotations = self._run("rev-list", "--grep=^Event: keys.rotated$", tip).decode().split()
        for sha, commit in self._commits(rotations).items():
            with suppress(Error):
                event = commit.trailer("Event"), commit.trailer("Branch")
                if verify(commit.signature, commit.signed) == self._signer and event == ("keys.rotated", self._branch):
                    signers |= read(self._signers_at(sha).decode(errors="replace"))
        signers.pop(self._signer, None)
        return signers.values()

    def _continue(self, tip: str, since: str) -> None:
        shas = line_of(self._run, tip, since)
        changes = self._changes(tip, since)
        self.findings = deepcopy(self._known)
        self._walk(self.findings, changes)
        newest = [since, *shas][-_NEWEST:]
        commits = self._commits([sha for sha in newest if sha])
        signed = next(
            (sha for sha in reversed(newest) if sha and self._is_signed(self.findings.keys, commits[sha])), ""
        )
        if signed and signed != self._known.tip:
            after = set(shas[shas.index(signed) + 1 :]) if signed in shas else set(shas)
            left = {sha: paths for sha, paths in changes.items() if sha not in after}
            if len(left) == len(changes):
                self._known = deepcopy(self.findings)
            else:  # unsigned commits may be gone at the next fetch
                self._walk(self._known, left)
            self._known.tip = signed
            self._write()

    def _walk(self, findings: SignatureFindings, changes: Mapping[str, Mapping[str, str]]) -> None:
        commits = self._commits(changes)
        for sha, paths in changes.items():
            commit = commits[sha]
            reason = ""
            try:
                findings.keys.signed_by(commit)
                if commit.trailer("Branch") != self._branch:
                    raise invalid("is signed for another branch")
            except Error as error:
                reason = str(error)
                commit = replace(commit, signature=b"")
            for path, blob in paths.items():
                findings.requests.pop(path, None)
                findings.doubts.pop(path, None)
                if path == SIGNERS:
                    findings.keys.take(commit, self._blob(blob) if blob else None)
                elif blob and reason:
                    findings.doubts[path] = sha, reason
                elif blob:
                    findings.requests[path] = blob

    def _is_signed(self, keys: KeyWalk, commit: Commit) -> bool:
        try:
            return bool(keys.signed_by(commit)) and commit.trailer("Branch") == self._branch
        except Error:
            return False

    # git

    def _changes(self, tip: str, since: str) -> dict[str, dict[str, str]]:
        """commit -> path -> blob (empty: removed), oldest first."""
        options = ("--reverse", "--format=%x00%H", "--raw", "-r", "--no-abbrev", "--no-renames", "--no-color")
        log = self._run(*_RAW_LOG, "log", *options, _range(tip, since), "--", *_PATHS).decode(errors="surrogateescape")
        changes: dict[str, dict[str, str]] = {}
        for part in log.split("\0")[1:]:
            sha, *rows = part.strip("\n").split("\n")
            paths = changes.setdefault(sha, {})
            for row in rows:
                head, tab, path = row.partition("\t")
                if tab:
                    new = head.split(" ")[3]
                    paths[path] = "" if not new.strip("0") else new
        return changes

    def _commits(self, shas: Iterable[str]) -> dict[str, Commit]:
        return {sha: parse_commit(sha, data) for sha, data in blobs_of(self._run, shas).items()}

    def _signers_at(self, commit: str) -> bytes:
        return self._run("cat-file", "blob", f"{commit}:{SIGNERS}")

    def _blob(self, sha: str) -> bytes:
        return self._run("cat-file", "blob", sha)

    def _shallow(self) -> list[str]:
        file = self._folder / "shallow"
        return file.read_text().split() if file.exists() else []

    # The file of findings

    def _nothing(self, more: Iterable[Signer] = ()) -> SignatureFindings:
        return SignatureFindings(KeyWalk([*more, Signer(self._signer)], believes_first=False))

    def _read(self) -> SignatureFindings | None:
        """None if there is nothing, or it began with another key."""
        try:
            kept: dict[str, Any] = json.loads(self._file.read_bytes())
            if kept["signer"] != self._signer:
                return None
            findings = self._nothing()
            findings.keys.signers, findings.keys.named = _signers(kept["signers"]), _signers(kept["named"])
            findings.keys.ended = set(kept["ended"])
            findings.tip, findings.requests = kept["at"], dict(kept["requests"])
            findings.doubts = {path: (sha, reason) for path, (sha, reason) in kept["doubts"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return findings

    def _write(self) -> None:
        known = self._known
        kept = {
            "signer": self._signer,
            "at": known.tip,
            "requests": known.requests,
            "doubts": known.doubts,
            "signers": _rows(known.keys.signers),
            "named": _rows(known.keys.named),
            "ended": sorted(known.keys.ended),
        }
        new = self._file.with_name(f"{self._file.name}.new")
        new.write_text(json.dumps(kept))
        new.replace(self._file)


def line_of(run: Git, tip: str, since: str = "") -> list[str]:
    """The commits after ``since`` up to ``tip``, oldest first. Raises `Error` (conflict) if one is a merge."""
    listing = run("rev-list", "--reverse", "--topo-order", "--parents", _range(tip, since)).decode()
    rows = [row.split(" ") for row in listing.splitlines()]
    for sha, *parents in rows:
        if len(parents) > 1:
            raise conflict(f"the branch has a merge, {sha}, so no request is run: the history must be a line")
    return [row[0] for row in rows]


def blobs_of(run: Git, shas: Iterable[str]) -> dict[str, bytes]:
    """id -> content of git objects, in one call."""
    wanted: Sequence[str] = list(shas)
    output = run("cat-file", "--batch", stdin="\n".join([*wanted, ""]).encode()) if wanted else b""
    contents = {}
    start = 0
    for sha in wanted:
        end = output.index(b"\n", start)
        size = int(output[start:end].split()[2])
        contents[sha] = output[end + 1 : end + 1 + size]
        start = end + size + 2
    return contents


def _range(tip: str, since: str) -> str:
    return f"{since}..{tip}" if since else tip


def _rows(signers: Mapping[str, Signer]) -> list[list[str | None]]:
    def text(time: datetime | None) -> str | None:
        return time.isoformat() if time else None

    return [[signer.fingerprint, text(signer.after), text(signer.before)] for signer in signers.values()]


def _signers(rows: list[list[str | None]]) -> dict[str, Signer]:
    def time(text: str | None) -> datetime | None:
        return datetime.fromisoformat(text) if text else None

    return {str(key): Signer(str(key), time(after), time(before)) for key, after, before in rows}
