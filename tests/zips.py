"""Zips as backends send them, and as nobody should: built with `zipfile`, and then bent byte by byte."""

import hashlib
import io
import stat
import warnings
import zipfile
from collections.abc import Iterable, Mapping

MANIFEST = "metadata/manifest.json"
GOOD = {"output/table.csv": b"age,count\n40,7\n", MANIFEST: b'{"workspace": "plain"}', "output/plot.svg": b"<svg/>"}


def md5_of(files: Mapping[str, bytes]) -> str:
    """What runners name a release by: the contents, in the order of their paths."""
    return hashlib.md5(b"".join(files[path] for path in sorted(files)), usedforsecurity=False).hexdigest()


def zipped(
    files: Mapping[str, bytes] | Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    entries = files.items() if isinstance(files, Mapping) else files
    body = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(body, "w", method) as archive:
        warnings.simplefilter("ignore")  # a name that is there twice
        for name, data in entries:
            archive.writestr(name, data, compress_type=method)
    return body.getvalue()


def special(name: str, kind: int) -> zipfile.ZipInfo:
    """An entry of this kind of file: ``stat.S_IFLNK`` and the like."""
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (kind | 0o644) << 16
    return entry


def link(name: str) -> zipfile.ZipInfo:
    return special(name, stat.S_IFLNK)


def bent(body: bytes, old: bytes, new: bytes) -> bytes:
    """With bytes exchanged everywhere: names are in a zip twice."""
    assert len(old) == len(new)
    assert old in body
    return body.replace(old, new)


def with_flags(body: bytes, flags: int) -> bytes:
    """With bits set in every entry, both where it stands and in the directory."""
    data = bytearray(body)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset : at + offset + 2] = (
                int.from_bytes(data[at + offset : at + offset + 2], "little") | flags
            ).to_bytes(2, "little")
            at = data.find(signature, at + 4)
    return bytes(data)


def with_size(body: bytes, path: str, size: int) -> bytes:
    """In which the directory says that the file has this size."""
    data = bytearray(body)
    at = data.find(b"PK\x01\x02")
    while data[at + 46 : at + 46 + len(path)] != path.encode():
        at = data.find(b"PK\x01\x02", at + 4)
        assert at >= 0
    data[at + 24 : at + 28] = size.to_bytes(4, "little")
    return bytes(data)
