"""Telling the server how jobs are, until it has accepted it. Imports errors, state and its transport's shape."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence

from jobserver.errors import Code, Error
from jobserver.runner.backoff import Backoff
from jobserver.runner.state import Record
from jobserver.runner.transport.base import Transport

MAX_JOBS = 500  # in one report, but for a request that has more: its jobs can't be told apart from each other
_log = logging.getLogger(__name__)


class Reporter:
    """Sends what was not accepted yet, all jobs of a request together: the server drops those that are left out.

    What the server refuses stays with the caller, is logged with the server's reason, and is tried again after
    ``refused_pause`` seconds, or at once when it has changed.
    """

    def __init__(
        self,
        transport: Transport,
        backoff: Backoff,
        refused_pause: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transport = transport
        self.backoff = backoff
        self.refused_pause = refused_pause
        self.clock = clock
        self._not_before = 0.0
        self._refused: dict[str, tuple[Record, float]] = {}  # by request: what was refused, and when to try again

    @property
    def failures(self) -> int:
        """In a row; a server that refuses counts as one that does not answer."""
        return max(self.backoff.failures, 10**6 if self._refused else 0)

    def pause(self) -> float:
        """Seconds until there is a point in sending again."""
        return max(0.01, self._not_before - self.clock()) if self.backoff.failures else 10**6

    def send(self, records: Sequence[Record], accept: Callable[[Record], None], last: bool = False) -> None:
        """Reports ``records``, those that may be tried now; calls ``accept`` with each that the server took.

        ``last``: try now, whatever happened before.
        """
        now = self.clock()
        if now < self._not_before and not last:
            return
        for batch in _batches([record for record in records if self._is_due(record, now)]):
            try:
                self._send(batch, accept)
            except Error as error:
                pause = self.backoff.failed()
                self._not_before = self.clock() + pause
                _log.warning("not reported: %s; again in %.1f s", error, pause)
                return
            self.backoff.worked()
            self._not_before = 0.0

    def _is_due(self, record: Record, now: float) -> bool:
        refused, again = self._refused.get(record.request.identifier, (None, 0.0))
        return refused != record or now >= again

    def _send(self, batch: Sequence[Record], accept: Callable[[Record], None]) -> None:
        """Raises `Error` where trying again may help; a refusal is narrowed down to the request that it is about."""
        try:
            ignored = self.transport.report([job for record in batch for job in record.payload()])
        except Error as error:
            if error.code in (Code.UNAVAILABLE, Code.UNAUTHENTICATED, Code.FORBIDDEN):
                raise
            if len(batch) > 1:
                for record in batch:
                    self._send([record], accept)
                return
            identifier = batch[0].request.identifier
            _log.error("the server refuses the report on job request %s: %s", identifier, error)
            self._refused[identifier] = (batch[0], self.clock() + self.refused_pause)
            return
        for record in batch:
            if record.request.identifier in ignored:
                _log.warning("the server does not know job request %s (any more)", record.request.identifier)
            self._refused.pop(record.request.identifier, None)
            accept(record)


def _batches(records: Sequence[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        if batch and size + len(record.jobs) > MAX_JOBS:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.jobs)
    if batch:
        yield batch
