"""Reads the zip of a release, which may be hostile. Checks all of it before anything is written.

Checks the zip's directory first (number, sizes and names of the files). Then unpacks each file once without keeping it,
for its hashes.
"""

import hashlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from zipfile import ZipInfo

import orjson

from jobserver.domain.releases import MANIFEST, MAX_BYTES, MAX_FILES, MAX_MANIFEST, ReleaseFile, clashes, path_fault
from jobserver.errors import invalid, printable

_CHUNK = 256 * 1024
_MAX_DIRECTORY = 1024 * 1024  # bytes; zipfile reads the whole directory before the number of files is known
_END, _END_BYTES = b"PK\x05\x06", 22
_ZIP64 = b"PK\x06\x07"
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    OverflowError,
)
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UTF8 = 0x800


class Archive:
    """A zip without faults. ``files`` are in the order of their paths."""

    def __init__(self, archive: zipfile.ZipFile, entries: Sequence[ZipInfo]) -> None:
        self._archive = archive
        self._entries = {entry.filename: entry for entry in entries}
        self.files: tuple[ReleaseFile, ...] = ()

    @property
    def size(self) -> int:
        """The sum of the sizes in the directory, in bytes. `contents` refuses a file with another size."""
        return sum(entry.file_size for entry in self._entries.values())

    @property
    def paths(self) -> Sequence[str]:
        return list(self._entries)

    def contents(self, path: str) -> Iterator[bytes]:
        """Raises `Error` (invalid) if the file differs from its entry in the zip's directory."""
        entry = self._entries[path]
        size = 0
        try:
            with self._archive.open(entry) as file:
                while part := file.read(_CHUNK):
                    size += len(part)
                    yield part
        except _BROKEN as error:
            raise invalid(f"{path!r} in the zip can't be unpacked: {_words(error)}") from None
        if size != entry.file_size:
            raise invalid(f"{path!r} in the zip has {size} bytes, but the zip says {entry.file_size}")


def read(body: bytes, identifier: str, may_have: Callable[[int], None] = lambda size: None) -> Archive:
    """The archive in ``body``, whose hash is ``identifier``. Raises `Error` (invalid) for anything else.

    Calls ``may_have`` with the unpacked size before unpacking; it may raise `Error`.
    """
    try:
        _check_end(body)
        opened = zipfile.ZipFile(io.BytesIO(body))
    except _BROKEN as error:
        raise invalid(f"the body is not a readable zip: {_words(error)}") from None
    archive = Archive(opened, _entries(opened.infolist()))
    may_have(archive.size)
    _check_manifest(b"".join(archive.contents(MANIFEST)))
    archive.files, hashes = _hashed(archive)
    if identifier not in hashes:
        raise invalid(f"the MD5 of the files' contents, in the order of their paths, is {hashes[0]}, not {identifier}")
    return archive


def _check_end(body: bytes) -> None:
    """Checks the size of the directory, which the zip's last record gives, before zipfile reads the directory."""
    start = body.rfind(_END, 0, max(len(body) - _END_BYTES + len(_END), 0))
    if start < 0:
        raise zipfile.BadZipFile("it has no end record")
    if body[max(start - 20, 0) : start].startswith(_ZIP64):
        raise invalid("the zip has the format for more than 4 GiB (zip64): use the ordinary format")
    if struct.unpack_from("<I", body, start + 12)[0] > _MAX_DIRECTORY:
        raise invalid(f"the zip's list of files is longer than {_MAX_DIRECTORY} bytes")


def _entries(listed: Sequence[ZipInfo]) -> list[ZipInfo]:
    """The files of the zip, by path. Raises `Error` (invalid) for the first fault in the zip's directory."""
    if len(listed) > MAX_FILES:
        raise invalid(f"the zip has {len(listed)} entries, at most {MAX_FILES} are allowed")
    for entry in listed:
        if fault := _fault(entry):
            raise invalid(f"{entry.orig_filename!r:.200} in the zip {fault}")
    files = [entry for entry in listed if not entry.is_dir()]
    size = sum(entry.file_size for entry in files)
    if size > MAX_BYTES:
        raise invalid(f"the zip's files have {size} bytes, at most {MAX_BYTES} are allowed")
    paths = [entry.filename for entry in files]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise invalid(f"{twice!r} is in the zip more than once")
    if faults := clashes(paths):
        raise invalid(f"in the zip {faults[0]}")
    if MANIFEST not in paths:
        raise invalid(f"{MANIFEST} is not in the zip")
    if (size := files[paths.index(MANIFEST)].file_size) > MAX_MANIFEST:
        raise invalid(f"{MANIFEST} has {size} bytes, at most {MAX_MANIFEST} are allowed")
    return sorted(files, key=lambda entry: entry.filename)


def _fault(entry: ZipInfo) -> str:
    if "\0" in entry.orig_filename:
        return "has a NUL in its name"
    if not entry.flag_bits & _UTF8 and not entry.orig_filename.isascii():
        return "has a name that is neither ASCII nor marked as UTF-8"
    if fault := path_fault(entry.filename.removesuffix("/")):
        return fault
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
        return "is not an ordinary file (a link, or a device)"
    if entry.is_dir():
        return "is a folder with contents" if entry.file_size else ""
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed with a method other than deflate"
    return ""


def _check_manifest(data: bytes) -> None:
    try:
        manifest = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise invalid(f"{MANIFEST} is not JSON: line {error.lineno}, column {error.colno}") from None
    if not isinstance(manifest, dict):
        raise invalid(f"{MANIFEST} is not a JSON object")


def _hashed(archive: Archive) -> tuple[tuple[ReleaseFile, ...], list[str]]:
    """(the files, the MD5s of their joined contents).

    ``a-b/x`` and ``a/x`` have one order as texts and another folder by folder; runners may use either.
    """
    files = {}
    as_text = [*archive.paths]
    by_folder = sorted(as_text, key=lambda path: path.split("/"))
    whole, other = (hashlib.md5(usedforsecurity=False) for _ in range(2))
    for path in as_text:
        hasher, size = hashlib.sha256(), 0
        for part in archive.contents(path):
            hasher.update(part)
            whole.update(part)
            size += len(part)
        files[path] = ReleaseFile(path, size, hasher.hexdigest())
    hashes = [whole.hexdigest()]
    if by_folder != as_text:
        for path in by_folder:
            for part in archive.contents(path):
                other.update(part)
        hashes.append(other.hexdigest())
    return tuple(files.values()), hashes


def _words(error: Exception) -> str:
    """The reason on one short line: the text may quote the zip."""
    return printable(str(error) or type(error).__name__)[:200]
