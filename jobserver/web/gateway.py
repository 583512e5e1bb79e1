"""The WSGI application behind an event loop: handlers run in threads, what only waits holds none.

A page that listens (`Stream`) costs a coroutine and its connection, and a small body is read before a thread is asked
for, so that slow senders hold none either. Under another WSGI server the same application works, with a thread for
each of these. Interfaces: PEP 3333, and RSGI 1.5 as granian has it.
"""

import asyncio
import io
import logging
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian._granian import RSGIProtocolClosed as ProtocolClosed
from granian.rsgi import Scope

from jobserver.web.incoming import BODY_SECONDS, Incoming, wait
from jobserver.web.stream import CAN_STREAM, STREAM, UNREADABLE, Stream

T = TypeVar("T")
Headers = list[tuple[str, str]]
_Streamed = tuple[int, Headers, Stream]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_SMALL = 64 * 1024  # bytes of a body that is read before a thread is asked for
_KEPT = 16  # threads, whatever happens
_STREAMED = {"content-length", "transfer-encoding", "connection"}  # what a stream's head has none of
_BASE: dict[str, Any] = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "jobserver",
    "wsgi.version": (1, 0),
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    CAN_STREAM: True,
}
_UNPREFIXED = ("CONTENT_TYPE", "CONTENT_LENGTH")
_log = logging.getLogger(__name__)


class Gateway:
    """An RSGI application. At most ``threads`` requests are handled at once, further ones wait for their turn.

    ``ping_seconds``: how often a stream is asked for something to send although nothing woke it.
    """

    def __init__(self, wsgi: Wsgi, threads: int, ping_seconds: float = 25.0) -> None:
        self._wsgi, self._ping = wsgi, ping_seconds
        self._threads = _Threads(threads)
        self._loop: asyncio.AbstractEventLoop | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        loop = self._loop or asyncio.get_running_loop()
        found = await self._run(loop, scope, protocol)  # its frame, and all of the request, ends before we listen
        if found is not None:
            await self._follow(loop, protocol, *found)

    async def _run(self, loop: asyncio.AbstractEventLoop, scope: Scope, protocol: HTTPProtocol) -> _Streamed | None:
        environ = environ_of(scope)
        length = environ.get("CONTENT_LENGTH", "")
        if "HTTP_TRANSFER_ENCODING" in environ or (length.isdecimal() and int(length) > _SMALL):
            size = None if "HTTP_TRANSFER_ENCODING" in environ else int(length)
            environ["wsgi.input"] = io.BufferedReader(Incoming(loop, protocol, size), _SMALL)
        else:
            data = b""
            if length not in ("", "0"):
                try:
                    data = await asyncio.wait_for(_whole(protocol), BODY_SECONDS)
                except TimeoutError:
                    protocol.response_str(408, [("connection", "close")], "the body did not come\n")
                    return None
                except ProtocolClosed:
                    return None  # the client has gone
            environ["wsgi.input"] = io.BytesIO(data)
        done: asyncio.Future[_Streamed | None] = loop.create_future()
        self._threads.run(lambda: self._handle(loop, environ, protocol, done))
        return await done

    def _handle(
        self,
        loop: asyncio.AbstractEventLoop,
        environ: dict[str, Any],
        protocol: HTTPProtocol,
        done: "asyncio.Future[_Streamed | None]",
    ) -> None:
        """In a thread: the answer goes from here, so that it does not wait for the event loop."""
        found: _Streamed | None = None
        try:
            found = self._answer(loop, environ, protocol)
        except ProtocolClosed:
            pass  # the client has gone
        except Exception:  # noqa: BLE001 - the event loop waits for us
            _log.exception("%s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
        loop.call_soon_threadsafe(_set, done, found)

    def _answer(
        self, loop: asyncio.AbstractEventLoop, environ: dict[str, Any], protocol: HTTPProtocol
    ) -> _Streamed | None:
        status, headers = 500, []

        def start(said: str, given: Headers, _: Any = None) -> None:
            nonlocal status, headers
            status, headers = int(said[:3]), given

        body = self._wsgi(environ, start)
        stream: Stream | None = environ.get(STREAM)
        if stream is not None:
            return status, [pair for pair in headers if pair[0].lower() not in _STREAMED], stream
        if isinstance(body, list):
            protocol.response_bytes(status, headers, body[0] if len(body) == 1 else b"".join(body))
            return None
        try:
            transport = protocol.response_stream(status, headers)
            for part in body:
                wait(loop, transport.send_bytes(part))
        finally:
            if (close := getattr(body, "close", None)) is not None:
                close()
        return None

    async def _follow(
        self, loop: asyncio.AbstractEventLoop, protocol: HTTPProtocol, status: int, headers: Headers, stream: Stream
    ) -> None:
        woken = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        try:
            transport = protocol.response_stream(status, headers)
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


def environ_of(scope: Scope) -> dict[str, Any]:
    """A request's head as PEP 3333 has it, without ``wsgi.input``.

    A header that is not ASCII is `UNREADABLE`: granian does not hand it out. One with an underscore is left out:
    `X_Forwarded_For` would pass for `X-Forwarded-For`, which a proxy takes care of.
    """
    client, _, port = scope.client.rpartition(":")
    server, _, server_port = scope.server.rpartition(":")
    environ = {
        **_BASE,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": server.strip("[]"),
        "SERVER_PORT": server_port,
        "REMOTE_ADDR": client.strip("[]"),
        "REMOTE_PORT": port,
        "wsgi.url_scheme": scope.scheme,
        "wsgi.errors": _Errors(),
    }
    found: dict[str, str] = {}
    for name, value in scope.headers.items():
        found[name] = f"{found[name]}{'; ' if name == 'cookie' else ','}{value}" if name in found else value
    for name in scope.headers.keys():  # noqa: SIM118 - not a dict
        found.setdefault(name, UNREADABLE)
    for name, value in found.items():
        if "_" not in name:
            key = name.upper().replace("-", "_")
            environ[key if key in _UNPREFIXED else f"HTTP_{key}"] = value
    return environ


class _Errors(io.TextIOBase):
    """``wsgi.errors``: to the log."""

    def write(self, text: str) -> int:
        if text.strip():
            _log.error("%s", text.rstrip())
        return len(text)


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


async def _whole(protocol: HTTPProtocol) -> bytes:
    return bytes(await protocol())


def _set(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)
