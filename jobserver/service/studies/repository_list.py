"""Which repositories there are to choose from: asked in the background, so that no page waits for another machine.

May import errors; the clock is passed in.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic

from jobserver.errors import Error

_log = logging.getLogger(__name__)
EVERY = timedelta(minutes=10)
AGAIN = timedelta(minutes=1)  # after a place did not say
PATIENCE = 30.0  # seconds: of a list that takes many calls, and that nobody waits for


@dataclass(frozen=True, slots=True)
class Repositories:
    """As a workspace stores them, sorted. ``as_of``: when the place said so; None if it never did.

    ``problem``: why it says nothing now, where it does not.
    """

    names: tuple[str, ...] = ()
    as_of: datetime | None = None
    problem: str = ""


class RepositoryList:
    """Thread-safe. What a place last said stands until it says something else.

    ``ask`` takes the moment, on `time.monotonic`'s clock, until which it has time, and may raise `Error`.
    """

    def __init__(
        self, ask: Callable[[float], tuple[str, ...]], clock: Callable[[], datetime], every: timedelta = EVERY
    ) -> None:
        self._place, self._clock, self._every = ask, clock, every
        self._guard = threading.Lock()
        self._known = Repositories()
        self._due: datetime | None = None
        self._asking: threading.Event | None = None

    def known(self, wait: float = 0.0) -> Repositories:
        """What is known; starts to ask again if that is old, and gives the answer ``wait`` seconds to come."""
        now = self._clock()
        with self._guard:
            if self._asking is None and (self._due is None or now >= self._due):
                self._asking = self._begin()
            asking = self._asking
        if asking is not None and wait > 0:
            asking.wait(wait)
        with self._guard:
            return self._known

    def _begin(self) -> threading.Event | None:
        done = threading.Event()
        try:
            threading.Thread(target=self._ask, args=(done,), name="repositories", daemon=True).start()
        except RuntimeError:  # no more threads: the next page tries again
            return None
        return done

    def _ask(self, done: threading.Event) -> None:
        asked = self._clock()
        due = asked + min(AGAIN, self._every)
        repositories = replace(
            self._known, problem="The list of repositories can't be asked for: a bug, which was logged"
        )
        try:
            repositories = Repositories(self._place(monotonic() + PATIENCE), asked)
            due = asked + self._every
        except Error as error:
            repositories = replace(self._known, problem=error.message)
        except Exception:  # noqa: BLE001 - a thread's last resort: the next page asks again
            _log.exception("the list of repositories")
        finally:
            with self._guard:
                self._known, self._due, self._asking = repositories, due, None
            done.set()
