"""Redirects to pages of this server, and to the login page and back."""

from urllib.parse import quote, urlsplit

from bottle import HTTPResponse, request

from jobserver.web.server.mount import placed

_URL_SIGNS = "/:?#[]@!$&'()*+,;=%~"


def redirect(target: str, status: int = 303) -> HTTPResponse:
    """``target``: a path below BASE_URL, or a whole URL. Characters that a URL cannot have are encoded."""
    location = placed(quote(target, safe=_URL_SIGNS))
    return HTTPResponse(b"", status, {"Location": location, "Cache-Control": "no-store"})


def to_login() -> HTTPResponse:
    """To the login page, which leads back to this one."""
    query = f"?{request.query_string}" if request.query_string and request.method == "GET" else ""
    return redirect(f"/login/?next={quote(quote(request.path, safe='/') + query, safe='/')}")


def local(target: str) -> str:
    """``target`` if it is a path of this server, else the front page: a link to us must not lead to another site."""
    parts = urlsplit(target)
    is_path = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if is_path and not parts.scheme and not parts.netloc else "/"
