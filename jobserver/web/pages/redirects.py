"""Redirects to pages of this server, and to the login page and back."""

from collections.abc import Collection
from urllib.parse import quote, unquote, urlsplit

from bottle import HTTPResponse, request

from jobserver.web.server.mount import placed

_URL_SIGNS = "/:?#[]@!$&'()*+,;=%~"


def redirect(target: str, status: int = 303) -> HTTPResponse:
    """``target``: a path below BASE_URL, or a whole URL. Characters that a URL cannot have are encoded."""
    location = placed(quote(target, safe=_URL_SIGNS))
    return HTTPResponse(b"", status, {"Location": location, "Cache-Control": "no-store"})


def to_login(target: str = "") -> HTTPResponse:
    """To the login page, which leads to ``target``, or back to this page."""
    query = f"?{request.query_string}" if request.query_string and request.method == "GET" else ""
    own = quote(request.path, safe="/") + query
    return redirect(f"/login/?next={quote(target or own, safe='/')}")


def form_page(has_page: bool, own_origins: Collection[str]) -> str:
    """The path of the page that the form of this request is on: its own path if that ``has_page``, else the page that
    the browser names; the front page if it names none of ours."""
    if has_page:
        return str(request.path)
    parts = urlsplit(str(request.get_header("Referer", "")))
    path = unquote(parts.path).removeprefix(request.script_name.rstrip("/"))
    return local(path) if f"{parts.scheme}://{parts.netloc}" in own_origins else "/"


def local(target: str) -> str:
    """``target`` if it is a path of this server, else the front page: a link to us must not lead to another site."""
    parts = urlsplit(target)
    is_path = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if is_path and not parts.scheme and not parts.netloc else "/"
