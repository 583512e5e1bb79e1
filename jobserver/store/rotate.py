"""A new key for the server, while it runs: main is told first, then the key file changes, then every other branch.

Each step is durable before the next, and `settle` completes what was interrupted: a key that main names counts.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from jobserver.domain import names
from jobserver.errors import conflict, not_found
from jobserver.store.disk import plainly
from jobserver.store.packs import sync_folder
from jobserver.store.repo import PRINCIPAL, SIGNERS, StateRepo
from jobserver.store.signing import SigningKey, fingerprint_of, signers_time

_ENDS = re.compile(r',?valid-before="[^"]*"')


def rotate(repo: StateRepo, now: datetime, revoked: str = "", at: datetime | None = None) -> str:
    """The new key's fingerprint. Raises `Error`.

    ``revoked`` ends that key instead of the current one, as of ``at``; if it is the current one, a new key begins.
    """
    writer = repo.writer
    with plainly(), writer.locked():
        _settle(repo, now)
        current = writer.keys.current()
        ended = revoked or current.fingerprint
        old = _text(repo).splitlines(keepends=True)
        if not any(fingerprint_of(line) == ended for line in old):
            raise not_found(f"allowed_signers names no key {ended}")
        if revoked and any(fingerprint_of(line) == ended and _ENDS.search(line) for line in old) and at is None:
            raise conflict(f"{ended} has ended already; --at ends it earlier")
        # No commit of a branch is ever older than the one before it, so neither is what a key ends with.
        moment = max(now, *(_time(repo, branch) for branch in writer.refs.branches()))
        lines = [_ending(line, at or moment) if fingerprint_of(line) == ended else line for line in old]
        new = current
        if ended == current.fingerprint:
            beside = _beside(writer.keys.path)
            beside.unlink(missing_ok=True)
            new = SigningKey.create(beside, PRINCIPAL)
            sync_folder(beside.parent)
            lines.append(new.allowed_from(moment))
        event = "key.revoked" if revoked else "keys.rotated"
        said = f"jobserver {'revoked' if revoked else 'retired'} {ended}"
        # The old key vouches for its successor, but a stolen one vouches for nothing.
        signing = new if revoked else current
        files = {SIGNERS: "".join(lines).encode()}
        writer.put(names.MAIN, files, said, event, moment, (("Retired", ended),), signing)
        _settle(repo, moment)
        return new.fingerprint


def settle(repo: StateRepo, now: datetime) -> None:
    """Completes a rotation that was interrupted; does nothing otherwise."""
    if _beside(repo.writer.keys.path).exists():
        with plainly(), repo.writer.locked():
            _settle(repo, now)


def _settle(repo: StateRepo, now: datetime) -> None:
    writer = repo.writer
    text = _text(repo)
    beside = _beside(writer.keys.path)
    if beside.exists():
        new = SigningKey.load(beside, PRINCIPAL)
        if not any(fingerprint_of(line) == new.fingerprint for line in text.splitlines()):
            beside.unlink()  # it never came to be
    for branch in writer.refs.branches():
        if branch != names.MAIN and writer.look(branch, lambda state: state.text(SIGNERS)) != text.encode():
            key = SigningKey.load(beside, PRINCIPAL) if beside.exists() else writer.keys.current()
            ended = [found for line in text.splitlines() if _ENDS.search(line) and (found := fingerprint_of(line))]
            said = "jobserver changed its keys"
            moment = max(now, _time(repo, branch))
            trailers = [("Retired", one) for one in ended]
            writer.put(branch, {SIGNERS: text.encode()}, said, "keys.rotated", moment, trailers, key)
    if beside.exists():
        beside.replace(writer.keys.path)
        sync_folder(beside.parent)


def _text(repo: StateRepo) -> str:
    return (repo.writer.look(names.MAIN, lambda state: state.text(SIGNERS)) or b"").decode()


def _time(repo: StateRepo, branch: str) -> datetime:
    return datetime.fromtimestamp(repo.writer.look(branch, lambda state: state.time), UTC)


def _ending(line: str, at: datetime) -> str:
    line = _ENDS.sub("", line)
    return line.replace(' namespaces="git"', f' namespaces="git",valid-before="{signers_time(at)}"', 1)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".new")
