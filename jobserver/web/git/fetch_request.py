"""What a backend's fetch wants and has, read before git sees the request.

A v0 request: lines of ``want``, ``shallow``, ``deepen`` and ``filter``, a flush, then lines of ``have`` and ``done``
(gitprotocol-pack(5), "Packfile Negotiation").
"""

import re

from jobserver.errors import invalid
from jobserver.web.git.pkt_line import FLUSH, lines, packet, read_line

_MAX_WANTS = 16  # each may cost a process, and a backend is shown one ref
_WANT = re.compile(rb"want ([0-9a-f]{40})(?:[ \n].*)?", re.DOTALL)
_COMMIT = re.compile(rb"(?:have|shallow) ([0-9a-f]{40})\n?")
_FILTER = re.compile(rb"filter ([^\n]{1,200})\n?")
_DEEPEN = re.compile(rb"deepen(?:-since)? \d{1,19}\n?")


class Fetch:
    """``wants``: the commits to fetch, each once. ``commits``: these, and those that the client says it has. In hex.

    ``filters``: what the client wants to be left out. ``is_bare``: it says neither what it has nor how deep to go. So
    does git when it misses an object, with the filter `blob:none`; and a clone of everything.
    """

    def __init__(self, data: bytes) -> None:
        """Raises `Error` (invalid) for a request that git's client does not send."""
        request, end = lines(data)
        self.filters = {match[1].decode(errors="replace") for line in request if (match := _FILTER.fullmatch(line))}
        self._wanted = [line for line in request if not _FILTER.fullmatch(line)]
        self._had = _had(data[end:])
        wants = [match[1].decode() for line in self._wanted if (match := _WANT.fullmatch(line))]
        self.is_bare = not any(map(_COMMIT.fullmatch, self._had)) and not any(map(_DEEPEN.fullmatch, self._wanted))
        self.wants = list(dict.fromkeys(wants))
        named = [match[1].decode() for line in (*self._wanted, *self._had) if (match := _COMMIT.fullmatch(line))]
        self.commits = {*wants, *named}
        if len(self.wants) > _MAX_WANTS:
            raise invalid(f"more than {_MAX_WANTS} wants: expected the tip of the one branch that is listed")
        for line in self._wanted:
            if not (_WANT.fullmatch(line) or _COMMIT.fullmatch(line) or _DEEPEN.fullmatch(line)):
                raise invalid("expected `want`, `shallow`, `deepen` or `deepen-since`, as git's fetch sends them")

    def without(self, commits: set[str]) -> bytes:
        """The request without the lines that say that the client has these, and without its filters."""

        def encoded(request: list[bytes]) -> bytes:
            kept = [line for line in request if not _is_one_of(line, commits)]
            return b"".join(packet(line) if line else FLUSH for line in kept)

        return encoded(self._wanted) + FLUSH + encoded(self._had)


def _is_one_of(line: bytes, commits: set[str]) -> bool:
    match = _COMMIT.fullmatch(line)
    return match is not None and match[1].decode() in commits


def _had(data: bytes) -> list[bytes]:
    """The lines of `have` and `done`; "" for a flush."""
    result: list[bytes] = []
    offset = 0
    while offset < len(data):
        if data[offset : offset + 4] == FLUSH:
            result.append(b"")
            offset += 4
            continue
        line, offset = read_line(data, offset)
        if not _COMMIT.fullmatch(line) and line.rstrip(b"\n") != b"done":
            raise invalid("expected `have` and 40 hex digits, or `done`")
        result.append(line)
    return result
