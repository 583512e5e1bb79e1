"""A backend's push, checked before git sees it, and refused as git itself refuses one.

git completes a pack with objects from any branch, and so would reveal or reuse what a backend may not see.
Formats: gitprotocol-pack(5), "Pushing Data To a Server"; gitprotocol-capabilities(5), side-band-64k and report-status.
"""

import re
import threading
from contextlib import closing
from dataclasses import dataclass

from jobserver.errors import Code, Error, invalid, unavailable
from jobserver.store.git.cat_file import PipedObjects
from jobserver.store.git.command import is_ancestor
from jobserver.store.git.received_pack import ReceivedPack
from jobserver.store.git.revisions import History
from jobserver.store.repo import StateRepo
from jobserver.web.git.pkt_line import FLUSH, lines, packet

MAX_PUSH = 8 * 1024 * 1024
_UPDATE = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) ([^\0\n]{1,255})(?:\0([^\n]*))?\n?")
_SHALLOW = re.compile(rb"shallow [0-9a-f]{40}\n?")
_ZERO = "0" * 40
_UNPACKING = threading.BoundedSemaphore(2)  # each may hold what a pack unpacks to
_WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Push:
    """A request to move ``ref`` from ``old`` to ``new``, with the objects that this needs."""

    ref: bytes
    old: str
    new: str
    capabilities: frozenset[bytes]
    pack: bytes


def refusal(repo: StateRepo, ref: str, body: bytes) -> bytes | None:
    """The refusal of a push that moves another ref than ``ref``, or uses objects that this branch never had.

    None if git may see the push. Raises `Error`: invalid for a request that git's client does not send, unavailable.
    """
    push = _read(body)
    if push is None:
        return None  # before a large push, git's client sends an empty one to find out whether it may push
    if push.ref != ref.encode():
        return _refused(push, f"this token can push to {ref.removeprefix('refs/heads/')} only")
    if len(body) > MAX_PUSH:
        return _refused(push, f"{len(body)} bytes, and the limit is {MAX_PUSH}: push fewer commits at a time")
    tip = repo.writer.refs.tip(ref.removeprefix("refs/heads/"))
    if not tip:
        return _refused(push, "its branch does not exist")
    if push.new == _ZERO and not push.pack:
        return None  # a deletion: the hook refuses it, and says why
    if not _UNPACKING.acquire(timeout=_WAIT_SECONDS):
        raise unavailable("too many pushes at once: try again later")
    try:
        # The branch may have moved since the client fetched it: then git refuses, in words that its client knows.
        base = push.old if push.old != tip and is_ancestor(repo.path, push.old, tip) else tip
        problem = _problem(repo, base, push)
    except Error as error:
        if error.code is Code.UNAVAILABLE:
            raise
        problem = error.message
    finally:
        _UNPACKING.release()
    return _refused(push, problem) if problem else None


def without_shallow(body: bytes) -> bytes:
    """The push without its lines of ``shallow``: git looks these ids up on every branch."""
    request, end = lines(body)
    return b"".join(packet(line) for line in request if not _SHALLOW.fullmatch(line)) + FLUSH + body[end:]


def _problem(repo: StateRepo, tip: str, push: _Push) -> str:
    """Why git must not see this push. The same text whether an object is on another branch or does not exist."""
    if not push.pack:
        return "it has no pack"
    pack, history = ReceivedPack(push.pack), History(repo.path, tip)
    with closing(PipedObjects(repo.path)) as objects:
        while bases := pack.bases:
            own = bases - history.without(bases)
            if not own:
                return "it has deltas of objects that are neither in it nor in this branch's history"
            for base in own:
                pack.supply_base(base, *objects.typed(base))
    if not pack.is_whole:
        return "it has deltas without a base"
    named = pack.referenced | {bytes.fromhex(push.new)}
    if history.without(named - pack.contained):
        return "it names objects that are neither in it nor in this branch's history"
    if pack.contained - named:
        return "it has objects that none of its commits needs"
    return ""


def _read(body: bytes) -> _Push | None:
    """None for a push of nothing. Raises `Error` (invalid)."""
    request, end = lines(body)
    moves = [line for line in request if not _SHALLOW.fullmatch(line)]
    if not moves and end == len(body):
        return None
    update = _UPDATE.fullmatch(moves[0]) if len(moves) == 1 else None
    if update is None:
        raise invalid("expected one line `<old> <new> <ref>`: push one branch at a time, without --signed")
    capabilities = frozenset((update[4] or b"").split())
    return _Push(update[3], update[1].decode(), update[2].decode(), capabilities, body[end:])


def _refused(push: _Push, reason: str) -> bytes:
    """git's answer: ``reason`` as the unpacker's error, and as a line for the person who pushes."""
    report = packet(f"unpack {reason}\n".encode()) + packet(b"ng %s refused\n" % push.ref) + FLUSH
    if not push.capabilities & {b"report-status", b"report-status-v2"}:
        report = b""
    if b"side-band-64k" not in push.capabilities:
        return report
    message = packet(b"\x02" + f"jobserver: refused: {reason}\n".encode())
    return message + (packet(b"\x01" + report) if report else b"") + FLUSH
