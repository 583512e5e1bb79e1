"""A released file as an answer, to pages and to the API. A browser saves it and never shows it."""

from collections.abc import Mapping
from urllib.parse import quote

from bottle import HTTPResponse

from jobserver.store.release_files import ReleaseStore
from jobserver.store.release_record import StoredRelease

_CSP = "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def download(store: ReleaseStore, release: StoredRelease, path: str, headers: Mapping[str, str]) -> HTTPResponse:
    """Raises `Error` (not_found, unavailable)."""
    file = store.open(release, path)
    size = next(listed.size for listed in release.files if listed.path == path)
    return HTTPResponse(file, 200, {**headers, **attachment(path, size)})


def attachment(path: str, size: int) -> dict[str, str]:
    """The headers of a file that a browser saves."""
    return {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": _disposition(path.rpartition("/")[2]),
        "Content-Length": str(size),
        "Content-Security-Policy": _CSP,
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _disposition(name: str) -> str:
    """The Content-Disposition: in ASCII for old browsers, and exactly for others (RFC 6266)."""
    ascii_name = "".join(char if (char.isascii() and char.isalnum()) or char in "._-" else "_" for char in name)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
