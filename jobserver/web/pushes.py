"""A backend's push, looked through before git sees it, and git's own way of refusing one.

Formats: gitprotocol-pack(5), "Pushing Data To a Server"; gitprotocol-capabilities(5), side-band-64k and report-status.
"""

import re
from dataclasses import dataclass

from jobserver.errors import Error
from jobserver.store import thin
from jobserver.store.brought import not_in_history
from jobserver.store.git import is_ancestor
from jobserver.store.repo import StateRepo
from jobserver.web.wants import lines, packet

_UPDATE = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) ([^\0\n]+)(?:\0(.*))?\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Push:
    """``moves``: ref -> the id that the client takes for its tip."""

    moves: dict[bytes, str]
    capabilities: frozenset[bytes]
    pack: bytes


def refusal(repo: StateRepo, ref: str, body: bytes) -> bytes | None:
    """The answer to a push whose deltas are of what ``ref`` never had; None: git may see it.

    Raises `Error` (invalid) for a body that no git client sends.
    """
    push = _read(body)
    if not push.pack:
        return None
    try:
        wanted = thin.bases(push.pack)
    except Error as error:
        return _refused(push, error.message)
    tip = repo.writer.refs.tip(ref.removeprefix("refs/heads/"))
    if not tip:
        return _refused(push, "this branch is not here") if wanted else None
    # The branch may have moved since the client looked: git is going to say so, in words that the client knows.
    old = push.moves.get(ref.encode(), tip)
    of = old if old != tip and is_ancestor(repo.path, old, tip) else tip
    if strange := not_in_history(repo.path, of, wanted):
        return _refused(push, f"has deltas of {len(strange)} objects that were never on this branch")
    return None


def _read(body: bytes) -> _Push:
    said, end = lines(body)
    moves: dict[bytes, str] = {}
    capabilities: frozenset[bytes] = frozenset()
    for line in said:
        if update := _UPDATE.fullmatch(line):
            moves[update[3]] = update[1].decode()
            capabilities |= frozenset((update[4] or b"").split())
    return _Push(moves, capabilities, body[end:])


def _refused(push: _Push, reason: str) -> bytes:
    report = packet(f"unpack {reason}\n".encode())
    report += b"".join(packet(b"ng %s refused\n" % ref) for ref in push.moves) + b"0000"
    if not push.capabilities & {b"report-status", b"report-status-v2"}:
        report = b""
    if b"side-band-64k" not in push.capabilities:
        return report
    told = packet(b"\x02" + f"jobserver: refused: {reason}\n".encode())
    return told + b"".join(packet(b"\x01" + report[at : at + 60_000]) for at in range(0, len(report), 60_000)) + b"0000"
