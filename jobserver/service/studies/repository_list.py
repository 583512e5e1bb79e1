"""The repositories that forms suggest. Updated in the background, so that no page waits for GitHub.

May import errors and worker; the clock is an argument.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic

from jobserver.errors import Error
from jobserver.worker import start_task

EVERY = timedelta(minutes=10)
AGAIN = timedelta(minutes=1)  # after a failure
PATIENCE = 30.0  # seconds; long, because the list takes many calls and nobody waits for it


@dataclass(frozen=True, slots=True)
class Repositories:
    """The spelling is that of workspaces; sorted. ``as_of``: the time of the answer; None if there never was one.

    ``problem``: why the last update failed; empty if it did not.
    """

    names: tuple[str, ...] = ()
    as_of: datetime | None = None
    problem: str = ""


class RepositoryList:
    """Thread-safe. Keeps the last answer until there is a new one.

    ``ask`` gets the time, on the clock of `time.monotonic`, when it has to be done. It may raise `Error`.
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
        """The last answer. If that is old, starts an update, and waits up to ``wait`` seconds for it."""
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
            start_task("repositories", lambda: self._ask(done))
        except RuntimeError:  # no more threads: the next page tries again
            return None
        return done

    def _ask(self, done: threading.Event) -> None:
        asked = self._clock()
        due = asked + min(AGAIN, self._every)
        repositories = replace(
            self._known, problem="The list of repositories can't be updated because of a bug, which was logged"
        )
        try:
            repositories = Repositories(self._place(monotonic() + PATIENCE), asked)
            due = asked + self._every
        except Error as error:
            repositories = replace(self._known, problem=error.message)
        finally:
            with self._guard:
                self._known, self._due, self._asking = repositories, due, None
            done.set()
