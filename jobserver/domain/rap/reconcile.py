"""Compares the active requests of the record with a controller's answer, and says what to do. Pure.

The record is the queue. Nothing else says what was sent: whatever is active here and not known there is created, and a
cancellation is sent until the controller has it. So a server that was killed anywhere begins again with a question.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobserver.domain.job_requests.lifecycle import FINISHED
from jobserver.domain.rap.answers import RapStatus

NO_ACTIONS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ActiveRap:
    """An active request. ``actions``: those that it would run; of requests with cancelled actions only.

    ``has_jobs``: whether the record has jobs of it.
    """

    identifier: str
    backend: str
    cancelled: frozenset[str] = NO_ACTIONS
    actions: frozenset[str] = NO_ACTIONS
    has_jobs: bool = False

    @property
    def is_cancelled(self) -> bool:
        return bool(self.actions) and self.actions <= self.cancelled


@dataclass(slots=True)
class RapSteps:
    """``report``: request -> its jobs as the controller has them. ``create``, ``end``: requests to create there, and
    those that were cancelled before. ``cancel``: request -> actions. ``lost``: requests that the controller had,
    and does not know any more. ``wrong``: request -> why the answer about it can't be used."""

    report: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    create: list[str] = field(default_factory=list)
    end: list[str] = field(default_factory=list)
    cancel: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)


def reconcile(
    requests: Sequence[ActiveRap], status: RapStatus, sent: Mapping[str, Collection[str]] | None = None
) -> RapSteps:
    """``requests``: those that the controller was asked about, oldest first. ``sent``: request -> actions whose
    cancellation the controller has accepted."""
    steps = RapSteps()
    jobs: dict[str, list[dict[str, Any]]] = {}
    for job in status.jobs:
        jobs.setdefault(str(job.get("rap_id")), []).append(job)
    unknown = set(status.unrecognised_rap_ids)
    for request in requests:
        identifier = request.identifier
        known = jobs.get(identifier)
        if (known is None) is (identifier not in unknown):
            steps.wrong[identifier] = "the answer names its jobs and does not recognise it" if known else "no answer"
        elif known is not None:
            _follow(request, known, (sent or {}).get(identifier, ()), steps)
        elif request.has_jobs:
            steps.lost.append(identifier)
        elif request.is_cancelled:
            steps.end.append(identifier)
        else:
            steps.create.append(identifier)
    return steps


def _follow(request: ActiveRap, jobs: list[dict[str, Any]], sent: Collection[str], steps: RapSteps) -> None:
    others = {str(job.get("backend")) for job in jobs} - {request.backend}
    if others:
        steps.wrong[request.identifier] = f"its jobs are of backend {', '.join(sorted(others))[:100]}"
        return
    steps.report[request.identifier] = jobs
    running = {str(job.get("action")) for job in jobs if str(job.get("status")) not in FINISHED}
    if actions := sorted((running & request.cancelled) - set(sent)):
        steps.cancel[request.identifier] = tuple(actions)


def next_pause(last: float, is_news: bool, shortest: float = 2.0, longest: float = 60.0) -> float:
    """Seconds until the next question: the shortest after news, and longer the longer there is none."""
    return shortest if is_news else min(max(last, shortest) * 1.5, longest)
