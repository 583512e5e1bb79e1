"""What a pack that somebody sends takes from the repository, read before git sees it. Format: gitformat-pack(5).

The deltas of a thin pack name their bases by id, and git takes those from anywhere in the repository: whoever knows the
id of an object could have it copied into one of their own, or learn its size and bytes from what git complains of.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Callable

from jobserver.errors import invalid
from jobserver.store.packs import BLOB, COMMIT, OFS_DELTA, TREE

MAX_UNPACKED = 256 * 1024 * 1024  # of all objects together: git unpacks each
_REF_DELTA, _TAG = 7, 4
_NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", _TAG: b"tag"}
_NUMBER = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")
_STEP = 1024 * 1024
_MAX_DIGITS = 5  # of a number in base 128: more than MAX_UNPACKED has


def bases(pack: bytes) -> set[bytes]:
    """The ids (20 bytes) of what deltas are of and is not in the pack as a whole object.

    Raises `Error` (invalid) for bytes that are no pack, and for more than `MAX_UNPACKED` bytes of objects.
    """
    return _Reader(pack).bases()


class _Reader:
    def __init__(self, pack: bytes) -> None:
        self._pack = memoryview(pack)
        self._at = 12
        self._left = MAX_UNPACKED

    def bases(self) -> set[bytes]:
        head = bytes(self._pack[:12])
        if len(head) < 12 or not head.startswith(b"PACK\0\0\0\2"):
            raise invalid("no pack: expected one of version 2")
        wanted: set[bytes] = set()
        whole: set[bytes] = set()
        for _ in range(struct.unpack_from(">I", head, 8)[0]):
            kind, size = self._head()
            if kind == _REF_DELTA:
                wanted.add(self._take(20))
            elif kind == OFS_DELTA:
                self._number()
            if kind in _NAMES:
                whole.add(self._whole(kind, size))
            elif kind in (OFS_DELTA, _REF_DELTA):
                self._delta(size)
            else:
                raise invalid(f"the pack has an object of kind {kind}")
        if len(self._pack) - self._at != 20:
            raise invalid("the pack does not end after its last object")
        return wanted - whole

    def _take(self, count: int) -> bytes:
        taken = bytes(self._pack[self._at : self._at + count])
        if len(taken) < count:
            raise invalid("the pack is cut off")
        self._at += count
        return taken

    def _number(self) -> bytes:
        """Digits in base 128, all but the last with their high bit set."""
        found = _NUMBER.match(self._pack[self._at : self._at + _MAX_DIGITS])
        if found is None:
            raise invalid("the pack has a number that is cut off, or too large")
        return self._take(found.end())

    def _head(self) -> tuple[int, int]:
        digits = self._number()
        size = digits[0] & 15
        for place, digit in enumerate(digits[1:]):
            size |= (digit & 127) << 4 + 7 * place
        return digits[0] >> 4 & 7, self._allowed(size)

    def _allowed(self, size: int) -> int:
        self._left -= size
        if self._left < 0:
            raise invalid(f"its objects are more than {MAX_UNPACKED} bytes")
        return size

    def _whole(self, kind: int, size: int) -> bytes:
        name = hashlib.sha1(b"%s %d\0" % (_NAMES[kind], size), usedforsecurity=False)
        self._inflate(size, name.update)
        return name.digest()

    def _delta(self, size: int) -> None:
        """Counts what the delta makes, which its own head says after the size of its base."""
        first = bytearray()

        def keep(part: bytes) -> None:
            if len(first) < 2 * _MAX_DIGITS:
                first.extend(part[: 2 * _MAX_DIGITS])

        self._inflate(size, keep)
        base = _NUMBER.match(first)
        result = _NUMBER.match(first, base.end()) if base else None
        if result is None:
            raise invalid("the pack has a delta that can't be read")
        self._allowed(sum((digit & 127) << 7 * place for place, digit in enumerate(result[0])))

    def _inflate(self, size: int, use: Callable[[bytes], None]) -> None:
        """Reads one zlib stream, which must make ``size`` bytes, and hands them on in parts."""
        stream = zlib.decompressobj()
        made = 0
        try:
            while not stream.eof:
                data = stream.unconsumed_tail or self._take(min(_STEP, size + 64, len(self._pack) - self._at) or 1)
                part = stream.decompress(data, _STEP)
                made += len(part)
                use(part)
                if made > size:
                    break
        except zlib.error:
            raise invalid("the pack has an object that can't be unpacked") from None
        self._at -= len(stream.unused_data)
        if made != size:
            raise invalid("the pack has an object of another size than it says")
