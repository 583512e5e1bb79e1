"""The log: one line a record, as text or as JSON, with its time, its level and the HTTP request that caused it.

Text is for people and journals, JSON for programs that collect logs. Control characters are escaped, so that no text of
a client can look like another line. Traceback lines follow a line of text, and are a field of JSON.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TextIO

from jobserver.errors import printable

_SECRET = re.compile(r"/(login/link|invitations)/[^/]+")  # the parts of paths that give rights to anybody who has them
_log = logging.getLogger("jobserver.request")


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(slots=True, eq=False)
class Request:
    """One HTTP request, while a thread handles it. ``actor`` is empty until it is known.

    ``id``: 24 hex digits. The first commit of the request has them as its trailer Request-Id. For traces: ``route`` is
    the pattern of the URL, ``traceparent`` the caller's trace, ``job_traces`` the traceparents of reported jobs, and
    ``steps`` what was timed: (step, detail, start, end) in nanoseconds since 1970.
    """

    method: str
    path: str
    id: str = field(default_factory=lambda: os.urandom(12).hex())
    actor: str = ""
    status: int = 0
    is_id_taken: bool = False
    route: str = ""
    traceparent: str = ""
    job_traces: set[str] = field(default_factory=set)
    steps: list[tuple[str, str, int, int]] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.path = _SECRET.sub(r"/\1/***", self.path)

    def end(self) -> None:
        """Writes the request's line, and tells the listeners."""
        for listener in tuple(listeners.values()):
            listener(self)
        if _log.isEnabledFor(logging.INFO):
            seconds = time.perf_counter() - self.started
            actor, path = self.actor or "-", printable(self.path)
            _log.info("%s %s %s %d %.4f", actor, self.method, path, self.status, seconds, extra={"seconds": seconds})


listeners: dict[str, Callable[[Request], None]] = {}
"""Get each request when it has ended. One listener for each name."""
_current: ContextVar[Request | None] = ContextVar("request", default=None)


@contextmanager
def handling(request: Request) -> Iterator[Request]:
    """Marks the log records of this thread as caused by the request."""
    token = _current.set(request)
    try:
        yield request
    finally:
        _current.reset(token)


def current() -> Request | None:
    """The request that this thread handles."""
    return _current.get()


def know_actor(actor: str) -> None:
    """Records who sent the request that this thread handles."""
    if (request := _current.get()) is not None:
        request.actor = actor


def take_request_id() -> str | None:
    """The id of the request that this thread handles, once: two commits of one request need different ids."""
    request = _current.get()
    if request is None or request.is_id_taken:
        return None
    request.is_id_taken = True
    return request.id


def configure(form: Format, level: Level, stream: TextIO | None = None) -> None:
    """Sends the log of this process to ``stream``, by default stderr. Libraries log warnings and errors only, because
    their other records have URLs, which may contain secrets."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Json() if form is Format.JSON else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("jobserver").setLevel(level.upper())


def _time(record: logging.LogRecord) -> str:
    """RFC 3339, UTC, with milliseconds."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        request = _current.get()
        head = f"{_time(record)} {record.levelname} {record.name} {request.id if request is not None else '-'}"
        line = f"{head} {printable(record.getMessage())}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request := _current.get()) is not None:
            fields |= {"request": request.id, "actor": request.actor, "method": request.method, "path": request.path}
            if (seconds := getattr(record, "seconds", None)) is not None:
                fields |= {"status": request.status, "seconds": round(seconds, 6)}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)
