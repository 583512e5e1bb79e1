"""A new key for the server, while it runs: main is told first, then the backends' branches, then the key file changes.

The old key signs what tells them of the new one: a runner sees its own branch only. Each step is durable before the
next, and `settle` completes what was interrupted: a key that main names counts.
"""

import logging
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.domain.base.permissions import SERVER, Actor
from jobserver.domain.record import check_key_change
from jobserver.errors import Error, conflict, invalid, not_found
from jobserver.store.fs import disk_errors, sync_folder
from jobserver.store.keys.key_walk import KeyWalk, follow
from jobserver.store.keys.signers import Signer, read
from jobserver.store.keys.signing import SigningKey, fingerprint_of, signers_time
from jobserver.store.repo import IF_LOST, PRINCIPAL, SIGNERS, StateRepo

_log = logging.getLogger(__name__)
_ENDS = re.compile(r',?valid-before="([^"]*)"')
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # there was no git; years of three digits no ssh-keygen reads


def rotate(
    repo: StateRepo,
    now: datetime,
    revoked: str = "",
    at: datetime | None = None,
    by: Actor = SERVER,
    via: str = "",
) -> str:
    """The new key's fingerprint. Raises `Error`.

    ``revoked`` ends that key instead of the current one, as of ``at`` or else now, so that all counts that it signed.
    If it is the current one, a new key begins; if it is lost, the key that is in its place becomes the new one.
    """
    writer = repo.writer
    with disk_errors(), writer.locked():
        _settle(repo, now)
        writer.read(layout.MAIN, lambda state: check_key_change(state, by))
        check_followed(repo)
        current = writer.keys.current()
        ended = revoked or current.fingerprint
        old = _text(repo).splitlines(keepends=True)
        if not any(fingerprint_of(line) == ended for line in old):
            raise not_found(f"allowed_signers names no key {ended}")
        # No commit of a branch is ever older than the one before it, so neither is what a key ends with.
        moment = max(now, *(_time(repo, branch) for branch in writer.refs.branches()))
        before = ended_at(repo, ended)
        _check_end(ended, at, before, moment)
        lines = [_ending(line, at or moment) if fingerprint_of(line) == ended else line for line in old]
        new = current
        is_successor = _is_successor(current, lines)
        if ended == current.fingerprint and before is None:
            beside = _beside(writer.keys.path)
            beside.unlink(missing_ok=True)
            new = SigningKey.create(beside, PRINCIPAL)
            sync_folder(beside.parent)
            lines.append(new.allowed_from(moment))
        elif is_successor:
            lines.append(new.allowed_from(moment))
        else:
            check_key(repo)
        if is_successor or followed(repo, alone=True).refused:
            _vouch(repo)  # for when it is not the current one any more
        event = "key.revoked" if revoked else "keys.rotated"
        said = f"{by.name} {'revoked' if revoked else 'retired'} {ended}"
        files = {SIGNERS: "".join(lines).encode()}
        trailers = [("Retired", ended), *([("Via", via)] if via else [])]
        writer.commit_files(layout.MAIN, files, said, event, moment, trailers=trailers, key=current, actor=by)
        _settle(repo, moment)
        return new.fingerprint


def followed(repo: StateRepo, alone: bool = False) -> KeyWalk:
    """Main's keys from its first commit, or those in the file ``SIGNING_KEY.signers`` if there is one; the key in
    SIGNING_KEY is vouched for by whoever put it there, too, but not ``alone``. Raises `Error`.
    """
    tip, path = repo.writer.refs.tip(layout.MAIN), _vouched(repo)
    if tip is None:
        return KeyWalk()
    trusted = list(read(path.read_text(), str(path)).values()) if path.exists() else []
    ours = repo.writer.keys.current() if not alone else None
    also = [Signer(ours.fingerprint, public=ours.public)] if ours else []
    return follow(repo.path, tip, [*trusted, *also], not trusted)


def check_followed(repo: StateRepo) -> None:
    """Raises `Error` (invalid) if main's keys were changed by whom they do not name: nothing may be built on that."""
    for commit, reason in followed(repo).refused.items():
        raise invalid(
            f"commit {commit[:10]} changes the server's keys, and {reason}: somebody wrote past the server, see"
            " docs/operations.md",
            f"{layout.MAIN}:{SIGNERS}",
        )


def check_key(repo: StateRepo) -> None:
    """Raises `Error` (invalid) unless main names our key as one that may sign: `audit verify` would believe no other.

    Nor would it believe a main whose keys somebody else changed (`check_followed`).

    An interrupted rotation has to be settled before.
    """
    writer = repo.writer
    if writer.refs.tip(layout.MAIN) is None:
        return
    ours, path = writer.keys.current().fingerprint, writer.keys.path
    check_followed(repo)
    wanted = f"copy the key that main's allowed_signers has without an end to there, {IF_LOST}"
    if not any(fingerprint_of(line) == ours for line in _text(repo).splitlines()):
        raise invalid(f"{path} holds {ours}, which is no key of this repository: {wanted}", "SIGNING_KEY")
    if (end := ended_at(repo, ours)) is not None:
        raise invalid(f"{path} holds {ours}, which has ended at {end:%Y-%m-%d %H:%M:%S} UTC: {wanted}", "SIGNING_KEY")


def is_current(repo: StateRepo) -> bool:
    """Whether main names our key as one that may sign."""
    try:
        check_key(repo)
    except Error:
        return False
    return True


def ended_at(repo: StateRepo, fingerprint: str) -> datetime | None:
    """When main says that this key ended; None if not, or if it does not know it."""
    for line in _text(repo).splitlines():
        if fingerprint_of(line) == fingerprint and (found := _ENDS.search(line)):
            return datetime.strptime(found[1], "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    return None


def _check_end(ended: str, at: datetime | None, before: datetime | None, moment: datetime) -> None:
    """What it signed may come to count less, never more."""
    if before is not None and (at is None or at.replace(microsecond=0) >= before):
        raise conflict(f"{ended} has ended already, at {before:%Y-%m-%d %H:%M:%S} UTC: --at can only end it earlier")
    if at is not None and at > moment:
        raise invalid(f"expected a time that is over, found {at:%Y-%m-%d %H:%M:%S} UTC", "--at")
    if at is not None and at < _EARLIEST:
        raise invalid(f"expected a time after {_EARLIEST:%Y-%m-%d}", "--at")


def _is_successor(key: SigningKey, lines: Sequence[str]) -> bool:
    """Whether this key takes the place of one that is lost: no other may sign, and it was never one of ours."""
    known = {fingerprint_of(line) for line in lines}
    return key.fingerprint not in known and all(_ENDS.search(line) for line in lines if fingerprint_of(line))


def settle(repo: StateRepo, now: datetime) -> None:
    """Completes a rotation that was interrupted; does nothing otherwise."""
    if _beside(repo.writer.keys.path).exists() or (_untold(repo) and is_current(repo)):
        with disk_errors(), repo.writer.locked():
            _settle(repo, now)


def _settle(repo: StateRepo, now: datetime) -> None:
    text = _text(repo)
    beside = _beside(repo.writer.keys.path)
    if beside.exists():
        new = SigningKey.load(beside, PRINCIPAL)
        if any(fingerprint_of(line) == new.fingerprint for line in text.splitlines()):
            check_followed(repo)
            _hand_over(repo, now, new)
            beside.replace(repo.writer.keys.path)
            sync_folder(beside.parent)
        else:
            beside.unlink()  # it never came to be
    if is_current(repo):
        for branch in _untold(repo):
            _tell(repo, branch, now)


def _hand_over(repo: StateRepo, now: datetime, new: SigningKey) -> None:
    """The key that goes tells the backends' branches of the next one, which then says so too: a server that hears of
    several changes at once goes by the word of the key that it has. Nothing that goes is younger than its end.
    """
    end = ended_at(repo, repo.writer.keys.current().fingerprint)
    for branch in _untold(repo):
        if branch != layout.AUDIT and end is not None and _time(repo, branch) <= end:
            _tell(repo, branch, end)
    for branch in _others(repo):
        _tell(repo, branch, max(now, end or now), new)


def _tell(repo: StateRepo, branch: str, now: datetime, key: SigningKey | None = None) -> None:
    """A branch that can't be written now (a hosted repository's, say) is told the next time: the key works without."""
    text = _text(repo)
    ended = [found for line in text.splitlines() if _ENDS.search(line) and (found := fingerprint_of(line))]
    trailers = [("Retired", one) for one in ended]
    moment = max(now, _time(repo, branch))
    said = "jobserver changed its keys"
    try:
        repo.writer.commit_files(
            branch, {SIGNERS: text.encode()}, said, "keys.rotated", moment, trailers=trailers, key=key
        )
    except Error as error:
        _log.warning("%s is not told of the keys yet, the next command or start does: %s", branch, error)


def _others(repo: StateRepo) -> list[str]:
    return [branch for branch in repo.writer.refs.branches() if branch != layout.MAIN]


def _untold(repo: StateRepo) -> list[str]:
    """Branches that name other keys than main does."""
    read, text = repo.writer.read, _text(repo).encode()
    return [branch for branch in _others(repo) if read(branch, lambda state: state.read_file(SIGNERS)) != text]


def _text(repo: StateRepo) -> str:
    return (repo.writer.read(layout.MAIN, lambda state: state.read_file(SIGNERS)) or b"").decode()


def _time(repo: StateRepo, branch: str) -> datetime:
    return datetime.fromtimestamp(repo.writer.read(branch, lambda state: state.time), UTC)


def _ending(line: str, at: datetime) -> str:
    line = _ENDS.sub("", line)
    return line.replace(' namespaces="git"', f' namespaces="git",valid-before="{signers_time(at)}"', 1)


def _vouch(repo: StateRepo) -> None:
    """Keeps that our key is the server's, where the record can't say it: the one before was lost."""
    path = _vouched(repo)
    new = path.with_name(f"{path.name}.new")
    with new.open("w") as file:
        file.writelines(one.line for one in followed(repo).signers.values())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def _vouched(repo: StateRepo) -> Path:
    path = repo.writer.keys.path
    return path.with_name(f"{path.name}.signers")


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".new")
