"""What the application and the server it runs in (`gateway`) agree on beyond WSGI."""

from collections.abc import Callable
from typing import Protocol

CAN_STREAM, STREAM = "jobserver.can_stream", "jobserver.stream"
"""In the environ: that a handler may leave a `Stream` instead of a body, and where."""
UNREADABLE = "\xff"
"""For a header that the loop was not given: neither ASCII nor UTF-8, so that nobody takes it as a value."""


class BrokenBody(OSError):
    """Reading a request's body: the client went before its end, or sends it too slowly. Says which."""


class Stream(Protocol):
    """A body without an end of its own, which the server sends without a thread."""

    def tell(self, wake: Callable[[], None]) -> None:
        """Has ``wake`` called, from any thread, whenever there is something new."""

    def take(self) -> bytes | None:
        """What to send now; None: it is over. Called on the event loop: it must return at once."""

    def close(self) -> None:
        """Nobody reads any more."""
