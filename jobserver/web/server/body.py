"""A request's body, read on the event loop as it arrives (RSGI 1.5): whole, cut off, or discarded."""

import asyncio
import contextlib
from time import monotonic

from granian.rsgi import HTTPProtocol, ProtocolClosed

BODY_SECONDS = 30.0
"""The longest pause between two parts of a body."""
_SLOWEST = 2000.0  # bytes a second that a body needs after that: half the speed of a modem
_DISCARD_SECONDS, _PAUSE_SECONDS = 10.0, 2.0


class Incoming:
    """One request's body."""

    def __init__(self, protocol: HTTPProtocol) -> None:
        self._parts = aiter(protocol)

    async def read(self, size: int | None, most: int) -> bytes | None:
        """The body, or the first bytes of a body over ``most`` bytes. None if the client disconnected.

        ``size`` is None if the head does not give it. Then a body that was cut off looks like a whole one; JSON, packs
        and zips show that themselves. Raises TimeoutError if the client sends too slowly.
        """
        parts: list[bytes] = []
        came, waited = 0, 0.0
        while came <= most:
            began = monotonic()
            try:
                async with asyncio.timeout(max(0.0, min(BODY_SECONDS, BODY_SECONDS + came / _SLOWEST - waited))):
                    part = bytes(await anext(self._parts))
            except (StopAsyncIteration, ProtocolClosed):
                return b"".join(parts) if size is None or came == size else None
            waited += monotonic() - began
            came += len(part)
            parts.append(part)
        return b"".join(parts)

    async def discard(self) -> None:
        """Reads and drops the rest for a while: most clients read an answer only when they have sent everything."""
        ends = monotonic() + _DISCARD_SECONDS
        with contextlib.suppress(StopAsyncIteration, ProtocolClosed, TimeoutError):
            while (left := ends - monotonic()) > 0:
                async with asyncio.timeout(min(left, _PAUSE_SECONDS)):
                    await anext(self._parts)
