"""A backend's push, looked through before git sees it, and git's own way of refusing one.

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
from jobserver.web.git.fetch_request import lines, packet

MAX_PUSH = 8 * 1024 * 1024
_UPDATE = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) ([^\0\n]{1,255})(?:\0([^\n]*))?\n?")
_SHALLOW = re.compile(rb"shallow [0-9a-f]{40}\n?")
_ZERO = "0" * 40
_UNPACKING = threading.BoundedSemaphore(2)  # each may hold what a pack unpacks to
_WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Push:
    """One move of ``ref`` from ``old`` to ``new``."""

    ref: bytes
    old: str
    new: str
    capabilities: frozenset[bytes]
    pack: bytes


def refusal(repo: StateRepo, ref: str, body: bytes) -> bytes | None:
    """The answer to a push that moves anything but ``ref``, or takes what that never had; None: git may see it.

    Raises `Error` (invalid) for a body that no git client sends.
    """
    push = _read(body)
    if push is None:
        return None  # what git asks first where a push is large: whether it would be let in
    if push.ref != ref.encode():
        return _refused(push, f"this token may push to {ref.removeprefix('refs/heads/')} only")
    if len(body) > MAX_PUSH:
        return _refused(push, f"{len(body)} bytes; at most {MAX_PUSH} are allowed: push fewer commits at a time")
    tip = repo.writer.refs.tip(ref.removeprefix("refs/heads/"))
    if not tip:
        return _refused(push, "its branch is not here")
    if push.new == _ZERO and not push.pack:
        return None  # the hook says why not
    if not _UNPACKING.acquire(timeout=_WAIT_SECONDS):
        raise unavailable("too many pushes at once: try again")
    try:
        # The branch may have moved since the client looked: git is going to say so, in words that the client knows.
        of = push.old if push.old != tip and is_ancestor(repo.path, push.old, tip) else tip
        problem = _problem(repo, of, push)
    except Error as error:
        if error.code is Code.UNAVAILABLE:
            raise
        problem = error.message
    finally:
        _UNPACKING.release()
    return _refused(push, problem) if problem else None


def without_shallow(body: bytes) -> bytes:
    """The same push without what it says of where its clone ends: git looks those ids up on every branch, and the pack
    was looked through without them."""
    said, end = lines(body)
    return b"".join(packet(line) for line in said if not _SHALLOW.fullmatch(line)) + b"0000" + body[end:]


def _problem(repo: StateRepo, tip: str, push: _Push) -> str:
    """Why git must not see this push; the same of what stands elsewhere, whatever it is, and of what is nowhere."""
    if not push.pack:
        return "it has no pack"
    sent, history = ReceivedPack(push.pack), History(repo.path, tip)
    with closing(PipedObjects(repo.path)) as objects:
        while bases := sent.bases:
            own = bases - history.without(bases)
            if not own:
                return "it has deltas of what is neither in it nor was ever on this branch"
            for base in own:
                sent.supply_base(base, *objects.typed(base))
    if not sent.is_whole:
        return "it has deltas of nothing"
    named = sent.referenced | {bytes.fromhex(push.new)}
    if history.without(named - sent.contained):
        return "it names what is neither in it nor was ever on this branch"
    if sent.contained - named:
        return "it brings what nothing of it names, which would be kept for ever"
    return ""


def _read(body: bytes) -> _Push | None:
    said, end = lines(body)
    moves = [line for line in said if not _SHALLOW.fullmatch(line)]
    if not moves and end == len(body):
        return None
    update = _UPDATE.fullmatch(moves[0]) if len(moves) == 1 else None
    if update is None:
        raise invalid("expected one line `<old> <new> <ref>`: one branch is pushed at a time, and unsigned")
    capabilities = frozenset((update[4] or b"").split())
    return _Push(update[3], update[1].decode(), update[2].decode(), capabilities, body[end:])


def _refused(push: _Push, reason: str) -> bytes:
    report = packet(f"unpack {reason}\n".encode()) + packet(b"ng %s refused\n" % push.ref) + b"0000"
    if not push.capabilities & {b"report-status", b"report-status-v2"}:
        report = b""
    if b"side-band-64k" not in push.capabilities:
        return report
    told = packet(b"\x02" + f"jobserver: refused: {reason}\n".encode())
    return told + (packet(b"\x01" + report) if report else b"") + b"0000"
