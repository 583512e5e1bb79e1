"""What every endpoint shares: bodies read within limits, JSON answers, conditional requests, and one map of errors."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
from bottle import HTTPResponse, request

from jobserver.errors import Code, Error, invalid, unavailable
from jobserver.web.mount import placed
from jobserver.web.stream import BrokenBody

MAX_BODY = 10 * 1024 * 1024
MAX_WAIT = 50
_STATUS = {
    Code.INVALID: 400,
    Code.CONFLICT: 409,
    Code.NOT_FOUND: 404,
    Code.FORBIDDEN: 403,
    Code.UNAUTHENTICATED: 403,  # not 401: what job-server's runners know
    Code.UNAVAILABLE: 503,
    Code.TOO_MANY: 429,
}
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """JSON; ``data`` may be bytes that are JSON already."""
    body = data if isinstance(data, bytes) else orjson.dumps(data)
    return HTTPResponse(body, status, {"Content-Type": "application/json", **(headers or {})})


def written(data: Any, commit: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """The answer to a write, which is durable in ``commit``."""
    return answer(data, status, {"X-Commit": commit, **(headers or {})})


def refusal(error: Error) -> HTTPResponse:
    """An error as an answer: ``{"detail": ...}``, or, where fields are wrong, ``{field: [reasons]}``."""
    status = _STATUS[error.code]
    headers = retry_after(error)
    if error.code is Code.INVALID and (fields := _fields(error)):
        return answer(fields, status, headers)
    return answer({"detail": said(error)}, status, headers)


def said(error: Error) -> str:
    """What whoever is elsewhere is told: where on this machine something stands is its operator's to know."""
    return error.message if error.where.startswith("/") else str(error)


def retry_after(error: Error) -> dict[str, str]:
    """The header; none where trying again would change nothing."""
    seconds = error.seconds or {503: 5, 429: 60}.get(_STATUS[error.code])
    return {"Retry-After": str(seconds)} if seconds else {}


def _fields(error: Error) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for fault in error.faults:
        if fault.key:
            fields.setdefault(fault.key, []).append(fault.message)
    if not fields and error.where and not error.where.startswith("/"):
        fields[error.where] = [error.message]
    return fields


def read_body() -> bytes:
    """The request's body. Raises `TooLarge` over 10 MiB, however it is sent, and `Error` (invalid) for half of one."""
    if request.content_length > MAX_BODY:
        raise TooLarge
    stream = request.environ["wsgi.input"]
    length = request.content_length
    if length < 0 and not request.environ.get("wsgi.input_terminated") and not request.chunked:
        return b""
    parts, size = [], 0
    try:
        while part := stream.read(min(65536, length - size) if length >= 0 else 65536):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY:
                raise TooLarge
            if 0 <= length <= size:
                break
    except BrokenBody as error:
        raise invalid(str(error)) from None
    if size < length:
        raise invalid(f"the body ended after {size} of {length} bytes")
    return b"".join(parts)


_strangers = threading.BoundedSemaphore(32)


@contextmanager
def from_stranger() -> Iterator[None]:
    """While the body of somebody is read who did not say who they are: a slow one holds a thread, so there are few.

    Raises `Error` (unavailable).
    """
    if not _strangers.acquire(blocking=False):
        raise unavailable("too many are logging in at once: try again")
    try:
        yield
    finally:
        _strangers.release()


class TooLarge(Exception):
    """A body over MAX_BODY."""


def read_json(body: bytes) -> Any:
    """Raises `Error` (invalid) with the place where it stops being JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(f"the body is not JSON: see line {error.lineno}, column {error.colno}") from None


def header(name: str) -> str | None:
    """A request's header, as text (latin-1, as HTTP has it)."""
    value = request.environ.get("HTTP_" + name.upper().replace("-", "_"))
    return value if isinstance(value, str) else None


def origins(base_url: str) -> set[str]:
    """What a browser may say in Origin of a page of ours."""
    parts = urlsplit(base_url)
    return {
        f"{parts.scheme}://{parts.netloc}",
        f"{request.environ.get('wsgi.url_scheme', 'http')}://{header('Host')}",
    }


def wait_seconds() -> int | None:
    """N of ``Prefer: wait=N``, at most MAX_WAIT; None if it is not asked for (RFC 7240)."""
    found = _WAIT.search(header("Prefer") or "")
    return min(int(found[1]), MAX_WAIT) if found else None


def unchanged(etag: str) -> bool:
    """Whether If-None-Match has ``etag``; compared weakly, as RFC 9110 asks for it."""
    given = header("If-None-Match")
    if given is None:
        return False
    return given.strip() == "*" or etag in (one.strip().removeprefix("W/") for one in given.split(","))


def not_modified(etag: str, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    return HTTPResponse(b"", 304, {"ETag": etag, **(headers or {})})


def slash(**_: str) -> HTTPResponse:
    """To the same URL with its slash: 301 on GET, as job-server did; 308 on the rest, which keeps method and body."""
    path = quote(request.environ.get("PATH_INFO", "").encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~-._")
    query = f"?{request.query_string}" if request.query_string else ""
    status = 301 if request.method in ("GET", "HEAD") else 308
    return HTTPResponse(b"", status, {"Location": placed(f"/{path.lstrip('/')}/{query}"), "Cache-Control": "no-store"})
