"""pkt-lines, the frames of git's protocol: four hex digits of length, then the line (gitprotocol-common(5)).

Our own reader, because the server and git must agree on where a request's lines end: docs/decisions/0017.
"""

import re
import zlib

from jobserver.errors import invalid
from jobserver.web.http import MAX_BODY

FLUSH = b"0000"
_LENGTH = re.compile(rb"[0-9a-f]{4}")


def packet(data: bytes) -> bytes:
    return b"%04x%s" % (len(data) + 4, data)


def decoded(body: bytes, encoding: str) -> bytes:
    """The body without its Content-Encoding. Raises `Error` (invalid) for broken gzip, or more than `MAX_BODY`."""
    if encoding.lower() not in ("gzip", "x-gzip"):
        return body
    stream = zlib.decompressobj(wbits=31)
    try:
        data = stream.decompress(body, MAX_BODY)
    except zlib.error:
        raise invalid("the body can't be read: expected gzip, as its Content-Encoding says") from None
    if not stream.eof:
        raise invalid(f"the body is cut off, or larger than {MAX_BODY} bytes")
    return data


def lines(data: bytes) -> tuple[list[bytes], int]:
    """(the lines before the first flush, the offset after that flush). Raises `Error` (invalid) if there is none."""
    result = []
    offset = 0
    while data[offset : offset + 4] != FLUSH:
        line, offset = read_line(data, offset)
        result.append(line)
    return result, offset + 4


def read_line(data: bytes, offset: int) -> tuple[bytes, int]:
    """(the line at ``offset``, the offset of the next one). Raises `Error` (invalid)."""
    length = data[offset : offset + 4]
    size = int(length, 16) if _LENGTH.fullmatch(length) else 0
    line = data[offset + 4 : offset + size]
    if size < 5 or len(line) != size - 4:
        raise invalid("expected pkt-lines that end in a flush, as git sends them")
    return line, offset + size
