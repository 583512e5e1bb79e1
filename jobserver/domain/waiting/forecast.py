"""When a request is expected to start and end, from past runs. Pure; times are microseconds."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from statistics import median
from typing import Protocol

from jobserver.domain.job_requests import lifecycle
from jobserver.domain.waiting.words import count

_SECOND = 1_000_000


class _Job(Protocol):
    @property
    def status(self) -> str: ...
    @property
    def started_at(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Moment:
    """An expected time, since 1970: from the median, the quickest and the slowest of past runs.

    ``basis`` describes those runs in words."""

    expected: int
    earliest: int
    latest: int
    basis: str


def start(created_at: int, now: int, waits: Sequence[int], backend: str) -> Moment | None:
    """``waits``: how long past requests on the backend waited. None if there are none, or if all waited less."""
    longer = [wait for wait in waits if created_at + wait > now]
    if not longer:
        return None
    low, middle, high = min(longer), int(median(longer)), max(longer)
    if len(longer) < len(waits):
        shorter = len(waits) - len(longer)
        basis = f"{shorter} of the last {count(len(waits), 'request')} on {backend} waited less than this one has"
    else:
        basis = f"based on the last {count(len(waits), 'request')} on {backend}"
    return Moment(created_at + middle, created_at + low, created_at + high, basis)


def end(
    actions: Mapping[str, _Job | None],
    needs: Mapping[str, Sequence[str]],
    past: Mapping[str, Sequence[int]],
    starts: Moment | None,
    now: int,
) -> Moment | None:
    """From the longest chain of unfinished actions. ``past``: action -> how long its last successful runs took.

    ``actions``: each with its job, or None before the runner has created that. Returns None if nothing is known, or if
    all actions have finished."""
    left = {action: job for action, job in actions.items() if job is None or job.status not in lifecycle.FINISHED}
    known = [action for action in left if past.get(action)]
    if not known:
        return None

    try:
        order = list(TopologicalSorter({action: _among(left, needs.get(action, ())) for action in left}).static_order())
    except CycleError:  # a push can bring such a pipeline
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

    first = (starts.expected, starts.earliest, starts.latest) if starts else (now, now, now)
    if len(known) < len(left):
        basis = f"a rough estimate: only {len(known)} of {count(len(left), 'action')} succeeded before on this backend"
    else:
        runs = min(len(past[action]) for action in known)
        basis = f"based on {count(runs, 'past run')}" + (" of each action" if len(known) > 1 else "")
    return Moment(first[0] + chain(median), first[1] + chain(min), first[2] + chain(max), basis)


def _among(left: Collection[str], needs: Sequence[str]) -> list[str]:
    return [need for need in needs if need in left]
