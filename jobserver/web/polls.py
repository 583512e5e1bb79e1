"""Calls that wait for a change: `Prefer: wait=N` with the ETag of the last answer in `If-None-Match`."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Protocol, TypeVar

from jobserver.domain.base.permissions import Actor
from jobserver.errors import unauthenticated
from jobserver.web import http
from jobserver.web.authentication import Callers
from jobserver.web.metrics import Metrics
from jobserver.web.services import Services

MAX_HELD = 256
"""Polls that wait at once, each in a thread; one more is answered immediately."""
_SETTLE_SECONDS = 0.05  # changes often come together


class Tagged(Protocol):
    """What a poll has read, with its ETag."""

    @property
    def etag(self) -> str: ...


R = TypeVar("R", bound=Tagged)


class Polls:
    """Thread-safe."""

    def __init__(self, services: Services, callers: Callers, metrics: Metrics) -> None:
        self._index, self._callers, self._metrics = services.index, callers, metrics
        self._slots, self._room = threading.Semaphore(MAX_HELD), services.budgets.polls
        self._moved, self._moves = threading.Condition(), 0
        self._index.on_change(self._count_move)
        services.readings.on_change(self._count_move)
        self._index.on_end(self._count_move)

    def answer(self, actor: Actor, reading: R, again: Callable[[R, float], R]) -> tuple[R, dict[str, str]]:
        """(what the caller gets, headers), after a wait if it prefers one and nothing has changed.

        ``again`` reads once more, as soon as something has changed, and after that many seconds at the latest.
        """
        seconds = http.wait_seconds()
        if seconds is None or http.header("If-None-Match") is None:
            return reading, {}
        if http.unchanged(reading.etag):
            # If every thread held a poll, nobody else would be served: polls over the limit are answered at once.
            if not self._slots.acquire(blocking=False):
                return reading, {}
            with self._held(str(actor)):
                ends = monotonic() + seconds
                while http.unchanged(reading.etag) and not self._index.is_closing and (left := ends - monotonic()) > 0:
                    reading = again(reading, left)
            if self._callers.again() != actor:
                raise unauthenticated("Invalid token")
        return reading, {"Preference-Applied": f"wait={seconds}"}

    def moves(self) -> int:
        """How often branches have moved, or jobs got new readings. To be read before what `wait_for_move` waits for a
        change of."""
        return self._moves

    def wait_for_move(self, seen: int, seconds: float) -> None:
        """Returns when something has moved after `moves` was ``seen``, or after ``seconds``."""
        with self._moved:
            has_moved = self._moved.wait_for(lambda: self._moves != seen, seconds)
        if has_moved and not self._index.is_closing:
            threading.Event().wait(min(_SETTLE_SECONDS, seconds))

    def _count_move(self) -> None:
        with self._moved:
            self._moves += 1
            self._moved.notify_all()

    @contextlib.contextmanager
    def _held(self, who: str) -> Iterator[None]:
        """While a poll waits; its slot is taken already."""
        with contextlib.ExitStack() as held:
            held.callback(self._slots.release)
            self._room.enter(who)
            held.callback(self._room.leave, who)
            self._metrics.held(1)
            held.callback(self._metrics.held, -1)
            yield
