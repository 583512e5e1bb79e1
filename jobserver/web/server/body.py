"""A request's body as it comes in on the event loop (RSGI 1.5 as granian has it): whole, cut off, or not wanted."""

import asyncio
import contextlib
from time import monotonic

from granian.rsgi import HTTPProtocol, ProtocolClosed

BODY_SECONDS = 30.0
"""Between two parts of a body."""
_SLOWEST = 2000.0  # bytes a second that have to come once these seconds are over: half of what a modem did
_DISCARD_SECONDS, _PAUSE_SECONDS = 10.0, 2.0


class Incoming:
    """One request's body."""

    def __init__(self, protocol: HTTPProtocol) -> None:
        self._parts = aiter(protocol)

    async def read(self, size: int | None, most: int) -> bytes | None:
        """The body, which is of ``size`` bytes where that is known; of one that is over ``most``, what shows that.

        None: the client went. Raises TimeoutError for one that sends too slowly. Of a body without a size nobody is
        told whether it ended or the client went; what may come in that way (JSON, packs, zips) shows its own end.
        """
        found: list[bytes] = []
        came, waited = 0, 0.0
        while came <= most:
            began = monotonic()
            try:
                async with asyncio.timeout(max(0.0, min(BODY_SECONDS, BODY_SECONDS + came / _SLOWEST - waited))):
                    part = bytes(await anext(self._parts))
            except (StopAsyncIteration, ProtocolClosed):
                return b"".join(found) if size is None or came == size else None
            waited += monotonic() - began
            came += len(part)
            found.append(part)
        return b"".join(found)

    async def discard(self) -> None:
        """Reads on for a while what nobody wants: most clients listen only when they have sent it all."""
        ends = monotonic() + _DISCARD_SECONDS
        with contextlib.suppress(StopAsyncIteration, ProtocolClosed, TimeoutError):
            while (left := ends - monotonic()) > 0:
                async with asyncio.timeout(min(left, _PAUSE_SECONDS)):
                    await anext(self._parts)
