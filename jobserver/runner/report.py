"""Reports jobs to the server until it accepts them."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence

from jobserver.errors import Code, Error
from jobserver.runner.backoff import Backoff
from jobserver.runner.state import RequestRecord
from jobserver.runner.transport.base import Transport

MAX_JOBS = 500  # in one report; a request with more jobs has a report of its own
_log = logging.getLogger(__name__)


class Reporter:
    """Reports all jobs of a request together, because the server drops jobs that are left out.

    A report that the server refuses is logged with the server's reason. It is tried again after ``refused_pause``
    seconds, or at once when a job has changed.
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
        self._refused: dict[str, tuple[RequestRecord, float]] = {}  # request -> (what was refused, next try)

    @property
    def failures(self) -> int:
        """Failures in a row. A refusal counts as a server that does not answer."""
        return max(self.backoff.failures, 10**6 if self._refused else 0)

    def pause(self) -> float:
        """Seconds until `send` may try again."""
        return max(0.01, self._not_before - self.clock()) if self.backoff.failures else 10**6

    def send(
        self, records: Sequence[RequestRecord], accept: Callable[[RequestRecord], None], last: bool = False
    ) -> None:
        """Reports those of ``records`` that are due. Calls ``accept`` with each that the server accepts.

        ``last``: tries now, even if an earlier try failed.
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
                _log.warning("could not report: %s; trying again in %.1f s", error, pause)
                return
            self.backoff.worked()
            self._not_before = 0.0

    def _is_due(self, record: RequestRecord, now: float) -> bool:
        refused, again = self._refused.get(record.request.identifier, (None, 0.0))
        return refused != record or now >= again

    def _send(self, batch: Sequence[RequestRecord], accept: Callable[[RequestRecord], None]) -> None:
        """Raises `Error` if trying again may help. After a refusal, reports each request alone."""
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
            _log.error("the server refuses the jobs of job request %s: %s", identifier, error)
            self._refused[identifier] = (batch[0], self.clock() + self.refused_pause)
            return
        for record in batch:
            if record.request.identifier in ignored:
                _log.warning("the server does not have job request %s, or no longer", record.request.identifier)
            self._refused.pop(record.request.identifier, None)
            accept(record)


def _batches(records: Sequence[RequestRecord]) -> Iterator[list[RequestRecord]]:
    batch: list[RequestRecord] = []
    size = 0
    for record in records:
        if batch and size + len(record.jobs) > MAX_JOBS:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.jobs)
    if batch:
        yield batch
