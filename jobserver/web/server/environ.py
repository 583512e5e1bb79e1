"""The WSGI environ (PEP 3333) of a request's head (RSGI's scope)."""

import io
import logging
from typing import Any, BinaryIO

from granian.rsgi import Scope

from jobserver.web.server.stream import CAN_STREAM, UNREADABLE


class File:
    """``wsgi.file_wrapper`` (PEP 3333), for a file that was opened by its path."""

    def __init__(self, file: BinaryIO, size: int = 0) -> None:
        self.path, self.close = str(file.name), file.close


_BASE: dict[str, Any] = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "jobserver",
    "wsgi.version": (1, 0),
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": File,
    CAN_STREAM: True,
}
_UNPREFIXED = ("CONTENT_TYPE", "CONTENT_LENGTH")
_log = logging.getLogger(__name__)


def environ_of(scope: Scope) -> dict[str, Any]:
    """The environ without a body.

    A header that is not ASCII becomes `UNREADABLE`, because granian does not pass its value on. Headers with an
    underscore are left out: `X_Forwarded_For` would look like `X-Forwarded-For`, which only a proxy may set.
    """
    client, _, port = scope.client.rpartition(":")
    server, _, server_port = scope.server.rpartition(":")
    environ = {
        **_BASE,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": server.strip("[]"),
        "SERVER_PORT": server_port,
        "REMOTE_ADDR": client.strip("[]"),
        "REMOTE_PORT": port,
        "wsgi.url_scheme": scope.scheme,
        "wsgi.errors": _Errors(),
        "wsgi.input": io.BytesIO(),
    }
    headers: dict[str, str] = {}
    for name, value in scope.headers.items():
        headers[name] = f"{headers[name]}{'; ' if name == 'cookie' else ','}{value}" if name in headers else value
    for name in scope.headers.keys():  # noqa: SIM118 - not a dict
        headers.setdefault(name, UNREADABLE)
    for name, value in headers.items():
        if "_" not in name:
            key = name.upper().replace("-", "_")
            environ[key if key in _UNPREFIXED else f"HTTP_{key}"] = value
    return environ


class _Errors(io.TextIOBase):
    """``wsgi.errors``, which writes to the log."""

    def write(self, text: str) -> int:
        if text.strip():
            _log.error("%s", text.rstrip())
        return len(text)


def body_size(environ: dict[str, Any]) -> int | None:
    """The body's size in bytes; None if the head does not give it. Drops Transfer-Encoding, which granian decoded."""
    if environ.pop("HTTP_TRANSFER_ENCODING", None) is not None:
        return None
    length = environ.get("CONTENT_LENGTH", "")
    return int(length) if length.isdecimal() else 0


def with_body(environ: dict[str, Any], body: bytes) -> dict[str, Any]:
    return environ | {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
