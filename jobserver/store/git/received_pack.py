"""Reads a pack that a client sends, before git does: the objects in it, and the objects that they refer to.

git completes a pack with any object of the repository, and its answers reveal those objects: the base of a delta, and
the kind and even the contents of what a tree names. So git gets a pack only if the sender may see all of that.
Format: gitformat-pack(5), version 2; gitformat-commit and -tree for references.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from dulwich.errors import ApplyDeltaError
from dulwich.pack import apply_delta

from jobserver.errors import invalid
from jobserver.store.git import trees
from jobserver.store.git.packs import BLOB, COMMIT, OFS_DELTA, TREE
from jobserver.store.read.quarantine import MAX_COMMIT, MAX_TREE

MAX_UNPACKED = 128 * 1024 * 1024  # of all objects together
MAX_OBJECT = 8 * 1024 * 1024
MAX_OBJECTS = 100_000
MAX_DELTAS = 16 * 1024 * 1024  # of all deltas together: every few bytes are an instruction
MAX_NAMED = 500_000
_REF_DELTA = 7
_NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob"}
_KINDS = {name: kind for kind, name in _NAMES.items()}
_NUMBER = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")
_LINKS = re.compile(rb"^(?:tree|parent) ([0-9a-fA-F]{40})", re.MULTILINE)
_LIMITS = {COMMIT: MAX_COMMIT, TREE: MAX_TREE, BLOB: MAX_OBJECT}
_STEP = 1024 * 1024
_MAX_DIGITS = 5  # of a number in base 128, enough for MAX_UNPACKED


class _PackedObject(NamedTuple):
    """``start``: its offset in the pack. ``base``: of a delta, the offset or the id of its base. ``stream``: the offset
    of its zlib stream, which unpacks to ``size`` bytes."""

    start: int
    kind: int
    base: int | bytes | None
    stream: int
    size: int


class ReceivedPack:
    """``contained``: the ids (20 bytes) of the objects in the pack; ``referenced``: that its commits and trees name."""

    def __init__(self, pack: bytes) -> None:
        """Raises `Error` (invalid) for bytes that are not a pack, or that unpack to too much."""
        self._pack = memoryview(pack)
        self._offset = 12
        self._left, self._deltas_left = MAX_UNPACKED, MAX_DELTAS
        self.contained: set[bytes] = set()
        self.referenced: set[bytes] = set()
        self._waiting: dict[int | bytes, list[_PackedObject]] = {}
        for entry in self._parse():
            self._resolve(entry, entry.kind, self._inflate(entry))

    @property
    def bases(self) -> set[bytes]:
        """The bases that deltas still wait for: ids that are not in the pack, or of deltas that wait themselves."""
        return {base for base in self._waiting if isinstance(base, bytes)}

    @property
    def is_whole(self) -> bool:
        return not self._waiting

    def supply_base(self, base: bytes, kind: bytes, data: bytes) -> None:
        """Gives deltas of ``base`` the object that they wait for; ``kind`` is git's name. Raises `Error` (invalid)."""
        self._allowed(len(data))
        for entry in self._waiting.pop(base, ()):
            self._resolve(entry, _KINDS[kind], self._applied(entry, data))

    # Reading

    def _parse(self) -> list[_PackedObject]:
        head = bytes(self._pack[:12])
        if len(head) < 12 or not head.startswith(b"PACK\0\0\0\2"):
            raise invalid("expected a pack of version 2")
        (count,) = struct.unpack_from(">I", head, 8)
        if count > MAX_OBJECTS:
            raise invalid(f"the pack has {count} objects; at most {MAX_OBJECTS} are allowed")
        whole = []
        for _ in range(count):
            entry = self._entry(self._offset)
            if entry.base is None:
                whole.append(entry)
            else:
                self._waiting.setdefault(entry.base, []).append(entry)
        if len(self._pack) - self._offset != 20:
            raise invalid("the pack continues after its last object")
        return whole

    def _entry(self, start: int) -> _PackedObject:
        kind, size = self._head()
        base: int | bytes | None = None
        if kind == _REF_DELTA:
            base = self._take(20)
        elif kind == OFS_DELTA:
            base = start - _distance(self._number())
        elif kind not in _NAMES:
            raise invalid(f"the pack has an object of kind {kind}")
        if base is not None:
            self._deltas_left -= size
            if self._deltas_left < 0:
                raise invalid(f"the deltas have more than {MAX_DELTAS} bytes together: push fewer commits at a time")
        entry = _PackedObject(start, kind, base, self._offset, size)
        for _ in self._parts(size):
            pass
        return entry

    def _take(self, count: int) -> bytes:
        taken = bytes(self._pack[self._offset : self._offset + count])
        if len(taken) < count:
            raise invalid("the pack ends in the middle of an object")
        self._offset += count
        return taken

    def _number(self) -> bytes:
        """The digits of a number in base 128; all but the last have their high bit set."""
        match = _NUMBER.match(self._pack[self._offset : self._offset + _MAX_DIGITS])
        if match is None:
            raise invalid("the pack has a number that is cut off or too large")
        return self._take(match.end())

    def _head(self) -> tuple[int, int]:
        digits = self._number()
        size = digits[0] & 15 | _little(digits[1:]) << 4
        return digits[0] >> 4 & 7, self._allowed(size)

    def _allowed(self, size: int) -> int:
        if size > MAX_OBJECT:
            raise invalid(f"the pack has an object of {size} bytes; at most {MAX_OBJECT} are allowed")
        self._left -= size
        if self._left < 0:
            raise invalid(f"the objects have more than {MAX_UNPACKED} bytes together: push fewer commits at a time")
        return size

    def _parts(self, size: int) -> Iterator[bytes]:
        """Unpacks the next zlib stream, which must make ``size`` bytes."""
        stream = zlib.decompressobj()
        total = 0
        try:
            while not stream.eof:
                data = stream.unconsumed_tail or self._take(min(_STEP, size + 64, len(self._pack) - self._offset) or 1)
                part = stream.decompress(data, _STEP)
                total += len(part)
                if total > size:
                    break
                yield part
        except zlib.error:
            raise invalid("the pack has an object that can't be unpacked") from None
        self._offset -= len(stream.unused_data)
        if total != size:
            raise invalid("the pack has an object of another size than it says")

    def _inflate(self, entry: _PackedObject) -> bytes:
        self._offset = entry.stream
        return b"".join(self._parts(entry.size))

    # Resolving

    def _applied(self, entry: _PackedObject, base: bytes) -> bytes:
        delta = self._inflate(entry)
        try:
            self._allowed(_result_size(delta))
            return b"".join(apply_delta(base, delta))
        except ApplyDeltaError:
            raise invalid("the pack has a delta that does not fit its base") from None

    def _resolve(self, entry: _PackedObject, kind: int, data: bytes) -> None:
        """Records an object and all deltas of it, one after the other down each chain."""
        chain = [(data, iter(self._record(entry, kind, data)))]
        while chain:
            data, children = chain[-1]
            child = next(children, None)
            if child is None:
                chain.pop()
                continue
            whole = self._applied(child, data)
            chain.append((whole, iter(self._record(child, kind, whole))))

    def _record(self, entry: _PackedObject, kind: int, data: bytes) -> list[_PackedObject]:
        """Records an object; returns the deltas that waited for it."""
        if len(data) > _LIMITS[kind]:
            name = _NAMES[kind].decode()
            raise invalid(f"the pack has a {name} of {len(data)} bytes; at most {_LIMITS[kind]} are allowed")
        sha = hashlib.sha1(b"%s %d\0" % (_NAMES[kind], len(data)), usedforsecurity=False)
        sha.update(data)
        self.contained.add(sha.digest())
        if kind == COMMIT:
            self.referenced.update(bytes.fromhex(link.decode()) for link in _LINKS.findall(data.partition(b"\n\n")[0]))
        elif kind == TREE:
            try:
                # Submodules too: none should be in this repository, but git looks some of them up by their id.
                self.referenced.update(item.sha for item in trees.entries(data))
            except ValueError:
                raise invalid("the pack has a tree that can't be read") from None
            if len(self.referenced) > MAX_NAMED:
                raise invalid(f"the trees name more than {MAX_NAMED} objects: push fewer commits at a time")
        return self._waiting.pop(entry.start, []) + self._waiting.pop(sha.digest(), [])


def _little(digits: bytes) -> int:
    """The number that has these digits in base 128, the least one first."""
    return sum((digit & 127) << 7 * place for place, digit in enumerate(digits))


def _distance(digits: bytes) -> int:
    """How far back the base of an OFS_DELTA is. The greatest digit comes first; all but the last stand for one more."""
    number = digits[0] & 127
    for digit in digits[1:]:
        number = (number + 1 << 7) + (digit & 127)
    return number


def _result_size(delta: bytes) -> int:
    """The size of what the delta makes of its base. Raises `ApplyDeltaError` for bytes that are not a delta."""
    base_size = _NUMBER.match(delta)
    size = _NUMBER.match(delta, base_size.end()) if base_size else None
    if base_size is None or size is None or max(len(base_size[0]), len(size[0])) > _MAX_DIGITS:
        raise ApplyDeltaError
    return _little(size[0])
