"""The WSGI application behind an event loop: handlers run in threads, what only waits holds none.

A page that listens (`Stream`) costs a coroutine and its connection. Every body is read here too: a small one before a
thread is asked for, any other once the application has said whose it is and that it is wanted (`Later`). Files are read
as fast as the client takes them; what is sent in parts otherwise, granian keeps in memory until then. Under another
WSGI server the same application works, with a thread for each of these. Interfaces: PEP 3333, and RSGI 1.5 as granian
has it.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope

from jobserver.web.server.body import BODY_SECONDS, Incoming
from jobserver.web.server.environ import File, body_size, environ_of, with_body
from jobserver.web.server.stream import LATER, STREAM, UNSIZED, Later, Stream

T = TypeVar("T")
Headers = list[tuple[str, str]]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_SMALL = 64 * 1024  # bytes of a body that is read before anybody knows whose it is
_EARLY = 1024  # of these at once
_KEPT = 16  # threads, whatever happens
_STREAMED = {"content-length", "transfer-encoding", "connection"}  # what a stream's head has none of
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the event loop is to send."""

    status: int
    headers: Headers
    body: bytes | Stream


_Found: TypeAlias = _Answer | Later | None


class Gateway:
    """An RSGI application. At most ``threads`` requests are handled at once, further ones wait for their turn.

    ``ping_seconds``: how often a stream is asked for something to send although nothing woke it.
    """

    def __init__(self, wsgi: Wsgi, threads: int, ping_seconds: float = 25.0) -> None:
        self._wsgi, self._ping = wsgi, ping_seconds
        self._threads = _Threads(threads)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._early = 0  # small bodies that are being read

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        loop = self._loop or asyncio.get_running_loop()
        found = await self._run(loop, scope, protocol)  # its frame, and all of the request, ends before we listen
        if found is not None:
            if isinstance(found.body, bytes):
                protocol.response_bytes(found.status, found.headers, found.body)
            else:
                await self._follow(loop, protocol, found, found.body)

    async def _run(self, loop: asyncio.AbstractEventLoop, scope: Scope, protocol: HTTPProtocol) -> _Answer | None:
        environ = environ_of(scope)
        size = body_size(environ)
        try:
            if size == 0:
                return await self._answered(loop, environ, protocol)
            if size is not None and size <= _SMALL and self._early < _EARLY:
                data = await self._small(protocol)
                if len(data) < size:
                    return None  # the client has gone
                return await self._answered(loop, with_body(environ, data), protocol)
            return await self._asked(loop, environ, protocol, size)
        except TimeoutError:
            protocol.response_str(408, [("connection", "close")], "the body came too slowly\n")
        except ProtocolClosed:
            pass  # the client has gone
        return None

    async def _small(self, protocol: HTTPProtocol) -> bytes:
        self._early += 1
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return bytes(await protocol())
        finally:
            self._early -= 1

    async def _asked(
        self, loop: asyncio.AbstractEventLoop, environ: dict[str, Any], protocol: HTTPProtocol, size: int | None
    ) -> _Answer | None:
        """With a body that the application is asked about before it is read."""
        found = await self._handled(loop, {**environ, LATER: True}, protocol)
        if isinstance(found, Later):
            try:
                body = Incoming(protocol)
                data = await body.read(size, found.most)
                if data is None:
                    return None
                if len(data) > found.most:
                    await body.discard()
                given = with_body(environ, data) | ({UNSIZED: True} if size is None else {})
                return await self._answered(loop, given, protocol)
            finally:
                found.ended()
        if found is not None and environ.get("HTTP_EXPECT", "").lower() != "100-continue":  # they wait for our word
            await Incoming(protocol).discard()
        return found

    async def _answered(
        self, loop: asyncio.AbstractEventLoop, environ: dict[str, Any], protocol: HTTPProtocol
    ) -> _Answer | None:
        """With all of its body."""
        found = await self._handled(loop, environ, protocol)
        assert not isinstance(found, Later)
        return found

    async def _handled(
        self, loop: asyncio.AbstractEventLoop, environ: dict[str, Any], protocol: HTTPProtocol
    ) -> _Found:
        done: asyncio.Future[_Found] = loop.create_future()
        self._threads.run(lambda: self._handle(loop, environ, protocol, done))
        return await done

    def _handle(
        self,
        loop: asyncio.AbstractEventLoop,
        environ: dict[str, Any],
        protocol: HTTPProtocol,
        done: "asyncio.Future[_Found]",
    ) -> None:
        """In a thread: the answer goes from here, so that it does not wait for the event loop."""
        found: _Found = None
        try:
            found = self._answer(loop, environ, protocol)
        except Later as later:
            found = later
        except ProtocolClosed:
            pass  # the client has gone
        except Exception:  # noqa: BLE001 - the event loop waits for us
            _log.exception("%s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
        loop.call_soon_threadsafe(_set, done, found)

    def _answer(
        self, loop: asyncio.AbstractEventLoop, environ: dict[str, Any], protocol: HTTPProtocol
    ) -> _Answer | None:
        status, headers = 500, []

        def start(said: str, given: Headers, _: Any = None) -> None:
            nonlocal status, headers
            status, headers = int(said[:3]), given

        body = self._wsgi(environ, start)
        stream: Stream | None = environ.get(STREAM)
        if stream is not None:
            headers = [pair for pair in headers if pair[0].lower() not in _STREAMED]
            return _Answer(status, headers, stream)
        if isinstance(body, list):
            whole = body[0] if len(body) == 1 else b"".join(body)
            if LATER in environ:
                return _Answer(status, headers, whole)
            protocol.response_bytes(status, headers, whole)
            return None
        try:
            if isinstance(body, File):
                protocol.response_file(status, headers, body.path)
            else:
                transport = protocol.response_stream(status, headers)
                for part in body:
                    _wait(loop, transport.send_bytes(part))
        finally:
            if (close := getattr(body, "close", None)) is not None:
                close()
        return None

    async def _follow(
        self, loop: asyncio.AbstractEventLoop, protocol: HTTPProtocol, answer: _Answer, stream: Stream
    ) -> None:
        woken = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        try:
            transport = protocol.response_stream(answer.status, answer.headers)
            stream.tell(wake)
            while (part := stream.take()) is not None:
                await transport.send_bytes(part)
                ping = loop.call_later(self._ping, woken.set)
                await woken.wait()
                ping.cancel()
                woken.clear()
        except ProtocolClosed:
            pass  # the page has gone
        finally:
            stream.close()


class _Threads:
    """Up to ``most`` threads, made when they are needed. Those that a rush left idle end after ``idle_seconds``, the
    others with the process, whatever they do then."""

    def __init__(self, most: int, idle_seconds: float = 5.0) -> None:
        self._most, self._idle_seconds = most, idle_seconds
        self._count, self._idle = 0, 0  # idle: less the tasks that wait
        self._guard = threading.Lock()
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def run(self, task: Callable[[], None]) -> None:
        with self._guard:
            self._idle -= 1
            is_new = self._idle < 0 and self._count < self._most
            if is_new:
                self._count += 1
                self._idle += 1
        self._tasks.put(task)
        if is_new:
            threading.Thread(target=self._work, name="request", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=self._idle_seconds)
            except queue.Empty:
                with self._guard:
                    if self._idle > 0 and self._count > _KEPT:  # else a task is on its way to us
                        self._idle -= 1
                        self._count -= 1
                        return
                continue
            task()
            del task  # and the request with it
            with self._guard:
                self._idle += 1


def _wait(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[T]) -> T:
    """In a thread: what the event loop waits for."""

    async def waited() -> T:
        return await awaitable

    coroutine: Coroutine[Any, Any, T] = waited()
    future: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, loop)
    return future.result()


def _set(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)
