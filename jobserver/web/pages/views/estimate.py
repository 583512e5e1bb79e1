"""When a request may begin and end, from past runs; and how sure that is. Pure; times are microseconds."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from statistics import median

from jobserver.domain.job_requests import lifecycle
from jobserver.index.queries.jobs import JobRow

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Moment:
    """Expected ``at``, since 1970; by the quickest and slowest of past runs, between ``low`` and ``high``.

    ``sureness`` says in words what that rests on."""

    at: int
    low: int
    high: int
    sureness: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """None: nothing is known, or it is over. ``waits``: of how many other requests it is known how long they waited."""

    starts: Moment | None = None
    ends: Moment | None = None
    waits: int = 0


def begin(created_at: int, now: int, waits: Sequence[int], backend: str) -> Moment | None:
    """``waits``: how long the last requests on the backend waited. None if none is known, or all waited less."""
    left = [wait for wait in waits if created_at + wait > now]
    if not left:
        return None
    low, middle, high = min(left), int(median(left)), max(left)
    if len(left) < len(waits):
        said = f"it has waited longer than {len(waits) - len(left)} of the last {len(waits)} on {backend} did"
    else:
        said = f"from the last {_count(len(waits), 'request')} on {backend}"
    return Moment(created_at + middle, created_at + low, created_at + high, said)


def end(
    actions: Mapping[str, JobRow | None],
    needs: Mapping[str, Sequence[str]],
    past: Mapping[str, Sequence[int]],
    starts: Moment | None,
    now: int,
) -> Moment | None:
    """By the longest chain of needs of what is not finished. ``past``: action -> how long its last successes took.

    ``actions``: each with its job, if the runner has made one. None if nothing is known, or nothing is left."""
    left = {action: job for action, job in actions.items() if job is None or job.status not in lifecycle.FINISHED}
    known = [action for action in left if past.get(action)]
    if not known:
        return None

    try:
        order = list(TopologicalSorter({action: _among(left, needs.get(action, ())) for action in left}).static_order())
    except CycleError:  # pushed by somebody, perhaps
        return None

    def chain(pick: Callable[[Sequence[int]], float]) -> int:
        ends: dict[str, int] = {}

        def rest(action: str) -> int:
            job = left[action]
            usual = int(pick(past[action])) if past.get(action) else 0
            ran = now - job.started_at if job is not None and job.started_at is not None else 0
            return max(usual - ran, _SECOND)

        for action in order:
            ends[action] = max((ends[need] for need in _among(left, needs.get(action, ()))), default=0) + rest(action)
        return max(ends.values())

    first = (starts.at, starts.low, starts.high) if starts else (now, now, now)
    if len(known) < len(left):
        said = f"a guess: only {len(known)} of {_count(len(left), 'action')} have run here before"
    else:
        runs = min(len(past[action]) for action in known)
        said = f"from {_count(runs, 'past run')}" + (" of each action" if len(known) > 1 else "")
    return Moment(first[0] + chain(median), first[1] + chain(min), first[2] + chain(max), said)


def _among(left: Collection[str], needs: Sequence[str]) -> list[str]:
    return [need for need in needs if need in left]


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A job on the timeline: three stretches, in percent of the whole, from the request's making on."""

    job: JobRow
    start: float
    waiting: float
    running: float


def stretch(jobs: Sequence[JobRow], created_at: int, now: int) -> tuple[int, int]:
    """(when it begins, how long it is) of what a request's timeline shows; a runner's clock may be behind ours."""
    begins = min([created_at, *(job.created_at for job in jobs)])
    return begins, max(max((job.completed_at or now for job in jobs), default=now) - begins, 1)


def timeline(jobs: Sequence[JobRow], begins: int, whole: int, now: int) -> list[Bar]:
    """``begins`` and ``whole`` as `stretch` gives them, perhaps of more jobs than these."""
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
