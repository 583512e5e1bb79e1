"""The one map from errors to HTTP: the status of each error, and the words that a client gets to see.

The API, the pages and git's URLs differ only in how they show an error: each passes its own ``refused`` to `guarded`.
"""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from bottle import HTTPError, HTTPResponse, request

from jobserver.errors import Code, Error, invalid, unavailable

T = TypeVar("T")
_STATUS = {
    Code.INVALID: 400,
    Code.CONFLICT: 409,
    Code.NOT_FOUND: 404,
    Code.FORBIDDEN: 403,
    Code.UNAUTHENTICATED: 403,  # not 401: job-server's runners expect 403
    Code.UNAVAILABLE: 503,
    Code.TOO_MANY: 429,
}
_RETRY_SECONDS = {503: 5, 429: 60}
_log = logging.getLogger(__name__)


class TooLarge(Exception):
    """The body is larger than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class WrongMethod(Exception):
    """The URL takes only the methods of ``allowed``, the value of the Allow header."""

    def __init__(self, allowed: str) -> None:
        super().__init__(allowed)
        self.allowed = allowed


def guarded(handle: Callable[[], HTTPResponse], refused: Callable[[Error, int], HTTPResponse]) -> HTTPResponse:
    """The answer of ``handle``, or what ``refused`` makes of the error that it raised and of that error's status."""
    try:
        return handle()
    except Error as error:
        return refused(error, status_of(error))
    except TooLarge as error:
        return refused(invalid(f"The request body is too large: the limit is {error.limit} bytes"), 413)
    except WrongMethod as error:
        reply = refused(invalid(f"{request.method} is not allowed here"), 405)
        reply.set_header("Allow", error.allowed)
        return reply
    except HTTPError as error:  # bottle raises this for a malformed form
        return refused(invalid("The form can't be read"), error.status_code)
    except Exception:  # noqa: BLE001 - the last resort: no traceback reaches a client
        _log.exception("a request failed because of a bug")
        return refused(unavailable("The server has a bug, and has logged it"), 500)


def handler_of(handlers: Mapping[str, T | None]) -> T:
    """The handler of the request's method; HEAD is answered as GET is. Raises `WrongMethod`."""
    handler = handlers.get("GET" if request.method == "HEAD" else request.method)
    if handler is None:
        raise WrongMethod(", ".join(method for method in sorted(handlers) if handlers[method] is not None))
    return handler


def status_of(error: Error) -> int:
    return _STATUS[error.code]


def message_of(error: Error) -> str:
    """The error's text for a client. Paths on this machine are left out: only its operator may know them."""
    return error.message if error.where.startswith("/") else str(error)


def retry_after(error: Error, status: int) -> dict[str, str]:
    """The Retry-After header; empty where trying again would change nothing."""
    seconds = error.seconds or _RETRY_SECONDS.get(status)
    return {"Retry-After": str(seconds)} if seconds else {}
