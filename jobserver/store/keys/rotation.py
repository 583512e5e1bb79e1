"""Gives the running server a new key: main names the new key first, then the backends' branches, then the key file
changes.

The old key signs these commits, because a runner sees only its own branch. Each step is durable before the next, and
`settle` completes an interrupted rotation: a key that main names counts.
"""

import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.domain.base.permissions import SERVER, Actor
from jobserver.domain.record import check_key_change
from jobserver.errors import Error, conflict, invalid, not_found
from jobserver.store.fs import disk_errors, move_durably, replace_durably
from jobserver.store.keys.key_walk import KeyWalk, follow
from jobserver.store.keys.signers import Signer, read
from jobserver.store.keys.signing import SigningKey, fingerprint_of, signers_time
from jobserver.store.repo import IF_LOST, PRINCIPAL, SIGNERS, StateRepo

_log = logging.getLogger(__name__)
_ENDS = re.compile(r',?valid-before="([^"]*)"')
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # before git; ssh-keygen does not read years of three digits


def rotate(
    repo: StateRepo,
    now: datetime,
    revoked: str = "",
    ends_at: datetime | None = None,
    by: Actor = SERVER,
    via: str = "",
) -> str:
    """Ends the current key and starts a new one; returns the new key's fingerprint. Raises `Error`.

    ``revoked``: ends this key instead. ``ends_at``: until when the key's signatures count; by default until now. If
    ``revoked`` is the current key, a new key starts; if it is lost, the key in its file becomes the new one.
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
        # Commits of a branch never go back in time, so the commit that ends a key must not either.
        moment = max(now, *(_time(repo, branch) for branch in writer.refs.branches()))
        before = ended_at(repo, ended)
        _check_end(ended, ends_at, before, moment)
        lines = [_ending(line, ends_at or moment) if fingerprint_of(line) == ended else line for line in old]
        new = current
        is_successor = _is_successor(current, lines)
        if ended == current.fingerprint and before is None:
            beside = _beside(writer.keys.path)
            beside.unlink(missing_ok=True)
            new = SigningKey.create(beside, PRINCIPAL)
            lines.append(new.allowed_from(moment))
        elif is_successor:
            lines.append(new.allowed_from(moment))
        else:
            check_key(repo)
        if is_successor or followed(repo, record_only=True).refused:
            _vouch(repo)  # the record alone does not lead to this key
        event = "key.revoked" if revoked else "keys.rotated"
        subject = f"{by.name} {'revoked' if revoked else 'retired'} {ended}"
        files = {SIGNERS: "".join(lines).encode()}
        trailers = [("Retired", ended), *([("Via", via)] if via else [])]
        writer.commit_files(layout.MAIN, files, subject, event, moment, trailers=trailers, key=current, actor=by)
        _settle(repo, moment)
        return new.fingerprint


def followed(repo: StateRepo, record_only: bool = False) -> KeyWalk:
    """The keys of main from its first commit, or from the file ``SIGNING_KEY.signers`` if there is one. Trusts the key
    in SIGNING_KEY as well, unless ``record_only``. Raises `Error`.
    """
    tip, path = repo.writer.refs.tip(layout.MAIN), _vouched(repo)
    if tip is None:
        return KeyWalk()
    trusted = list(read(path.read_text(), str(path)).values()) if path.exists() else []
    ours = repo.writer.keys.current() if not record_only else None
    also = [Signer(ours.fingerprint, public=ours.public)] if ours else []
    return follow(repo.path, tip, [*trusted, *also], not trusted)


def check_followed(repo: StateRepo) -> None:
    """Raises `Error` (invalid) if somebody changed main's keys without one of them: nothing may be built on that."""
    for commit, reason in followed(repo).refused.items():
        raise invalid(
            f"commit {commit[:10]} changes the server's keys, and {reason}: somebody wrote to the repository directly,"
            " see docs/operations.md",
            f"{layout.MAIN}:{SIGNERS}",
        )


def check_key(repo: StateRepo) -> None:
    """Raises `Error` (invalid) unless main passes `check_followed` and names our key as one that may sign.

    `audit verify` would not accept our commits otherwise. Settle an interrupted rotation first.
    """
    writer = repo.writer
    if writer.refs.tip(layout.MAIN) is None:
        return
    ours, path = writer.keys.current().fingerprint, writer.keys.path
    check_followed(repo)
    advice = f"copy the key that main's allowed_signers names without an end there, {IF_LOST}"
    if not any(fingerprint_of(line) == ours for line in _text(repo).splitlines()):
        raise invalid(f"{path} holds {ours}, which is not a key of this repository: {advice}", "SIGNING_KEY")
    if (end := ended_at(repo, ours)) is not None:
        raise invalid(f"{path} holds {ours}, which ended at {end:%Y-%m-%d %H:%M:%S} UTC: {advice}", "SIGNING_KEY")


def is_current(repo: StateRepo) -> bool:
    """Whether `check_key` passes."""
    try:
        check_key(repo)
    except Error:
        return False
    return True


def ended_at(repo: StateRepo, fingerprint: str) -> datetime | None:
    """When the key ended, by main; None if the key has no end, or main does not name it."""
    for line in _text(repo).splitlines():
        if fingerprint_of(line) == fingerprint and (end := _ENDS.search(line)):
            return datetime.strptime(end[1], "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    return None


def _check_end(ended: str, end: datetime | None, before: datetime | None, moment: datetime) -> None:
    """Raises `Error` if the end would make the key's signatures count longer, or is in the future."""
    if before is not None and (end is None or end.replace(microsecond=0) >= before):
        raise conflict(f"{ended} already ended at {before:%Y-%m-%d %H:%M:%S} UTC: --at can only set an earlier end")
    if end is not None and end > moment:
        raise invalid(f"expected a time in the past, found {end:%Y-%m-%d %H:%M:%S} UTC", "--at")
    if end is not None and end < _EARLIEST:
        raise invalid(f"expected a time after {_EARLIEST:%Y-%m-%d}", "--at")


def _is_successor(key: SigningKey, lines: Sequence[str]) -> bool:
    """Whether this key replaces a lost one: no other key may sign, and main never named this one."""
    known = {fingerprint_of(line) for line in lines}
    return key.fingerprint not in known and all(_ENDS.search(line) for line in lines if fingerprint_of(line))


def settle(repo: StateRepo, now: datetime) -> None:
    """Completes an interrupted rotation; does nothing otherwise."""
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
            move_durably(beside, repo.writer.keys.path)
        else:
            beside.unlink()  # main never named it
    if is_current(repo):
        for branch in _untold(repo):
            _tell(repo, branch, now)


def _hand_over(repo: StateRepo, now: datetime, new: SigningKey) -> None:
    """The old key signs the change on the backends' branches, then the new key signs it too: a server that gets several
    changes at once trusts the key that it knows. The old key's commits are not younger than its end.
    """
    end = ended_at(repo, repo.writer.keys.current().fingerprint)
    for branch in _untold(repo):
        if branch != layout.AUDIT and end is not None and _time(repo, branch) <= end:
            _tell(repo, branch, end)
    for branch in _others(repo):
        _tell(repo, branch, max(now, end or now), new)


def _tell(repo: StateRepo, branch: str, now: datetime, key: SigningKey | None = None) -> None:
    """Writes main's keys to a branch. If that fails now, for example in a hosted repository, the next start does it."""
    text = _text(repo)
    ended = [key_id for line in text.splitlines() if _ENDS.search(line) and (key_id := fingerprint_of(line))]
    trailers = [("Retired", key_id) for key_id in ended]
    moment = max(now, _time(repo, branch))
    subject = "jobserver changed its keys"
    try:
        repo.writer.commit_files(
            branch, {SIGNERS: text.encode()}, subject, "keys.rotated", moment, trailers=trailers, key=key
        )
    except Error as error:
        _log.warning("%s does not have the new keys yet; the next command or start writes them: %s", branch, error)


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


def _ending(line: str, end: datetime) -> str:
    line = _ENDS.sub("", line)
    return line.replace(' namespaces="git"', f' namespaces="git",valid-before="{signers_time(end)}"', 1)


def _vouch(repo: StateRepo) -> None:
    """Records beside the key that it is the server's: the record can't say that if the key before was lost."""
    lines = "".join(signer.line for signer in followed(repo).signers.values())
    replace_durably(_vouched(repo), lines.encode(), 0o644)


def _vouched(repo: StateRepo) -> Path:
    path = repo.writer.keys.path
    return path.with_name(f"{path.name}.signers")


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".new")
