"""What every endpoint shares: bodies within limits, JSON answers, conditional requests."""

import io
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
from bottle import HTTPResponse, request

from jobserver import logs
from jobserver.domain.base.permissions import Actor
from jobserver.errors import Code, Error, Fault, invalid
from jobserver.web.errors import TooLarge, message_of, retry_after, status_of
from jobserver.web.server.mount import placed
from jobserver.web.server.stream import LATER, UNSIZED, Later

MAX_BODY = 10 * 1024 * 1024
CALLER, TOKEN_EXPIRES, TURN = "jobserver.caller", "jobserver.token-expires", "jobserver.turn"
"""In the environ: the caller, when it is known, and when their token expires; and the function that counts a large body
(`bodies`)."""
MAX_WAIT = 50
MAX_VALUES = 1_000_000
_TEXT = re.compile(rb'"[^"]*"')
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)


def know_caller(actor: Actor) -> None:
    """Records who sent the request, for limits and for the log."""
    request.environ[CALLER] = str(actor)
    logs.know_actor(str(actor))


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """An answer of JSON; ``data`` may be JSON already, as bytes."""
    body = data if isinstance(data, bytes) else orjson.dumps(data)
    return HTTPResponse(body, status, {"Content-Type": "application/json", **(headers or {})})


def written(data: Any, commit: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """The answer to a write, which ``commit`` records."""
    return answer(data, status, {"X-Commit": commit, **(headers or {})})


def refusal(error: Error, status: int = 0) -> HTTPResponse:
    """An error as JSON: ``{"detail": ...}``, or ``{field: [reasons]}`` if it names fields.

    ``status`` is 0 for the one that belongs to the error's code.
    """
    status = status or status_of(error)
    headers = retry_after(error, status)
    if error.code is Code.INVALID and (fields := _fields(error)):
        return answer(fields, status, headers)
    return answer({"detail": message_of(error)}, status, headers)


def _fields(error: Error) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for fault in error.faults:
        if fault.key or fields:
            fields.setdefault(fault.key or "non_field_errors", []).append(fault.message)
    if not fields and error.where and not error.where.startswith("/"):
        fields[error.where] = [error.message]
    return fields


def check_filters(known: Collection[str]) -> None:
    """Raises `Error` (invalid) for each unknown query parameter: to ignore a filter would show too much."""
    unknown = [name.encode("latin-1").decode(errors="replace")[:100] for name in request.query if name not in known]
    if unknown:
        reason = f"unknown filter, expected one of: {', '.join(known)}" if known else "unknown filter, expected none"
        faults = [Fault(reason, key=name) for name in unknown]
        raise invalid(str(faults[0]), faults=faults)


def read_body(most: int = MAX_BODY) -> bytes:
    """The request's body. Handlers call this when they know the caller, and want the body.

    Raises `TooLarge` over ``most`` bytes; `Error`: invalid if the body is cut off, too_many if the caller already
    sends several; and `Later` if the gateway has to read it first.
    """
    environ, length = request.environ, request.content_length
    if length > most:
        raise TooLarge(most)
    if environ.get(LATER):
        raise Later(most, environ[TURN]())
    if environ.get(UNSIZED) and not length:
        raise invalid("The body is empty")  # it was cut off, and no body at all would mean something else
    if length < 0 and not environ.get("wsgi.input_terminated") and not request.chunked:
        return b""
    parts, size = [], 0
    while part := environ["wsgi.input"].read(min(65536, length - size) if length >= 0 else 65536):
        parts.append(part)
        size += len(part)
        if size > most:
            raise TooLarge(most)
    if size < length:
        raise invalid(f"The body ended after {size} of {length} bytes")
    return b"".join(parts)


def give(body: bytes) -> None:
    """Makes later readers of the request's body read this instead."""
    request.environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    for read in ("HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING"):
        request.environ.pop(read, None)


def read_json(body: bytes) -> Any:
    """Raises `Error` (invalid) with the line and column of the fault, or for too many values (`check_size`)."""
    check_size(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(f"The body is not JSON: see line {error.lineno}, column {error.colno}") from None


def check_size(body: bytes) -> None:
    """Raises `Error` (invalid) for more than MAX_VALUES values of JSON, before the costly reading of them."""
    if _values(body) > MAX_VALUES:
        raise invalid(f"The JSON has more than {MAX_VALUES} values")


def _values(body: bytes) -> int:
    """An upper bound of the number of values: even a short one costs some hundred bytes when it is read."""
    most = _separators(body)
    if most <= MAX_VALUES:
        return most
    return _separators(_TEXT.sub(b"", body.replace(rb"\\", b"").replace(rb"\"", b"")))


def _separators(body: bytes) -> int:
    return sum(map(body.count, (b",", b":", b"[", b"{")))


def header(name: str) -> str | None:
    """A header of the request, decoded as latin-1."""
    value = request.environ.get("HTTP_" + name.upper().replace("-", "_"))
    return value if isinstance(value, str) else None


def origins(base_url: str) -> set[str]:
    """The values of Origin that a browser sends from a page of this server."""
    parts = urlsplit(base_url)
    return {
        f"{parts.scheme}://{parts.netloc}",
        f"{request.environ.get('wsgi.url_scheme', 'http')}://{header('Host')}",
    }


def wait_seconds() -> int | None:
    """N of ``Prefer: wait=N`` (RFC 7240), at most MAX_WAIT; None without it."""
    match = _WAIT.search(header("Prefer") or "")
    return min(int(match[1]), MAX_WAIT) if match else None


def unchanged(etag: str) -> bool:
    """Whether If-None-Match has ``etag``, by weak comparison (RFC 9110)."""
    given = header("If-None-Match")
    if given is None:
        return False
    return given.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in given.split(","))


def not_modified(etag: str, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    return HTTPResponse(b"", 304, {"ETag": etag, **(headers or {})})


def slash(**_: str) -> HTTPResponse:
    """Redirects to the same URL with a slash: 301 for GET, as job-server did, and 308, which keeps method and body."""
    path = quote(request.environ.get("PATH_INFO", "").encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~-._")
    query = f"?{request.query_string}" if request.query_string else ""
    status = 301 if request.method in ("GET", "HEAD") else 308
    return HTTPResponse(b"", status, {"Location": placed(f"/{path.lstrip('/')}/{query}"), "Cache-Control": "no-store"})
