"""When a request is expected to start and end, from past runs. Pure; times are microseconds."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
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


def ends(
    actions: Mapping[str, _Job | None],
    needs: Mapping[str, Sequence[str]],
    past: Mapping[str, Sequence[int]],
    starts: Moment | None,
    now: int,
) -> tuple[Moment | None, dict[str, Moment]]:
    """(when all unfinished actions have ended, when each that waits for others can start).

    From the longest chain of unfinished actions. ``past``: action -> how long its last successful runs took.
    ``actions``: each with its job, or None before the runner has created that. What nothing is known of is left out."""
    left = {action: job for action, job in actions.items() if job is None or job.status not in lifecycle.FINISHED}
    waits_for = {action: _among(left, needs.get(action, ())) for action in left}
    try:
        order = list(TopologicalSorter(waits_for).static_order())
    except CycleError:  # a push can bring such a pipeline
        return None, {}

    def rest(action: str, pick: Callable[[Sequence[int]], float]) -> int:
        job = left[action]
        ran = now - job.started_at if job is not None and job.started_at is not None else 0
        return max((int(pick(past[action])) if past.get(action) else 0) - ran, _SECOND)

    def chain(begins: int, pick: Callable[[Sequence[int]], float]) -> dict[str, int]:
        ends: dict[str, int] = {}
        for action in order:
            ends[action] = max((ends[need] for need in waits_for[action]), default=begins) + rest(action, pick)
        return ends

    first = (starts.expected, starts.earliest, starts.latest) if starts else (now, now, now)
    usual, quick, slow = chain(first[0], median), chain(first[1], min), chain(first[2], max)
    evidence = _evidence(order, waits_for, past)

    @cache  # of thousands of actions, many wait for the same
    def last_of(some: tuple[str, ...]) -> Moment | None:
        known = _joined(evidence[action] for action in some)
        if not some or not known.runs:
            return None
        expected, earliest, latest = (max(ends[action] for action in some) for ends in (usual, quick, slow))
        return Moment(expected, earliest, latest, known.basis())

    moments = {action: last_of(waits_for[action]) for action in order}
    return last_of(tuple(order)), {action: moment for action, moment in moments.items() if moment is not None}


@dataclass(frozen=True, slots=True)
class _PastRuns:
    """What is known of an action and of all that it needs: sets of actions, as bits, because there may be thousands.
    ``runs``: the fewest past runs of one of those that are known."""

    actions: int
    known: int
    runs: int

    def basis(self) -> str:
        known, actions = self.known.bit_count(), self.actions.bit_count()
        if known < actions:
            return f"a rough estimate: only {known} of {count(actions, 'action')} succeeded before on this backend"
        return f"based on {count(self.runs, 'past run')}" + (" of each action" if known > 1 else "")


def _evidence(
    order: Sequence[str], waits_for: Mapping[str, Sequence[str]], past: Mapping[str, Sequence[int]]
) -> dict[str, _PastRuns]:
    """``order``: each action after those that it needs."""
    known: dict[str, _PastRuns] = {}
    for number, action in enumerate(order):
        runs = len(past.get(action, ()))
        own = _PastRuns(1 << number, 1 << number if runs else 0, runs)
        known[action] = _joined([own, *(known[need] for need in waits_for[action])])
    return known


def _joined(parts: Iterable[_PastRuns]) -> _PastRuns:
    actions = known = runs = 0
    for part in parts:
        actions, known = actions | part.actions, known | part.known
        runs = min(runs or part.runs, part.runs or runs)
    return _PastRuns(actions, known, runs)


def _among(left: Collection[str], needs: Sequence[str]) -> tuple[str, ...]:
    return tuple(need for need in needs if need in left)
