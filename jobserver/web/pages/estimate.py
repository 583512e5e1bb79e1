"""When a request may begin and end, from how long its actions took before; and how sure that is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from jobserver.domain import lifecycle
from jobserver.index.pages import JobRow

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """Microseconds since 1970. ``known`` of ``actions`` have run before; with none, nothing is said."""

    ends: int | None
    known: int
    actions: int

    @property
    def sureness(self) -> str:
        if self.known < self.actions:
            return f"a guess: {self.known} of {self.actions} actions have run before"
        return "from past runs"


def estimate(
    jobs: Sequence[JobRow], needs: Mapping[str, Sequence[str]], past: Mapping[str, Sequence[int]], now: int
) -> Estimate:
    """By the longest chain of needs of what is not finished; other people's jobs are not looked into."""
    left: dict[str, int] = {}
    open_jobs = [job for job in jobs if job.status not in lifecycle.FINISHED]
    known = 0
    for job in open_jobs:
        took = past.get(job.action)
        known += bool(took)
        usual = int(median(took)) if took else 0
        ran = now - job.started_at if job.started_at is not None else 0
        left[job.action] = max(usual - ran, _SECOND)
    if not open_jobs or not known:
        return Estimate(None, known, len(open_jobs))
    ends: dict[str, int] = {}
    for _ in range(len(left)):  # needs have no cycles
        for action, rest in left.items():
            waits = [ends.get(need, 0) for need in needs.get(action, ()) if need in left]
            ends[action] = max(waits, default=0) + rest
    return Estimate(now + max(ends.values()), known, len(open_jobs))


@dataclass(frozen=True, slots=True)
class Bar:
    """A job on the timeline: three stretches, in percent of the whole, from its making on."""

    job: JobRow
    start: float
    waiting: float
    running: float


def timeline(jobs: Sequence[JobRow], created_at: int, now: int) -> list[Bar]:
    ends = [job.completed_at or now for job in jobs]
    whole = max(max(ends, default=now) - created_at, 1)
    bars = []
    for job in jobs:
        end = job.completed_at or now
        begin = job.started_at or end
        start = max(job.created_at - created_at, 0)
        bars.append(
            Bar(
                job,
                100 * start / whole,
                100 * max(begin - max(job.created_at, created_at), 0) / whole,
                100 * max(end - begin, 0) / whole,
            )
        )
    return bars
