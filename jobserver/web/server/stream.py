"""What handlers and the `gateway` agree on beyond WSGI: bodies on request, and streams."""

from collections.abc import Callable
from typing import Protocol

CAN_STREAM, STREAM = "jobserver.can_stream", "jobserver.stream"
"""In the environ: whether a handler may put a `Stream` there instead of returning a body, and the key for it."""
LATER = "jobserver.later"
"""In the environ: the body was not read yet. A handler that wants it raises `Later`."""
ENDS = "jobserver.ends"
"""In the environ of the second run: what to call before an answer is sent."""
UNSIZED = "jobserver.unsized"
"""In the environ: the head does not give the body's size, so a body that was cut off looks like a whole one."""
UNREADABLE = "\xff"
"""The value of a header that granian did not pass on: neither ASCII nor UTF-8, so that it equals no real value."""


class Later(BaseException):
    """A handler's request for at most ``most`` bytes of the body; then the gateway runs the handler again.

    The gateway calls `end` when this is over, and before the client has its answer: a client that sends one body after
    another never sends two at once. Not an `Exception`: code that turns those into answers lets this pass.
    """

    def __init__(self, most: int, ended: Callable[[], None]) -> None:
        super().__init__(most)
        self.most, self._ended = most, iter([ended])

    def end(self) -> None:
        """Calls ``ended``, the first time."""
        for ended in self._ended:
            ended()


class Stream(Protocol):
    """A body without an end, which the gateway sends without a thread."""

    def tell(self, wake: Callable[[], None]) -> None:
        """Has ``wake`` called, from any thread, when there is something new."""

    def take(self) -> bytes | None:
        """The next bytes to send; None at the end. Runs on the event loop, so it must return at once."""

    def close(self) -> None:
        """The client disconnected."""
