"""The pictures in docs/, from what the browser tests saw: with a palette of 256 colours, a third of their size.

`make pictures`. Nothing but the standard library, because nothing else is there wherever the tests run.
"""

import struct
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST = 150_000  # bytes of a picture


def main(shots: Path, pictures: Path, names: list[str]) -> None:
    """``names``: ``SHOT`` or ``SHOT=PICTURE``, both without ``.png``. Raises SystemExit for one that is too large."""
    for name in names:
        shot, _, picture = name.partition("=")
        data = smaller((shots / f"{shot}.png").read_bytes())
        if len(data) > _MOST:
            raise SystemExit(f"{shot}.png would have {len(data):,} bytes; at most {_MOST:,}: show less of the page")
        (pictures / f"{picture or shot}.png").write_bytes(data)


def smaller(png: bytes) -> bytes:
    """The same picture in its 256 most frequent colours; each other one becomes the nearest of them."""
    width, lines = _decoded(png)
    colours = Counter(colour for line in lines for colour in line)
    palette = [colour for colour, _ in colours.most_common(256)]
    numbers = {colour: number for number, colour in enumerate(palette)}
    for colour in colours:
        if colour not in numbers:
            numbers[colour] = min(range(256), key=lambda number: _distance(palette[number], colour))
    body = b"".join(b"\0" + bytes(map(numbers.__getitem__, line)) for line in lines)
    header = struct.pack(">IIBBBBB", width, len(lines), 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", b"".join(palette)), (b"IDAT", zlib.compress(body, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _decoded(png: bytes) -> tuple[int, list[list[bytes]]]:
    """(width, the colours of each line) of a PNG with 8 bits each of red, green and blue, as Chromium makes them."""
    chunks = list(_chunks(png))
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if (depth, interlaced) != (8, 0) or kind not in (2, 6):
        raise SystemExit("no PNG with 8 bits of red, green and blue")
    size = 3 if kind == 2 else 4
    raw = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    length = width * size
    above = bytearray(length)
    lines = []
    for start in range(0, height * (length + 1), length + 1):
        line = bytearray(raw[start + 1 : start + 1 + length])
        _unfilter(raw[start], line, above, size)
        lines.append([bytes(line[at : at + 3]) for at in range(0, length, size)])
        above = line
    return width, lines


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _unfilter(kind: int, line: bytearray, above: bytearray, size: int) -> None:
    """PNG's five filters, of one line in place."""
    for at in range(len(line) if kind else 0):
        left = line[at - size] if at >= size else 0
        up = above[at]
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            corner = above[at - size] if at >= size else 0
            near = left + up - corner
            guess = min((left, up, corner), key=lambda one: abs(near - one))
        line[at] = (line[at] + guess) & 255


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
