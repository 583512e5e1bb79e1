"""The thread that asks the server for job requests, and sends them to the loop."""

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
from jobserver.worker import Worker

_BAD_TOKEN = (Code.UNAUTHENTICATED, Code.FORBIDDEN)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestsListed:
    """All active job requests, as items of the server's list."""

    items: list[Any]


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """The server refuses this runner for good."""

    error: Error


def new_backoff(config: RunnerConfig) -> Backoff:
    return Backoff(config.first_pause, config.longest_pause)


class Fetcher:
    """Calls ``send`` with each new list, in the server's order, until ``halt`` is set.

    A refusal before the first list is final: the token or the URL is wrong. Later refusals are retried, because jobs
    are running and an admin may restore the token.
    """

    def __init__(
        self,
        transport: Transport,
        config: RunnerConfig,
        send: Callable[[RequestsListed | FetchFailed], None],
        halt: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transport = transport
        self.config = config
        self.send = send
        self.halt = halt
        self.clock = clock
        self.backoff = new_backoff(config)
        self._known: list[Any] | None = None
        self._worker = Worker("fetch", self._fetch)

    def start(self) -> None:
        self._worker.start()

    def close(self, patience: float = 2.0) -> None:
        """Waits up to ``patience`` seconds: a poll that the server holds can't be interrupted, and ends by itself."""
        self._worker.close(patience=patience)

    def first(self, stop: threading.Event) -> RequestsListed | None:
        """The list as it is now. None if ``stop`` was set first.

        Raises `Error` after ``config.attempts`` failures, or at once if the server refuses.
        """
        while not stop.is_set():
            try:
                return RequestsListed(self.transport.fetch(0) or [])
            except Error as error:
                if error.code is not Code.UNAVAILABLE or self.backoff.failures + 1 >= self.config.attempts:
                    raise
                stop.wait(self._pause(error))
        return None

    def _fetch(self) -> float | None:
        """Returns the seconds before the next call; None: the last one was this."""
        if self.halt.is_set():
            return None
        asked = self.clock()
        try:
            items = self.transport.fetch(self.config.wait)
        except Error as error:
            if self._known is None and error.code is not Code.UNAVAILABLE:
                self.send(FetchFailed(_explained(error)))
                return None
            return self._pause(error)
        self.backoff.worked()
        # A server that answers at once without news does not hold polls.
        is_held = self.clock() - asked >= min(1.0, self.config.wait)
        is_news = items is not None and items != self._known
        if items is not None:
            self._known = items
            self.send(RequestsListed(items))
        return 0.0 if is_news or is_held else self.config.interval

    def _pause(self, error: Error) -> float:
        pause = self.backoff.failed()
        _log.warning("%s; trying again in %.1f s", _explained(error), pause)
        return pause


def _explained(error: Error) -> Error:
    if error.code not in _BAD_TOKEN:
        return error
    return Error(error.code, f"the server refuses this runner's token (JOB_SERVER_TOKEN): {error.message}", error.where)
