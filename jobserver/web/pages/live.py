"""What changes in git changes on open pages: server-sent events that say "look again", and nothing else.

One thread looks when tips moved, and wakes only the pages that show what changed; the rest sleep on an event each.
Format: WHATWG HTML, "Server-sent events".
"""

import logging
import threading
from collections.abc import Callable, Iterator
from time import monotonic

from bottle import HTTPResponse

from jobserver.index import pages
from jobserver.index.follow import Index
from jobserver.web.pages import versions
from jobserver.web.pages.site import Look, Site, text

_PING_SECONDS = 25
_LIFE_SECONDS = 3600
_MAX_OPEN = 600
_log = logging.getLogger(__name__)
_AGAIN_SECONDS = 1.0
_SETTLE_SECONDS = 0.1


class _Page:
    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.version = ""
        self.wake = threading.Event()


class Live:
    """Topics: ``request/<id>``, and ``all`` for whatever lists things."""

    def __init__(self, site: Site, index: Index, slugs: Callable[[], "list[str]"]) -> None:
        self._index, self._slugs, self._site = index, slugs, site
        self._guard = threading.Lock()
        self._open: set[_Page] = set()
        self._moved = threading.Event()
        self._closing = False
        index.tell(self._moved.set)
        site.add("/live/", self.stream)
        threading.Thread(target=self._run, name="live", daemon=True).start()

    @property
    def count(self) -> int:
        return len(self._open)

    def close(self) -> None:
        self._closing = True
        self._moved.set()
        with self._guard:
            for page in self._open:
                page.wake.set()

    def stream(self, look: Look) -> HTTPResponse:
        page = _Page(text("topic", 100) or "all")
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        with self._guard:
            if len(self._open) >= _MAX_OPEN:
                return HTTPResponse(b"", 503, {"Retry-After": "30"})
            self._open.add(page)
        try:
            page.version = self._version(page.topic)
        except BaseException:
            self.leave(page)
            raise
        return HTTPResponse(_Events(self, page), 200, headers)

    def events(self, page: _Page) -> Iterator[bytes]:
        ends = monotonic() + _LIFE_SECONDS
        # Whoever lost the connection says what they saw last by asking anew, and looks again at once.
        yield f"retry: 2000\nevent: hello\ndata: {page.version}\n\n".encode()
        while not self._closing and monotonic() < ends:
            if page.wake.wait(_PING_SECONDS):
                page.wake.clear()
                if self._closing:
                    return
                yield f"event: change\ndata: {page.version}\n\n".encode()
            else:
                yield b": still here\n\n"

    def leave(self, page: _Page) -> None:
        with self._guard:
            self._open.discard(page)

    def _run(self) -> None:
        while not self._closing:
            self._moved.wait()
            self._moved.clear()
            threading.Event().wait(_SETTLE_SECONDS)  # one look for what comes together
            try:
                self._tell()
            except Exception:  # noqa: BLE001 - this thread must outlive what a reader can be told of
                _log.exception("open pages could not be told")
                threading.Event().wait(_AGAIN_SECONDS)
                self._moved.set()

    def _tell(self) -> None:
        with self._guard:
            found = list(self._open)
        now: dict[str, str] = {}
        for page in found:
            if page.topic not in now:
                now[page.topic] = self._version(page.topic)
            if now[page.topic] != page.version:
                page.version = now[page.topic]
                page.wake.set()

    def _version(self, topic: str) -> str:
        kind, _, name = topic.partition("/")
        if kind == "request":
            with self._index.view() as sql:
                found = pages.request(sql, name, self._slugs())
            return versions.of_request(*found) if found else ""
        return versions.of_tips(self._index.tips())


class _Events:
    """What the server iterates over, and closes when the page has gone."""

    def __init__(self, live: Live, page: _Page) -> None:
        self._live, self._page = live, page

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._live.events(self._page)
        finally:
            self.close()

    def close(self) -> None:
        self._live.leave(self._page)
