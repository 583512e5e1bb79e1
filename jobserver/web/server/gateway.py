"""A WSGI application behind an event loop: handlers run in threads, and calls that only wait hold none.

An open page (`Stream`) costs a coroutine and its connection. Bodies are read on the loop: a small one before the
handler runs, any other when the handler has identified the caller and asked for it (`Later`). Files are sent as fast as
the client takes them; granian keeps other answers in memory until they are sent. Another WSGI server can run the same
application, with a thread for each of these. Interfaces: PEP 3333, and RSGI 1.5 (granian's docs/spec/RSGI.md).
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope

from jobserver import logs
from jobserver.web.server.body import BODY_SECONDS, Incoming
from jobserver.web.server.environ import File, body_size, environ_of, with_body
from jobserver.web.server.stream import ENDS, LATER, STREAM, UNSIZED, Later, Stream

T = TypeVar("T")
Headers = list[tuple[str, str]]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_SMALL = 64 * 1024  # bytes: a body up to this is read before the caller is known
_EARLY = 1024  # such bodies at once
_CLOSED = 499  # in the log: the client disconnected
_KEPT = 16  # threads that never end
_STREAMED = {"content-length", "transfer-encoding", "connection"}  # headers that a stream does not have
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer for the event loop to send."""

    status: int
    headers: Headers
    body: bytes | Stream


_Result: TypeAlias = _Answer | Later | None


class Gateway:
    """An RSGI application. It handles at most ``threads`` requests at once; others wait.

    Every ``ping_seconds`` it asks each stream for something to send, even if nothing woke the stream.
    """

    def __init__(self, wsgi: Wsgi, threads: int, ping_seconds: float = 25.0) -> None:
        self._wsgi, self._ping = wsgi, ping_seconds
        self._threads = _Threads(threads)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._early = 0  # small bodies that it is reading

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        loop = self._loop or asyncio.get_running_loop()
        result = await self._run(loop, scope, protocol)  # frees all of the request before a stream begins
        if result is not None:
            if isinstance(result.body, bytes):
                protocol.response_bytes(result.status, result.headers, result.body)
            else:
                await self._follow(loop, protocol, result, result.body)

    async def _run(self, loop: asyncio.AbstractEventLoop, scope: Scope, protocol: HTTPProtocol) -> _Answer | None:
        environ = environ_of(scope)
        size = body_size(environ)
        try:
            if size == 0:
                return await self._with_body(loop, environ, protocol)
            if size is not None and size <= _SMALL and self._early < _EARLY:
                data = await self._small(protocol)
                if len(data) < size:
                    return None  # the client disconnected
                return await self._with_body(loop, with_body(environ, data), protocol)
            return await self._with_late_body(loop, environ, protocol, size)
        except TimeoutError:
            protocol.response_str(408, [("connection", "close")], "the request body arrived too slowly\n")
        except ProtocolClosed:
            pass  # the client disconnected
        return None

    async def _small(self, protocol: HTTPProtocol) -> bytes:
        self._early += 1
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return bytes(await protocol())
        finally:
            self._early -= 1

    async def _with_late_body(
        self, loop: asyncio.AbstractEventLoop, environ: dict[str, Any], protocol: HTTPProtocol, size: int | None
    ) -> _Answer | None:
        """Runs the handler without the body, reads the body if the handler asks for it, and runs the handler again."""
        result = await self._in_thread(loop, {**environ, LATER: True}, protocol)
        if isinstance(result, Later):
            try:
                body = Incoming(protocol)
                data = await body.read(size, result.most)
                if data is None:
                    return None
                if len(data) > result.most:
                    await body.discard()
                given = with_body(environ, data) | {ENDS: result.end} | ({UNSIZED: True} if size is None else {})
                return await self._with_body(loop, given, protocol)
            finally:
                result.end()
        if (
            result is not None and environ.get("HTTP_EXPECT", "").lower() != "100-continue"
        ):  # else the client has not sent it
            await Incoming(protocol).discard()
        return result

    async def _with_body(
        self, loop: asyncio.AbstractEventLoop, environ: dict[str, Any], protocol: HTTPProtocol
    ) -> _Answer | None:
        """Runs the handler with the whole body."""
        result = await self._in_thread(loop, environ, protocol)
        assert not isinstance(result, Later)
        return result

    async def _in_thread(
        self, loop: asyncio.AbstractEventLoop, environ: dict[str, Any], protocol: HTTPProtocol
    ) -> _Result:
        done: asyncio.Future[_Result] = loop.create_future()
        self._threads.run(lambda: self._handle(loop, environ, protocol, done))
        return await done

    def _handle(
        self,
        loop: asyncio.AbstractEventLoop,
        environ: dict[str, Any],
        protocol: HTTPProtocol,
        done: "asyncio.Future[_Result]",
    ) -> None:
        """Runs in a thread, and sends the answer from there, so that it does not wait for the event loop."""
        result: _Result = None
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        incoming = logs.Request(environ["REQUEST_METHOD"], path, traceparent=environ.get("HTTP_TRACEPARENT", ""))
        with logs.handling(incoming) as request:
            try:
                result = self._answer(loop, environ, protocol, request)
            except Later as later:
                result = later
            except ProtocolClosed:
                request.status = _CLOSED
            except Exception:  # noqa: BLE001 - the event loop waits for ``done``
                _log.exception("a request failed because of a bug")
            with suppress(RuntimeError):  # the server has stopped meanwhile, so nobody waits
                loop.call_soon_threadsafe(_set, done, result)
            if not isinstance(result, Later):  # which runs again, with the body
                request.end()

    def _answer(
        self,
        loop: asyncio.AbstractEventLoop,
        environ: dict[str, Any],
        protocol: HTTPProtocol,
        request: logs.Request,
    ) -> _Answer | None:
        status, headers = 500, []

        def start(line: str, given: Headers, _: Any = None) -> None:
            nonlocal status, headers
            status, headers = int(line[:3]), [*given, ("request-id", request.id)]
            request.status = status

        body = self._wsgi(environ, start)
        stream: Stream | None = environ.get(STREAM)
        if stream is not None:
            headers = [pair for pair in headers if pair[0].lower() not in _STREAMED]
            return _Answer(status, headers, stream)
        if isinstance(body, list):
            whole = body[0] if len(body) == 1 else b"".join(body)
            if LATER in environ:
                return _Answer(status, headers, whole)
            if (end := environ.get(ENDS)) is not None:
                end()
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
            with suppress(RuntimeError):  # as above
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
            pass  # the page was closed
        finally:
            stream.close()


class _Threads:
    """Starts up to ``most`` threads on demand. Threads over `_KEPT` end after ``idle_seconds`` without a task.

    They are daemons: they end with the process, whatever they do then. Not workers: they take tasks in turn.
    """

    def __init__(self, most: int, idle_seconds: float = 5.0) -> None:
        self._most, self._idle_seconds = most, idle_seconds
        self._count, self._idle = 0, 0  # idle: minus the tasks that wait
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
                    if self._idle > 0 and self._count > _KEPT:  # else a task is on its way to this thread
                        self._idle -= 1
                        self._count -= 1
                        return
                continue
            task()
            del task  # frees the request
            with self._guard:
                self._idle += 1


def _wait(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[T]) -> T:
    """From a thread: the result of what the event loop awaits."""

    async def waited() -> T:
        return await awaitable

    coroutine: Coroutine[Any, Any, T] = waited()
    future: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, loop)
    return future.result()


def _set(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)
