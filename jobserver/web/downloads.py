"""Released files as answers, to pages and to the API. A browser saves them; it shows a few kinds, without scripts."""

import zipfile
from collections.abc import Iterator, Mapping
from typing import BinaryIO
from urllib.parse import quote

from bottle import HTTPResponse

from jobserver.domain.outputs.documents import CheckedFile, CheckedRelease
from jobserver.errors import not_found
from jobserver.service.releases.checked import CheckedReleaseService
from jobserver.store.release_files import ReleaseStore
from jobserver.store.release_record import StoredRelease

_CSP = "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# In a frame of our own page: what the file has of its own, and nothing from elsewhere.
_FRAMED_CSP = _CSP.replace("frame-ancestors 'none'", "frame-ancestors 'self'") + (
    "; style-src 'unsafe-inline'; img-src data:; font-src data:"
)
_CHUNK = 256 * 1024


def download(store: ReleaseStore, release: StoredRelease, path: str, headers: Mapping[str, str]) -> HTTPResponse:
    """Raises `Error` (not_found, unavailable)."""
    file = store.open(release, path)
    size = next(listed.size for listed in release.files if listed.path == path)
    return HTTPResponse(file, 200, {**headers, **attachment(path, size)})


def attachment(path: str, size: int | None = None) -> dict[str, str]:
    """The headers of a file that a browser saves. ``size``: in bytes, if it is known."""
    length = {"Content-Length": str(size)} if size is not None else {}
    return {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": _disposition(path.rpartition("/")[2]),
        "Content-Security-Policy": _CSP,
        "Cross-Origin-Resource-Policy": "same-origin",
        **length,
    }


def file_answer(
    content: BinaryIO, file: CheckedFile, headers: Mapping[str, str], content_type: str = ""
) -> HTTPResponse:
    """``content_type``: of a file that a page of ours shows in a frame; without it, the browser saves the file."""
    ours = attachment(file.path, file.size)
    if content_type:
        ours |= {"Content-Type": content_type, "Content-Disposition": "inline"}
        ours |= {"Content-Security-Policy": _FRAMED_CSP, "X-Frame-Options": "SAMEORIGIN"}
    return HTTPResponse(content, 200, {**headers, **ours})


def zip_answer(
    service: CheckedReleaseService, release: CheckedRelease, name: str, headers: Mapping[str, str]
) -> HTTPResponse:
    """All files that were released and are not withdrawn. Raises `Error` (not_found)."""
    files = release.live_files()
    if not files:
        raise not_found(f"release {release.identifier} has no released files")
    parts = _zipped(service, release, [file.path for file in files])
    return HTTPResponse(parts, 200, {**headers, **attachment(name), "Content-Type": "application/zip"})


class _Parts:
    """What the zip has written since it was last asked: zips of any size take little memory."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _zipped(service: CheckedReleaseService, release: CheckedRelease, paths: list[str]) -> Iterator[bytes]:
    out = _Parts()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            with service.open(release, path) as content, archive.open(path, "w") as target:
                while chunk := content.read(_CHUNK):
                    target.write(chunk)
                    yield out.taken()
    yield out.taken()


def _disposition(name: str) -> str:
    """The Content-Disposition: in ASCII for old browsers, and exactly for others (RFC 6266)."""
    ascii_name = "".join(char if (char.isascii() and char.isalnum()) or char in "._-" else "_" for char in name)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
