"""A pack that somebody sends, read whole before git sees it: what it brings, and what it takes for granted.

git completes a pack from anywhere in the repository, and says what it finds there: the base of a delta, the kind and
even the contents of what a folder names. So it is given a pack only once all of that is the sender's own.
Format: gitformat-pack(5), version 2; gitformat-commit and -tree for what they name.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from jobserver.errors import invalid
from jobserver.store.git import trees
from jobserver.store.git.packs import BLOB, COMMIT, OFS_DELTA, TREE
from jobserver.store.read.quarantine import MAX_COMMIT, MAX_TREE

MAX_UNPACKED = 128 * 1024 * 1024  # of all objects together
MAX_OBJECT = 8 * 1024 * 1024
MAX_OBJECTS = 100_000
MAX_DELTAS = 16 * 1024 * 1024  # of all deltas together: each few bytes of them are an instruction
MAX_NAMED = 500_000
_REF_DELTA = 7
_NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob"}
_KINDS = {name: kind for kind, name in _NAMES.items()}
_NUMBER = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")
_LINKS = re.compile(rb"^(?:tree|parent) ([0-9a-fA-F]{40})", re.MULTILINE)
_LIMITS = {COMMIT: MAX_COMMIT, TREE: MAX_TREE, BLOB: MAX_OBJECT}
_STEP = 1024 * 1024
_MAX_DIGITS = 5  # of a number in base 128: more than MAX_UNPACKED has


class _PackedObject(NamedTuple):
    """``place``: where in the pack it begins; ``base``: where that of a delta does, or its id; ``at``: its zlib stream,
    which makes ``size`` bytes."""

    place: int
    kind: int
    base: int | bytes | None
    at: int
    size: int


class ReceivedPack:
    """``brought``: the ids (20 bytes) of what is in the pack; ``named``: of what its commits and folders name."""

    def __init__(self, pack: bytes) -> None:
        """Raises `Error` (invalid) for bytes that are no pack, or unpack to too much."""
        self._pack = memoryview(pack)
        self._at = 12
        self._left, self._deltas_left = MAX_UNPACKED, MAX_DELTAS
        self.brought: set[bytes] = set()
        self.named: set[bytes] = set()
        self._waiting: dict[int | bytes, list[_PackedObject]] = {}
        for entry in self._parse():
            self._resolve(entry, entry.kind, self._inflate(entry))

    @property
    def bases(self) -> set[bytes]:
        """What deltas are still waiting for: ids that are not in the pack, or of deltas that wait themselves."""
        return {base for base in self._waiting if isinstance(base, bytes)}

    @property
    def is_whole(self) -> bool:
        return not self._waiting

    def give(self, base: bytes, kind: bytes, data: bytes) -> None:
        """The object that deltas of ``base`` are of; ``kind`` is git's name. Raises `Error` (invalid)."""
        self._allowed(len(data))
        for entry in self._waiting.pop(base, ()):
            self._resolve(entry, _KINDS[kind], self._applied(entry, data))

    # Reading

    def _parse(self) -> list[_PackedObject]:
        head = bytes(self._pack[:12])
        if len(head) < 12 or not head.startswith(b"PACK\0\0\0\2"):
            raise invalid("no pack: expected one of version 2")
        (count,) = struct.unpack_from(">I", head, 8)
        if count > MAX_OBJECTS:
            raise invalid(f"{count} objects; at most {MAX_OBJECTS} are allowed")
        whole = []
        for _ in range(count):
            entry = self._entry(self._at)
            if entry.base is None:
                whole.append(entry)
            else:
                self._waiting.setdefault(entry.base, []).append(entry)
        if len(self._pack) - self._at != 20:
            raise invalid("the pack does not end after its last object")
        return whole

    def _entry(self, place: int) -> _PackedObject:
        kind, size = self._head()
        base: int | bytes | None = None
        if kind == _REF_DELTA:
            base = self._take(20)
        elif kind == OFS_DELTA:
            base = place - _distance(self._number())
        elif kind not in _NAMES:
            raise invalid(f"the pack has an object of kind {kind}")
        if base is not None:
            self._deltas_left -= size
            if self._deltas_left < 0:
                raise invalid(f"its deltas are more than {MAX_DELTAS} bytes: push fewer commits at a time")
        entry = _PackedObject(place, kind, base, self._at, size)
        for _ in self._parts(size):
            pass
        return entry

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
        size = digits[0] & 15 | _little(digits[1:]) << 4
        return digits[0] >> 4 & 7, self._allowed(size)

    def _allowed(self, size: int) -> int:
        if size > MAX_OBJECT:
            raise invalid(f"an object of {size} bytes; at most {MAX_OBJECT} are allowed")
        self._left -= size
        if self._left < 0:
            raise invalid(f"its objects are more than {MAX_UNPACKED} bytes: push fewer commits at a time")
        return size

    def _parts(self, size: int) -> Iterator[bytes]:
        """The zlib stream that stands next, which must make ``size`` bytes."""
        stream = zlib.decompressobj()
        made = 0
        try:
            while not stream.eof:
                data = stream.unconsumed_tail or self._take(min(_STEP, size + 64, len(self._pack) - self._at) or 1)
                part = stream.decompress(data, _STEP)
                made += len(part)
                if made > size:
                    break
                yield part
        except zlib.error:
            raise invalid("the pack has an object that can't be unpacked") from None
        self._at -= len(stream.unused_data)
        if made != size:
            raise invalid("the pack has an object of another size than it says")

    def _inflate(self, entry: _PackedObject) -> bytes:
        self._at = entry.at
        return b"".join(self._parts(entry.size))

    # Resolving

    def _applied(self, entry: _PackedObject, base: bytes) -> bytes:
        delta = self._inflate(entry)
        made = _apply(delta, base, self._allowed)
        if made is None:
            raise invalid("the pack has a delta that does not fit what it is of")
        return made

    def _resolve(self, entry: _PackedObject, kind: int, data: bytes) -> None:
        """Takes in an object, and all that are deltas of it, one after the other down each chain."""
        chain = [(data, iter(self._found(entry, kind, data)))]
        while chain:
            data, children = chain[-1]
            child = next(children, None)
            if child is None:
                chain.pop()
                continue
            made = self._applied(child, data)
            chain.append((made, iter(self._found(child, kind, made))))

    def _found(self, entry: _PackedObject, kind: int, data: bytes) -> list[_PackedObject]:
        """Notes an object; what waited for it."""
        if len(data) > _LIMITS[kind]:
            name = _NAMES[kind].decode()
            raise invalid(f"a {name} of {len(data)} bytes; at most {_LIMITS[kind]} are allowed")
        sha = hashlib.sha1(b"%s %d\0" % (_NAMES[kind], len(data)), usedforsecurity=False)
        sha.update(data)
        self.brought.add(sha.digest())
        if kind == COMMIT:
            self.named.update(bytes.fromhex(one.decode()) for one in _LINKS.findall(data.partition(b"\n\n")[0]))
        elif kind == TREE:
            try:
                # Submodules too, though nothing of this repository should be one: git looks into some by their name.
                self.named.update(one.sha for one in trees.entries(data))
            except ValueError:
                raise invalid("the pack has a folder that can't be read") from None
            if len(self.named) > MAX_NAMED:
                raise invalid(f"its folders name more than {MAX_NAMED} things: push fewer commits at a time")
        return self._waiting.pop(entry.place, []) + self._waiting.pop(sha.digest(), [])


def _little(digits: bytes) -> int:
    """The number of digits in base 128, the least one first."""
    return sum((digit & 127) << 7 * place for place, digit in enumerate(digits))


def _distance(digits: bytes) -> int:
    """How far back the base of an OFS_DELTA is: the greatest digit first, each but the last one more."""
    number = digits[0] & 127
    for digit in digits[1:]:
        number = (number + 1 << 7) + (digit & 127)
    return number


def _apply(delta: bytes, base: bytes, allowed: Callable[[int], int]) -> bytes | None:
    """What the delta makes of its base; None where it does not fit."""
    first = _NUMBER.match(delta)
    second = _NUMBER.match(delta, first.end()) if first else None
    if first is None or second is None or max(len(first[0]), len(second[0])) > _MAX_DIGITS:
        return None
    size = _little(second[0])
    if _little(first[0]) != len(base):
        return None
    allowed(size)
    out = bytearray()
    at, end = second.end(), len(delta)
    while at < end:
        code = delta[at]
        at += 1
        if code & 128:
            fields = [0] * 7
            for bit in range(7):
                if code >> bit & 1:
                    if at == end:
                        return None
                    fields[bit] = delta[at]
                    at += 1
            start = int.from_bytes(bytes(fields[:4]), "little")
            length = int.from_bytes(bytes(fields[4:]), "little") or 0x10000
            part = base[start : start + length]
        else:
            length = code
            part = delta[at : at + length]
            at += length
        if len(part) != length or not length or len(out) + length > size:
            return None
        out += part
    return bytes(out) if len(out) == size else None
