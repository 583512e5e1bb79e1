"""A request's body as a file, for a thread, while it comes in on the event loop (RSGI 1.5 as granian has it)."""

import asyncio
import io
from collections.abc import Awaitable, Coroutine
from concurrent.futures import Future
from time import monotonic
from typing import Any, TypeVar

from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian._granian import RSGIProtocolClosed as ProtocolClosed

from jobserver.web.stream import BrokenBody

T = TypeVar("T")

BODY_SECONDS = 30.0
"""Between two parts of a body."""
_SLOWEST = 2000.0  # bytes a second that have to come once these seconds are over: half of what a modem did


class Incoming(io.RawIOBase):
    """A large body, or one of unknown size, as it comes: read in a thread, pulled from the event loop.

    Reading raises `BrokenBody`. Of a body without a size nobody is told whether it ended or the client went; what
    comes in that way (JSON, packs) shows its own end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: HTTPProtocol, size: int | None) -> None:
        self._loop, self._parts = loop, aiter(protocol)
        self._size, self._came, self._waited = size, 0, 0.0
        self._left = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left and not self._ended:
            self._left = self._next()
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    def _next(self) -> bytes:
        """Only the time that we wait for is the client's: whoever reads may be slow."""
        began = monotonic()
        patience = max(0.0, min(BODY_SECONDS, BODY_SECONDS + self._came / _SLOWEST - self._waited))
        try:
            part = bytes(wait(self._loop, anext(self._parts), patience))
        except TimeoutError:
            raise BrokenBody(
                f"the body came too slowly: {self._came} bytes in {self._waited + patience:.0f} s"
            ) from None
        except (StopAsyncIteration, ProtocolClosed):
            self._ended = True
            if self._size is not None and self._came < self._size:
                raise BrokenBody(f"the body ended after {self._came} of {self._size} bytes") from None
            return b""
        self._waited += monotonic() - began
        self._came += len(part)
        return part


def wait(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[T], seconds: float | None = None) -> T:
    """In a thread: what the event loop waits for."""

    async def waited() -> T:
        return await awaitable

    coroutine: Coroutine[Any, Any, T] = waited()
    future: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result(seconds)
    except TimeoutError:
        future.cancel()
        raise
