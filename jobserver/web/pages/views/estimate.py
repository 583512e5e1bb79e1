"""The jobs of a request on its timeline. Pure; times are microseconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobserver.index.queries.jobs import JobRow


@dataclass(frozen=True, slots=True)
class Bar:
    """A job on the timeline, in percent of its width: where the job begins, how long it waited, how long it ran."""

    job: JobRow
    start: float
    waiting: float
    running: float


def stretch(jobs: Sequence[JobRow], created_at: int, now: int) -> tuple[int, int]:
    """(first moment, length) of a request's timeline. A runner's clock can be behind the server's."""
    begins = min([created_at, *(job.created_at for job in jobs)])
    return begins, max(max((job.completed_at or now for job in jobs), default=now) - begins, 1)


def timeline(jobs: Sequence[JobRow], begins: int, whole: int, now: int) -> list[Bar]:
    """``begins`` and ``whole``: from `stretch`, for all jobs of the request, while ``jobs`` can be some of them."""
    bars = []
    for job in jobs:
        last = job.completed_at or now
        first = job.started_at or last
        start = max(job.created_at - begins, 0)
        bars.append(
            Bar(
                job,
                100 * start / whole,
                100 * max(first - max(job.created_at, begins), 0) / whole,
                100 * max(last - first, 0) / whole,
            )
        )
    return bars
