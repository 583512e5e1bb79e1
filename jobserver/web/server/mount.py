"""Serves the application at the path of BASE_URL (SCRIPT_NAME, PEP 3333).

Handlers and templates use paths without it. This module adds it to everything that leads a browser somewhere: redirects
(`placed`), cookies, and the links of a page (`links_placed`). So no handler or template can forget it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from bottle import request

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# Only templates can contain these: a quotation mark in any other text is escaped.
_LINK = re.compile(rb'( (?:href|action|formaction|src|data-more|data-root)=")/(?!/)')


def mounted(app: Wsgi, base_url: str) -> Wsgi:
    """``app`` at the path of ``base_url``, or ``app`` itself if there is none. A proxy must pass on the whole path."""
    prefix = urlsplit(base_url).path.rstrip("/")
    return _Mount(app, prefix, base_url) if prefix else app


class _Mount:
    def __init__(self, app: Wsgi, prefix: str, base_url: str) -> None:
        self._app, self._prefix, self._base_url = app, prefix, base_url

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(f"{self._prefix}/"):
            return self._app(environ | {"SCRIPT_NAME": self._prefix, "PATH_INFO": path[len(self._prefix) :]}, start)
        status, more = "404 Not Found", []
        if path == self._prefix:
            status, more = "308 Permanent Redirect", [("Location", f"{self._prefix}/")]
        body = f"Not found: this server is at {self._base_url}/\n".encode()
        start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *more])
        return [body]


def placed(where: str) -> str:
    """A path of this server, as a browser has to see it; any other URL unchanged."""
    return f"{_prefix()}{where}" if where.startswith("/") else where


def links_placed(page: bytes) -> bytes:
    """The page with each link to a path of this server as a browser has to see it."""
    prefix = _prefix()
    return _LINK.sub(rb"\g<1>" + prefix.encode() + b"/", page) if prefix else page


def _prefix() -> str:
    return str(request.environ.get("SCRIPT_NAME", ""))
