"""Times the steps of a request, for /metrics and traces: a commit, its batch, a signature, a sync to the disk, git.

Lower folders mark their steps and know nothing of who listens. A step without listeners costs half a microsecond.
"""

from collections.abc import Callable
from time import perf_counter
from typing import TypeAlias

Listener: TypeAlias = Callable[[str, str, float], None]
"""Gets the step, its detail (such as git's command) and the seconds that it took, in the thread that ended it."""

listeners: dict[str, Listener] = {}
"""One listener for each name. They must return at once."""


class timed:
    """A context manager around one step."""

    __slots__ = ("_detail", "_name", "_started")

    def __init__(self, name: str, detail: str = "") -> None:
        self._name, self._detail = name, detail

    def __enter__(self) -> None:
        self._started = perf_counter()

    def __exit__(self, *_: object) -> None:
        seconds = perf_counter() - self._started
        for listener in tuple(listeners.values()):
            listener(self._name, self._detail, seconds)
