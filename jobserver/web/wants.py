"""What a fetch wants, or a push moves, read from its request before git sees it.

pkt-lines up to the first flush (gitprotocol-pack(5)), perhaps gzipped.
"""

import re
import zlib

from jobserver.errors import invalid
from jobserver.web.http import MAX_BODY

_MAX_WANTS = 16  # each may cost a process; a backend is shown one ref
_WANT = re.compile(rb"want ([0-9a-f]{40})(?:[ \n].*)?", re.DOTALL)
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
    while (length := data[at : at + 4]) != b"0000":
        size = int(length, 16) if _LENGTH.fullmatch(length) else 0
        line = data[at + 4 : at + size]
        if size < 5 or len(line) != size - 4:
            raise invalid("expected pkt-lines that end in a flush, as git sends them")
        found.append(line)
        at += size
    return found, at + 4


def wants(data: bytes) -> list[str]:
    """The ids that a v0 fetch asks for, each once. Raises `Error` (invalid) for what no git client says.

    They stand before the first flush; all that follows is about what the client has.
    """
    found: dict[str, None] = {}
    for line in lines(data)[0]:
        if line.startswith(b"want"):
            want = _WANT.fullmatch(line)
            if want is None:
                raise invalid("expected `want` and 40 hex digits")
            found[want[1].decode()] = None
            if len(found) > _MAX_WANTS:
                raise invalid(f"more than {_MAX_WANTS} wants: expected the tip of the one branch that is listed")
    return list(found)
