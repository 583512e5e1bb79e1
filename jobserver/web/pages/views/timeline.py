"""When the jobs of a request waited and ran, as bars over one axis. Pure; times are microseconds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobserver.index.queries.jobs import JobRow
from jobserver.web.pages.format import times

_SECOND = 1_000_000
# Seconds between two marks on the axis: steps that people count in.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
_MOST_MARKS = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """A job on the timeline, in percent of its width: where it begins, how long it waited, how long it ran.

    It waited before ``start``, too, if it waited for the first job to start: the timeline begins with that.
    """

    job: JobRow
    start: float
    waiting: float
    running: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """From the start of the first job to the end of the last, or to now. ``queued``: how long the request waited
    before, which would leave no room for the rest. ``marks``: (percent, time since the beginning in words)."""

    begins: int
    length: int
    queued: int
    marks: Sequence[tuple[float, str]]

    def bar(self, job: JobRow, now: int) -> Bar:
        end = self.begins + self.length
        last = min(job.completed_at or now, end)
        created = max(min(job.created_at, last), self.begins)
        is_waiting = job.started_at is not None or job.completed_at is None
        first = min(job.started_at or last, end) if is_waiting else created
        parts = (created - self.begins, first - created, last - first if job.started_at is not None else 0)
        return Bar(job, *(round(100 * max(part, 0) / self.length, 2) for part in parts))


def timeline(jobs: Iterable[JobRow], created_at: int, now: int) -> Timeline | None:
    """Of all jobs of a request; None before one of them has started. A runner's clock can differ from the server's."""
    started = [(job.started_at, job.completed_at or now) for job in jobs if job.started_at is not None]
    if not started:
        return None
    begins = min(start for start, _ in started)
    length = max(max(end for _, end in started) - begins, _SECOND)
    return Timeline(begins, length, max(begins - created_at, 0), _marks(length))


def _marks(length: int) -> list[tuple[float, str]]:
    seconds = length / _SECOND
    step = next((step for step in _STEPS if seconds / step <= _MOST_MARKS), 0)
    if not step:  # for years: five marks of whole weeks
        step = -(-int(seconds) // _MOST_MARKS // _STEPS[-1]) * _STEPS[-1]
    return [(round(100 * mark / seconds, 2), times.round_duration(mark)) for mark in range(0, int(seconds) + 1, step)]
