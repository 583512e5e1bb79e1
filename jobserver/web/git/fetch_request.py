"""What a fetch wants, or a push moves, read from its request before git sees it.

pkt-lines up to the first flush (gitprotocol-pack(5)), perhaps gzipped.
"""

import re
import zlib

from jobserver.errors import invalid
from jobserver.web.http import MAX_BODY

_MAX_WANTS = 16  # each may cost a process; a backend is shown one ref
_WANT = re.compile(rb"want ([0-9a-f]{40})(?:[ \n].*)?", re.DOTALL)
_NAMED = re.compile(rb"(?:have|shallow) ([0-9a-f]{40})\n?")
_DEEPEN = re.compile(rb"deepen(?:-since)? \d{1,19}\n?")
_LENGTH = re.compile(rb"[0-9a-f]{4}")


def packet(data: bytes) -> bytes:
    return b"%04x%s" % (len(data) + 4, data)


def plain(body: bytes, encoding: str) -> bytes:
    """The body as git wrote it. Raises `Error` (invalid) if that is no gzip, or more than `MAX_BODY`."""
    if encoding.lower() not in ("gzip", "x-gzip"):
        return body
    stream = zlib.decompressobj(wbits=31)
    try:
        data = stream.decompress(body, MAX_BODY)
    except zlib.error:
        raise invalid("the body can't be read: expected gzip, as its Content-Encoding says") from None
    if not stream.eof:
        raise invalid(f"the body is cut off, or more than {MAX_BODY} bytes")
    return data


def lines(data: bytes) -> tuple[list[bytes], int]:
    """(the lines before the first flush, where that ends). Raises `Error` (invalid) for what no git client says."""
    found = []
    at = 0
    while data[at : at + 4] != b"0000":
        line, at = _line(data, at)
        found.append(line)
    return found, at + 4


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    """(the line that begins at ``at``, where the next one does)."""
    length = data[at : at + 4]
    size = int(length, 16) if _LENGTH.fullmatch(length) else 0
    line = data[at + 4 : at + size]
    if size < 5 or len(line) != size - 4:
        raise invalid("expected pkt-lines that end in a flush, as git sends them")
    return line, at + size


class Fetch:
    """A v0 fetch of commits by a client that may have some. Raises `Error` (invalid) for what no git client says.

    ``wants`` and ``commits``: ids in hex, of what it wants, and of all that it names; ``wants`` each once.
    """

    def __init__(self, data: bytes) -> None:
        asked, end = lines(data)
        self._asked, self._said = asked, _rest(data[end:])
        wanted = [found[1].decode() for line in asked if (found := _WANT.fullmatch(line))]
        self.wants = list(dict.fromkeys(wanted))
        named = [found[1].decode() for line in (*asked, *self._said) if (found := _NAMED.fullmatch(line))]
        self.commits = {*wanted, *named}
        if len(self.wants) > _MAX_WANTS:
            raise invalid(f"more than {_MAX_WANTS} wants: expected the tip of the one branch that is listed")
        for line in asked:
            if not (_WANT.fullmatch(line) or _NAMED.fullmatch(line) or _DEEPEN.fullmatch(line)):
                raise invalid("expected `want`, `shallow`, `deepen` or `deepen-since`, as git's fetch says them")

    def without(self, commits: set[str]) -> bytes:
        """The same, but for what it says of these."""

        def kept(said: list[bytes]) -> bytes:
            strange = {line for line in said if (found := _NAMED.fullmatch(line)) and found[1].decode() in commits}
            return b"".join(packet(line) if line else b"0000" for line in said if line not in strange)

        return kept(self._asked) + b"0000" + kept(self._said)


def _rest(data: bytes) -> list[bytes]:
    """Lines of `have` and `done`; "" for a flush."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        if data[at : at + 4] == b"0000":
            found.append(b"")
            at += 4
            continue
        line, at = _line(data, at)
        if not _NAMED.fullmatch(line) and line.rstrip(b"\n") != b"done":
            raise invalid("expected `have` and 40 hex digits, or `done`")
        found.append(line)
    return found
