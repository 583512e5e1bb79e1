"""Static files, under names that change with their content, so that browsers can cache them for ever."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from bottle import HTTPResponse, request

FOLDER = Path(__file__).parent.parent / "static"
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class _File:
    kind: str
    data: bytes
    packed: bytes


class Assets:
    """Reads all files at the start."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._names: dict[str, str] = {}
        self._files: dict[str, _File] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix in _KINDS:
                data = path.read_bytes()
                digest = hashlib.sha256(data).hexdigest()[:10]
                name = f"{path.stem}.{digest}{path.suffix}"
                self._names[path.name] = f"/static/{name}"
                self._files[name] = _File(_KINDS[path.suffix], data, gzip.compress(data, 9))

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
            return HTTPResponse(file.packed, 200, {**headers, "Content-Encoding": "gzip"})
        return HTTPResponse(file.data, 200, headers)
