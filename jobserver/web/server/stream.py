"""What the application and the server it runs in (`gateway`) agree on beyond WSGI."""

from collections.abc import Callable
from typing import Protocol

CAN_STREAM, STREAM = "jobserver.can_stream", "jobserver.stream"
"""In the environ: that a handler may leave a `Stream` instead of a body, and where."""
LATER = "jobserver.later"
"""In the environ: that the body is still with its sender, and is asked for by raising `Later`."""
UNSIZED = "jobserver.unsized"
"""In the environ: that the head did not say how long the body is, so that a sender who went looks like its end."""
UNREADABLE = "\xff"
"""For a header that the loop was not given: neither ASCII nor UTF-8, so that nobody takes it as a value."""


class Later(BaseException):
    """The request is to be handled again once its body has come, of which at most ``most`` bytes are wanted.

    ``ended`` is called once, when that is over. No `Exception`: it goes through what turns those into answers.
    """

    def __init__(self, most: int, ended: Callable[[], None]) -> None:
        super().__init__(most)
        self.most, self.ended = most, ended


class Stream(Protocol):
    """A body without an end of its own, which the server sends without a thread."""

    def tell(self, wake: Callable[[], None]) -> None:
        """Has ``wake`` called, from any thread, whenever there is something new."""

    def take(self) -> bytes | None:
        """What to send now; None: it is over. Called on the event loop: it must return at once."""

    def close(self) -> None:
        """Nobody reads any more."""
