"""The thread that asks the server what there is to do, and tells the loop. Imports errors and its transport's shape."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobserver.errors import Code, Error
from jobserver.runner.backoff import Backoff
from jobserver.runner.config import RunnerConfig
from jobserver.runner.transport.base import Transport

_BAD_TOKEN = (Code.UNAUTHENTICATED, Code.FORBIDDEN)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """All active job requests, as the server's items."""

    items: list[Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no point in going on."""

    error: Error


def new_backoff(config: RunnerConfig) -> Backoff:
    return Backoff(config.first_pause, config.longest_pause)


class Fetcher:
    """Calls ``tell`` with each new list, in the order in which the server gave them, until ``halt`` is set.

    A refusal before the first list is final (a wrong token, a wrong URL). Later ones are retried: jobs are running, and
    a token may be mended on the server.
    """

    def __init__(
        self,
        transport: Transport,
        config: RunnerConfig,
        tell: Callable[[Listed | Failed], None],
        halt: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transport = transport
        self.config = config
        self.tell = tell
        self.halt = halt
        self.clock = clock
        self.backoff = new_backoff(config)
        self._thread = threading.Thread(target=self._run, name="fetch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, patience: float = 2.0) -> None:
        """A held poll can't be broken off: after ``patience`` seconds it is left to end by itself."""
        if self._thread.ident is not None:
            self._thread.join(patience)

    def first(self, stop: threading.Event) -> Listed | None:
        """The list as it is now; None if ``stop`` was set first.

        Raises `Error` once the server has not answered ``config.attempts`` times.
        """
        while not stop.is_set():
            try:
                return Listed(self.transport.fetch(0) or [])
            except Error as error:
                if error.code is not Code.UNAVAILABLE or self.backoff.failures + 1 >= self.config.attempts:
                    raise
                self._pause(error, stop)
        return None

    def _run(self) -> None:
        known: list[Any] | None = None
        while not self.halt.is_set():
            asked = self.clock()
            try:
                items = self.transport.fetch(self.config.wait)
            except Error as error:
                if known is None and error.code is not Code.UNAVAILABLE:
                    self.tell(Failed(_plain(error)))
                    return
                self._pause(error, self.halt)
                continue
            self.backoff.worked()
            # One that answers at once although nothing is new does not hold polls.
            held = self.clock() - asked >= min(1.0, self.config.wait)
            is_news = items is not None and items != known
            if items is not None:
                known = items
                self.tell(Listed(items))
            if not is_news and not held:
                self.halt.wait(self.config.interval)

    def _pause(self, error: Error, stop: threading.Event) -> None:
        pause = self.backoff.failed()
        _log.warning("%s; again in %.1f s", _plain(error), pause)
        stop.wait(pause)


def _plain(error: Error) -> Error:
    if error.code not in _BAD_TOKEN:
        return error
    return Error(error.code, f"the server refuses this runner's token (JOB_SERVER_TOKEN): {error.message}", error.where)
