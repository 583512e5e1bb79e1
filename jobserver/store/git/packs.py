"""Writes packs: one for each batch, and one that joins many small ones. Formats: gitformat-pack(5), version 2.

Why not dulwich: docs/decisions 0001 and 0021. Only `Pack.save` touches the disk, and its order of fsyncs matters.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

from jobserver.store.fs import create, sync_folder, sync_together

COMMIT, TREE, BLOB, OFS_DELTA = 1, 2, 3, 6
_KINDS = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob"}
_MAX_CHAIN = 40
_WINDOW_BITS = 12
_STORED, _ADLER = struct.Struct("<HBHH"), struct.Struct(">I")  # zlib's head with one stored block, and zlib's checksum
SHARED_KEEP = "jobserver-keep"


def object_id(kind: int, data: bytes) -> bytes:
    """The 20 bytes of the object's SHA-1."""
    return hashlib.sha1(b"%s %d\0%s" % (_KINDS[kind], len(data), data), usedforsecurity=False).digest()


@lru_cache(4096)  # trees and documents of one kind have the same few sizes
def _head(kind: int, size: int) -> bytes:
    byte = kind << 4 | size & 15
    size >>= 4
    out = bytearray()
    while size:
        out.append(byte | 128)
        byte = size & 127
        size >>= 7
    out.append(byte)
    return bytes(out)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _offset(distance: int) -> bytes:
    out = bytearray([distance & 127])
    while distance := distance >> 7:
        distance -= 1
        out.append(128 | distance & 127)
    out.reverse()
    return bytes(out)


def _copy(start: int, size: int) -> bytes:
    """Delta instructions that copy ``size`` bytes of the base from ``start``."""
    out = bytearray()
    while size:
        part = min(size, 0xFFFFFF)
        code, tail = 128, bytearray()
        for bit in range(4):
            if byte := start >> 8 * bit & 255:
                code |= 1 << bit
                tail.append(byte)
        for bit in range(3):
            if byte := part >> 8 * bit & 255:
                code |= 16 << bit
                tail.append(byte)
        out.append(code)
        out += tail
        start += part
        size -= part
    return bytes(out)


def _deflated(data: bytes) -> bytes:
    if len(data) > 1 << _WINDOW_BITS:
        return zlib.compress(data, 1)
    # `zlib.compress` takes 268 KB from the kernel each time, and that takes longer than to compress a document.
    small = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS, 5)
    return small.compress(data) + small.flush()


def _stored(data: bytes) -> bytes:
    """As ``zlib.compress(data, 0)``, which fills tables that it does not need."""
    size = len(data)
    if size > 0xFFFF:
        return zlib.compress(data, 0)
    return b"%s%s%s" % (_STORED.pack(0x0178, 1, size, size ^ 0xFFFF), data, _ADLER.pack(zlib.adler32(data)))


def splice_delta(base: int, start: int, end: int, insert: bytes) -> bytes:
    """The delta that replaces bytes ``start`` to ``end`` of a base of ``base`` bytes by ``insert`` (at most 127)."""
    head = _varint(base) + _varint(base - (end - start) + len(insert))
    middle = bytes([len(insert)]) + insert if insert else b""
    return head + _copy(0, start) + middle + _copy(end, base - end)


_IndexEntry: TypeAlias = tuple[bytes, int, int]  # id, CRC of the packed bytes, offset


def _index(entries: list[_IndexEntry], checksum: bytes) -> bytes:
    entries = sorted(entries)
    total = len(entries)
    counts = [0] * 256  # of ids that begin with each byte
    for sha, _, _ in entries:
        counts[sha[0]] += 1
    large = [offset for _, _, offset in entries if offset >= 1 << 31]
    places = {offset: place for place, offset in enumerate(large)}
    offsets = [offset if offset < 1 << 31 else 1 << 31 | places[offset] for _, _, offset in entries]
    body = b"".join(
        (
            b"\377tOc\0\0\0\2",
            struct.pack(">256I", *accumulate(counts)),
            b"".join(sha for sha, _, _ in entries),
            struct.pack(f">{total}I", *(crc for _, crc, _ in entries)),
            struct.pack(f">{total}I", *offsets),
            struct.pack(f">{len(large)}Q", *large),
            checksum,
        )
    )
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


@dataclass
class Pack:
    """The objects of one batch, each of them once. Adding an object again costs nothing."""

    parts: list[bytes] = field(default_factory=list)
    entries: list[_IndexEntry] = field(default_factory=list)
    size: int = 12
    chains: dict[bytes, tuple[int, int]] = field(default_factory=dict)  # tree -> (offset, depth)
    seen: set[bytes] = field(default_factory=set)

    def _append(self, sha: bytes, packed: bytes) -> int:
        offset = self.size
        self.parts.append(packed)
        self.entries.append((sha, zlib.crc32(packed), offset))
        self.seen.add(sha)
        self.size += len(packed)
        return offset

    def add(self, kind: int, data: bytes) -> bytes:
        """Adds the object; returns its id (20 bytes)."""
        sha = object_id(kind, data)
        if sha not in self.seen:
            # Only blobs are worth compressing now; maintenance repacks the rest, as deltas.
            offset = self._append(sha, _head(kind, len(data)) + (_deflated if kind == BLOB else _stored)(data))
            if kind == TREE:
                self.chains[sha] = (offset, 0)
        return sha

    def add_spliced(self, base: bytes, size: int, data: bytes, start: int, end: int, insert: bytes) -> bytes:
        """Adds tree ``data``: tree ``base`` (of ``size`` bytes) with ``start``..``end`` replaced by ``insert``."""
        chain = self.chains.get(base) if size >= 512 else None
        if chain is None or chain[1] >= _MAX_CHAIN or len(insert) > 127:
            return self.add(TREE, data)
        sha = object_id(TREE, data)
        if sha not in self.seen:
            delta = splice_delta(size, start, end, insert)
            head = _head(OFS_DELTA, len(delta)) + _offset(self.size - chain[0])
            offset = self._append(sha, head + _stored(delta))
            self.chains[sha] = (offset, chain[1] + 1)
        return sha

    def save(self, folder: Path, keep: bool = True, beside: Sequence[int] = ()) -> Path:
        """Writes ``pack-<sha>.pack`` in ``folder``, durably, with a ``.keep`` file that protects it from maintenance.

        ``beside``: descriptors of files that become durable in the same wait. Returns the path without its suffix.
        After an OSError, nothing is left that git would read.
        """
        body = b"".join((b"PACK\0\0\0\2", struct.pack(">I", len(self.entries)), *self.parts))
        checksum = hashlib.sha1(body, usedforsecurity=False).digest()
        stem = folder / f"pack-{checksum.hex()}"
        pack, index, partial = stem.with_suffix(".pack"), stem.with_suffix(".idx"), folder / f"tmp_{stem.name}.idx"
        is_saved = pack.exists() and index.exists()  # a failed batch may come again
        descriptors: list[int] = []
        try:
            if keep:
                _keep(stem.with_suffix(".keep"))
            if not is_saved:
                for path, data in ((pack, body + checksum), (partial, _index(self.entries, checksum))):
                    descriptors.append(_create(path, data))
            sync_together([*descriptors, *beside])
            if not is_saved:
                # git ignores a pack without its index. So the index gets its name when all bytes of both are durable:
                # whenever the power goes, git finds a whole pack or none. That is why this takes a second wait.
                partial.rename(index)
            sync_folder(folder)
        except OSError:
            mark = (stem.with_suffix(".keep"),) if keep else ()
            for path in (partial, *(() if is_saved else (index, pack)), *mark):
                path.unlink(missing_ok=True)
            raise
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return stem


def _create(path: Path, data: bytes) -> int:
    try:
        return create(path, [data], mode=0o444)
    except FileExistsError:  # left by an interrupted batch
        path.unlink(missing_ok=True)
        return create(path, [data], mode=0o444)


def _keep(path: Path) -> None:
    """Makes a ``.keep`` as one more link to a file that stays: on some file systems (ext4 without a journal), creating
    files takes longer the more files were deleted before."""
    shared = path.with_name(SHARED_KEEP)
    for _ in range(2):
        try:
            path.hardlink_to(shared)
        except FileNotFoundError:
            shared.touch(0o600)
        except OSError:
            break
        else:
            return
    path.touch(0o600)  # a file system without links


def join(stems: list[Path], folder: Path) -> Path | None:
    """Joins small packs into one by concatenation: deltas name their bases by distance, so their bytes stay the same.

    Returns the stem of the joined pack (durable, without .keep), or None if an object is in two of the packs,
    which concatenation can't handle; git's own repack can.
    """
    parts: list[bytes] = []
    entries: list[_IndexEntry] = []
    size = 12
    for stem in stems:
        body = stem.with_suffix(".pack").read_bytes()[12:-20]
        entries += [(sha, crc, offset + size - 12) for sha, crc, offset in _read_index(stem)]
        parts.append(body)
        size += len(body)
    if len({sha for sha, _, _ in entries}) != len(entries):
        return None
    return Pack(parts, entries, size).save(folder, keep=False)


def _read_index(stem: Path) -> list[_IndexEntry]:
    data = stem.with_suffix(".idx").read_bytes()
    (count,) = struct.unpack_from(">I", data, 8 + 255 * 4)
    shas = 8 + 1024
    crcs = shas + 20 * count
    offsets = crcs + 4 * count
    if any(offset >> 31 for offset in struct.unpack_from(f">{count}I", data, offsets)):
        raise ValueError(f"{stem.name}: too large to join")
    return [
        (data[shas + 20 * number : shas + 20 * number + 20], crc, offset)
        for number, (crc, offset) in enumerate(
            zip(
                struct.unpack_from(f">{count}I", data, crcs),
                struct.unpack_from(f">{count}I", data, offsets),
                strict=True,
            )
        )
    ]
