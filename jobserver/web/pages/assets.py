"""Static files, under names that change with their content, so that browsers can cache them for ever.

The style sheet and the script are written in parts and sent as one file each.
"""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bottle import HTTPResponse, request

FOLDER = Path(__file__).parent.parent / "static"
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
# The part on which others rest comes first, and those that change others come last; the rest has no order.
_FIRST, _LAST = ("base",), ("small", "print", "live")


@dataclass(frozen=True, slots=True)
class _File:
    kind: str
    data: bytes


class Assets:
    """Reads all files at the start."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._names: dict[str, str] = {}
        self._files: dict[str, _File] = {}
        for name, data in _contents(folder):
            path = Path(name)
            digest = hashlib.sha256(data).hexdigest()[:10]
            versioned = f"{path.stem}.{digest}{path.suffix}"
            self._names[name] = f"/static/{versioned}"
            self._files[versioned] = _File(_KINDS[path.suffix], data)

    def url(self, name: str) -> str:
        return self._names[name]

    def serve(self, name: str) -> HTTPResponse:
        file = self._files.get(name)
        if file is None:
            return HTTPResponse(b"file not found\n", 404, {"Content-Type": "text/plain"})
        headers = {
            "Content-Type": file.kind,
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
            "Vary": "Accept-Encoding",
        }
        if "gzip" in request.get_header("Accept-Encoding", ""):
            return HTTPResponse(_packed(file.data), 200, {**headers, "Content-Encoding": "gzip"})
        return HTTPResponse(file.data, 200, headers)


@lru_cache(maxsize=32)
def _packed(data: bytes) -> bytes:
    """Made when somebody asks for it first: a server that starts is in a hurry."""
    return gzip.compress(data, 9)


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file that is sent."""
    for path in sorted(folder.iterdir()):
        if path.suffix in _KINDS:
            yield path.name, path.read_bytes()
    yield "app.css", "\n".join(_parts(folder / "css")).encode()
    yield "app.js", "\n".join(['"use strict";\n(() => {', *_parts(folder / "js"), "})();\n"]).encode()


def _parts(folder: Path) -> list[str]:
    def place(path: Path) -> tuple[int, str]:
        order = -1 if path.stem in _FIRST else _LAST.index(path.stem) + 1 if path.stem in _LAST else 0
        return order, path.name

    return [path.read_text() for path in sorted(folder.iterdir(), key=place)]
