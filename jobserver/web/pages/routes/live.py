"""Tells open pages that something has changed, by server-sent events. The page then loads itself again.

One thread waits for new commits and readings, and wakes only the pages that show something that has changed. A page is
a `Stream`; under a WSGI server without streams, its body is an iterator that a thread waits for. Format: WHATWG HTML,
"Server-sent events".
"""

import threading
from collections.abc import Callable, Iterator
from time import monotonic

from bottle import HTTPResponse, request

from jobserver.index import reader
from jobserver.index.queries.requests import find_request
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import page_version
from jobserver.web.pages.forms import text
from jobserver.web.pages.sessions import Session
from jobserver.web.pages.site import Site
from jobserver.web.server.stream import CAN_STREAM, STREAM
from jobserver.worker import Worker

_PING_SECONDS = 25
_LIFE_SECONDS = 3600
_MAX_OPEN = 4000
_SETTLE_SECONDS = 0.1


class _Page:
    """An open page: a `Stream`, and an iterable body for a WSGI server without streams."""

    __slots__ = ("_ends", "_live", "_sent", "_wake", "is_over", "session", "topic", "version", "who")

    def __init__(self, live: "Live", topic: str, who: str, session: Session | None) -> None:
        """``who``: a person or an address. ``session``: whose it is; None where pages are public."""
        self._live, self.topic, self.version, self.who, self.session = live, topic, "", who, session
        self.is_over = False  # the session is no longer valid
        self._sent: str | None = None  # the last version that the page received
        self._ends = monotonic() + _LIFE_SECONDS
        self._wake: Callable[[], None] | None = None

    def tell(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def wake(self) -> None:
        if self._wake is not None:
            self._wake()

    def take(self) -> bytes | None:
        version, sent = self.version, self._sent
        if self._live.is_closing or self.is_over or monotonic() > self._ends:
            return None
        self._sent = version
        if sent is None:
            # A page that reconnects compares this version with its own, and loads itself again if they differ.
            return f"retry: 2000\nevent: hello\ndata: {version}\n\n".encode()
        return f"event: change\ndata: {version}\n\n".encode() if version != sent else b": still here\n\n"

    def close(self) -> None:
        self._live.leave(self)

    def __iter__(self) -> Iterator[bytes]:
        woken = threading.Event()
        self.tell(woken.set)
        try:
            while (part := self.take()) is not None:
                yield part
                woken.wait(_PING_SECONDS)
                woken.clear()
        finally:
            self.close()


class Live:
    """Topics: ``request/<id>``, and ``all`` for pages with lists."""

    def __init__(self, site: Site) -> None:
        services = site.services
        self._site, self._services, self._index = site, services, services.index
        self._room = services.budgets.pages  # for one person, or for one address where nobody has to log in
        self._guard = threading.Lock()
        self._open: set[_Page] = set()
        self.is_closing = False
        self._worker = Worker("live", self._notify, _SETTLE_SECONDS)  # changes often come together
        self._index.on_change(self._worker.wake)
        services.readings.on_change(self._worker.wake)
        self._index.on_end(self.close)
        site.add("/live/", self.stream, is_open=True)
        self._worker.start(delay=None)

    @property
    def count(self) -> int:
        return len(self._open)

    def close(self) -> None:
        self.is_closing = True
        with self._guard:
            for page in self._open:
                page.wake()
        self._worker.close()

    def stream(self, context: PageContext) -> HTTPResponse:
        if context.user is None and not self._services.options.public_read:
            return HTTPResponse(b"", 204)  # a browser does not connect again; a login page would be an error to it
        who = str(context.actor) if context.user is not None else self._services.client()
        page = _Page(self, text("topic", 100) or "all", who, context.session)
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        with self._guard:
            if len(self._open) >= _MAX_OPEN:
                return HTTPResponse(b"", 503, {"Retry-After": "30"})
            self._room.enter(who)
            self._open.add(page)
        try:
            page.version = self._version(page.topic)
        except BaseException:
            self.leave(page)
            raise
        if not page.version and reader.is_limited():  # of a request that this person does not see
            self.leave(page)
            return HTTPResponse(b"", 204)
        if request.method == "HEAD":
            self.leave(page)
        elif request.environ.get(CAN_STREAM):
            request.environ[STREAM] = page
        else:
            return HTTPResponse(page, 200, headers)
        return HTTPResponse(b"", 200, headers)

    def leave(self, page: _Page) -> None:
        with self._guard:
            if page in self._open:
                self._open.remove(page)
                self._room.leave(page.who)

    def _notify(self) -> None:
        with self._guard:
            open_pages = list(self._open)
        now = {topic: self._version(topic) for topic in {page.topic for page in open_pages}}
        changed = [page for page in open_pages if now[page.topic] != page.version]
        # Sessions are checked after the versions were read: a page whose session has ended learns of no later change.
        valid = self._services.sessions.still({page.session for page in changed if page.session is not None})
        for page in changed:
            page.is_over = page.session is not None and page.session not in valid
            page.version = now[page.topic]
            page.wake()

    def _version(self, topic: str) -> str:
        kind, _, name = topic.partition("/")
        if kind == "request":
            with self._index.view() as sql:
                row_and_jobs = find_request(sql, name, self._services.visible.slugs())
            if row_and_jobs is None:
                return ""
            row, jobs = row_and_jobs
            return page_version.of_request(row, self._services.readings.newest(row.backend, jobs))
        return page_version.of_tips(self._index.tips())
