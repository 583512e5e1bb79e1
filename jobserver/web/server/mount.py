"""The application at the path of BASE_URL, where that has one: WSGI's SCRIPT_NAME (PEP 3333).

Handlers and templates know the paths below it only. What sends a browser somewhere puts it in front: redirects
(`placed`), cookies, and every link of a page (`links_placed`), so that no handler or template can forget it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from bottle import request

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# In a page these can only be a template's: in all other text a quotation mark is escaped.
_LINK = re.compile(rb'( (?:href|action|formaction|src|data-more|data-root)=")/(?!/)')


def mounted(app: Wsgi, base_url: str) -> Wsgi:
    """``app`` at the path of ``base_url``; itself where there is none. A proxy in front passes the path on whole."""
    prefix = urlsplit(base_url).path.rstrip("/")
    return _Mount(app, prefix, base_url) if prefix else app


class _Mount:
    def __init__(self, app: Wsgi, prefix: str, base_url: str) -> None:
        self._app, self._prefix, self._base_url = app, prefix, base_url

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(f"{self._prefix}/"):
            return self._app(environ | {"SCRIPT_NAME": self._prefix, "PATH_INFO": path[len(self._prefix) :]}, start)
        status, more = ("404 Not Found", [])
        if path == self._prefix:
            status, more = "308 Permanent Redirect", [("Location", f"{self._prefix}/")]
        body = f"this server is at {self._base_url}/ only\n".encode()
        start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *more])
        return [body]


def placed(where: str) -> str:
    """A path of ours as a browser has to see it; another URL stays."""
    return f"{_prefix()}{where}" if where.startswith("/") else where


def links_placed(page: bytes) -> bytes:
    """A page whose links to ours are as a browser has to see them."""
    prefix = _prefix()
    return _LINK.sub(rb"\g<1>" + prefix.encode() + b"/", page) if prefix else page


def _prefix() -> str:
    return str(request.environ.get("SCRIPT_NAME", ""))
