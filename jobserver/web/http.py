"""What every endpoint shares: bodies read within limits, JSON answers, conditional requests, and one map of errors."""

import io
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
from bottle import HTTPResponse, request

from jobserver.errors import Code, Error, Fault, invalid
from jobserver.web.errors import TooLarge, message_of, retry_after, status_of
from jobserver.web.server.mount import placed
from jobserver.web.server.stream import LATER, UNSIZED, Later

MAX_BODY = 10 * 1024 * 1024
CALLER, TURN = "jobserver.caller", "jobserver.turn"
"""In the environ: who calls, once that is known; and what counts their body (`bodies`)."""
MAX_WAIT = 50
MAX_VALUES = 1_000_000
_TEXT = re.compile(rb'"[^"]*"')
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """JSON; ``data`` may be bytes that are JSON already."""
    body = data if isinstance(data, bytes) else orjson.dumps(data)
    return HTTPResponse(body, status, {"Content-Type": "application/json", **(headers or {})})


def written(data: Any, commit: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """The answer to a write, which is durable in ``commit``."""
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
    """Raises `Error` (invalid) for each query parameter that is none of these: to leave it out would show too much."""
    unknown = [name.encode("latin-1").decode(errors="replace")[:100] for name in request.query if name not in known]
    if unknown:
        reason = f"unknown filter, expected one of: {', '.join(known)}" if known else "unknown: this has no filters"
        faults = [Fault(reason, key=name) for name in unknown]
        raise invalid(str(faults[0]), faults=faults)


def read_body(most: int = MAX_BODY) -> bytes:
    """The request's body; asked for when it is clear who calls, and that it is wanted.

    Raises `TooLarge` over ``most`` bytes, however it is sent; `Error` (invalid) for half of one, or too_many for one
    caller's; and `Later` where the server in front of us is to read it first.
    """
    environ, length = request.environ, request.content_length
    if length > most:
        raise TooLarge(most)
    if environ.get(LATER):
        raise Later(most, environ[TURN]())
    if environ.get(UNSIZED) and not length:
        raise invalid("the body ended before it began")  # none at all would mean something else
    if length < 0 and not environ.get("wsgi.input_terminated") and not request.chunked:
        return b""
    parts, size = [], 0
    while part := environ["wsgi.input"].read(min(65536, length - size) if length >= 0 else 65536):
        parts.append(part)
        size += len(part)
        if size > most:
            raise TooLarge(most)
    if size < length:
        raise invalid(f"the body ended after {size} of {length} bytes")
    return b"".join(parts)


def give(body: bytes) -> None:
    """Has everybody after us read this, and not the body as it came."""
    request.environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    for read in ("HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING"):
        request.environ.pop(read, None)


def read_json(body: bytes) -> Any:
    """Raises `Error` (invalid) with the place where it stops being JSON, or for more values than a report can have."""
    check_size(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(f"the body is not JSON: see line {error.lineno}, column {error.colno}") from None


def check_size(body: bytes) -> None:
    """Raises `Error` (invalid) for JSON of more values than a report can have: before it is read, as that is costly."""
    if _values(body) > MAX_VALUES:
        raise invalid(f"the JSON has more than {MAX_VALUES} values")


def _values(body: bytes) -> int:
    """At least as many as there are, to within names; each costs some hundred bytes when read, however short it is."""
    most = _separators(body)
    if most <= MAX_VALUES:
        return most
    return _separators(_TEXT.sub(b"", body.replace(rb"\\", b"").replace(rb"\"", b"")))


def _separators(body: bytes) -> int:
    return sum(map(body.count, (b",", b":", b"[", b"{")))


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
