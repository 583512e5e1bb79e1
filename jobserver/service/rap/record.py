"""The active requests as a controller sees them, and reports of what a controller says into the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jobserver.domain.backends import Backend
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.job_requests.pipelines import pipeline_of
from jobserver.domain.pipeline.graph import RUN_ALL, closure
from jobserver.domain.rap.creation import creation
from jobserver.domain.rap.reconcile import NO_ACTIONS, ActiveRap
from jobserver.errors import invalid
from jobserver.index.index import Index
from jobserver.index.queries.requests import active_items
from jobserver.runner import plan
from jobserver.runner.model import RunnerJob, RunnerRequest
from jobserver.service.reports.parsing import read_jobs
from jobserver.service.reports.reports import Reports
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.repo import StateRepo

_VIA = "rap"


@dataclass(frozen=True, slots=True)
class RequestedRap:
    """An active request of the record, with its item as runners get it."""

    active: ActiveRap
    item: Mapping[str, Any]


class RapRecord:
    """Thread-safe."""

    def __init__(self, repo: StateRepo, index: Index, reports: Reports) -> None:
        self._repo, self._index, self._reports = repo, index, reports

    def backends(self) -> dict[str, Backend]:
        """The active ones with a controller."""
        backends = self._index.directory().backends
        return {slug: backend for slug, backend in backends.items() if backend.active and backend.rap is not None}

    def state(self, slugs: Sequence[str]) -> str:
        """Changes when a request is added, cancelled or finished."""
        return self._index.listing(slugs).etag

    def active(self, slugs: Sequence[str]) -> list[RequestedRap]:
        """Oldest first."""
        with self._index.view() as sql:
            rows = [(item, jobs) for slug in slugs for item, jobs in active_items(sql, slug)]
        rows.sort(key=lambda row: (row[0]["created_at"], row[0]["identifier"]))
        return [RequestedRap(self._active(item, has_jobs=jobs > 0), item) for item, jobs in rows]

    def _active(self, item: Mapping[str, Any], has_jobs: bool) -> ActiveRap:
        identifier, slug, cancelled = item["identifier"], item["backend"], frozenset(item["cancelled_actions"])
        actions = self._actions(slug, identifier) if cancelled and not has_jobs else NO_ACTIONS
        return ActiveRap(identifier, slug, cancelled, actions, has_jobs)

    def _actions(self, slug: str, identifier: str) -> frozenset[str]:
        def read(state: Snapshot) -> frozenset[str]:
            stored = state.find(identifier)
            if stored is None:
                return NO_ACTIONS
            return frozenset(closure(stored.request.requested_actions, pipeline_of(state, stored).actions))

        return self._repo.writer.read(layout.backend_branch(slug), read)

    def creation(self, requested: RequestedRap) -> dict[str, Any] | None:
        """What to send to the controller; None if the backend has none any more."""
        backend = self._index.directory().backend(requested.active.backend)
        return creation(requested.item, backend.rap) if backend is not None and backend.rap is not None else None

    def report(self, request: ActiveRap, jobs: Sequence[Mapping[str, Any]]) -> bool:
        """Takes all jobs of a request, in the form of a runner's report or of a controller's answer. Returns whether
        something changed. Raises `Error`: invalid for jobs that are not as expected."""
        elements = [{**job, "job_request_id": request.identifier} for job in jobs]
        read, problems, _ = read_jobs(elements)
        for number, faults in enumerate(problems):
            for name, reasons in faults.items():
                raise invalid(f"job {number} of {request.identifier}: {name}: {reasons[0]}"[:300])
        return self._reports.take(Actor(ActorKind.BACKEND, request.backend), read, _VIA).changed

    def refuse(self, requested: RequestedRap, text: str, now: datetime) -> None:
        """Ends a request that the controller refused to create."""
        request = RunnerRequest.from_item(requested.item)
        self._end(requested, plan.failed_to_begin(request, "job_error", text, now).jobs)

    def nothing_to_do(self, requested: RequestedRap, text: str, now: datetime) -> None:
        """Ends a request for which the controller has no jobs to run."""
        request = RunnerRequest.from_item(requested.item)
        status, code, _ = plan.NOTHING_TO_DO
        job = plan.new_job(request, request.requested_actions[0], now).moved(status, code, text, now)
        self._end(requested, (job,))

    def cancel(self, requested: RequestedRap, now: datetime) -> None:
        """Ends a request that was cancelled before the controller had it."""
        request = RunnerRequest.from_item(requested.item)
        if RUN_ALL in request.requested_actions:
            request = replace(request, requested_actions=tuple(sorted(requested.active.actions)))
        self._end(requested, plan.cancelled_at_once(request, now).jobs)

    def _end(self, requested: RequestedRap, jobs: Sequence[RunnerJob]) -> None:
        identifier = requested.active.identifier
        self.report(requested.active, [job.as_payload(identifier) for job in jobs])
