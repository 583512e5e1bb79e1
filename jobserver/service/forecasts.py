"""Why a request waits and when it is expected to start and end: from the record, past runs, and the backend's state."""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobserver.domain.backends import Backend
from jobserver.domain.base.identifiers import micros
from jobserver.domain.base.layout import backend_branch
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.pipelines import PipelineAction, pipeline_of
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.pipeline.graph import select
from jobserver.domain.waiting import forecast
from jobserver.domain.waiting.backend_status import BackendContact, BackendStatus, backend_status
from jobserver.domain.waiting.forecast import Moment
from jobserver.domain.waiting.waiting import Reason, Waiting, WaitingRequest
from jobserver.domain.waiting.words import count
from jobserver.errors import Error
from jobserver.index.queries.forecast import durations, next_job, queue_places, waits
from jobserver.index.queries.jobs import JobRow, latest_jobs, micros_text
from jobserver.index.queries.requests import JobRequestRow, find_request, first_in_queue, requests_ahead
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.repo import StateRepo

_WAITS = 20  # past requests, for the expected start
_WAITS_IF = ("pending", "unknown")  # outcomes of a request
_BEHIND = 10  # requests that an answer names


@dataclass(frozen=True, slots=True)
class RequestForecast:
    """``needs``: each action that runs -> the others that it needs. ``waiting`` is None while a job runs.

    ``jobs``: job id -> why it waits. ``no_start`` and ``no_end``: why no time is expected; empty where ``waiting`` says
    it. ``job_starts``: job id -> when it is expected to start, of jobs that wait.
    """

    needs: Mapping[str, Sequence[str]]
    waiting: Waiting | None = None
    jobs: Mapping[str, Waiting] = field(default_factory=dict)
    starts: Moment | None = None
    ends: Moment | None = None
    no_start: str = ""
    no_end: str = ""
    job_starts: Mapping[str, Moment] = field(default_factory=dict)


def needs_of(
    sql: sqlite3.Connection,
    row: JobRequestRow,
    jobs: Sequence[JobRow],
    document: JobRequest,
    pipeline: Mapping[str, PipelineAction],
) -> dict[str, list[str]]:
    """Each action that runs -> the others that it needs. Before the runner has created jobs, a preview."""
    actions: Sequence[str] = [job.action for job in jobs if job.action in pipeline]
    if not jobs:
        latest = latest_jobs(sql, row.workspace, [row.backend])
        done = [action for action, job in latest.items() if job.status == "succeeded"]
        preview = select(document.requested_actions, pipeline, done, document.force_run_dependencies)
        order = {action: number for number, action in enumerate(pipeline)}
        actions = sorted(preview.runs, key=lambda action: order[action])
    shown = set(actions)
    return {action: [need for need in pipeline[action].needs if need in shown] for action in actions}


def forecast_of(
    sql: sqlite3.Connection,
    row: JobRequestRow,
    jobs: Sequence[JobRow],
    needs: Mapping[str, Sequence[str]],
    backend: BackendStatus,
    now: datetime,
) -> RequestForecast:
    """For a request that is not finished. ``needs``: from `needs_of`."""
    ahead, behind = requests_ahead(sql, row, _BEHIND)
    known = WaitingRequest(
        identifier=row.identifier, jobs=jobs, needs=needs, cancelled=row.cancelled, backend=backend, now=now,
        ahead=ahead, behind=behind,
    )  # fmt: skip
    waiting, moment = known.explain(), micros(now)
    of_jobs = {job.identifier: why for job, why in zip(jobs, known.explain_jobs(), strict=True) if why is not None}
    ends_with_help = [why.is_held and why.reason is not Reason.CANCELLING for why in of_jobs.values()]
    if (waiting is not None and waiting.is_held) or any(ends_with_help):
        return RequestForecast(needs, waiting, of_jobs)
    starts, no_start = _start(sql, row, backend.name, moment) if row.started_at is None else (None, "")
    if starts is None and row.started_at is None:  # what is not expected to start is not expected to end
        no_end = "" if needs or jobs else _no_end(backend.name, jobs, needs)
        return RequestForecast(needs, waiting, of_jobs, no_start=no_start, no_end=no_end)
    past = durations(sql, row.backend, row.workspace, needs)
    by_action, cancelled = {job.action: job for job in jobs}, frozenset(row.cancelled)
    left = {action: by_action.get(action) for action in needs if action not in cancelled}
    ends, after_others = forecast.ends(left, needs, past, starts, moment)
    no_end = "" if ends is not None else _no_end(backend.name, jobs, needs)
    expected = {
        job.identifier: after_others.get(job.action) if of_jobs[job.identifier].waits_for else starts
        for job in jobs
        if job.identifier in of_jobs
    }
    job_starts = {identifier: start for identifier, start in expected.items() if start is not None}
    return RequestForecast(needs, waiting, of_jobs, starts, ends, no_start, no_end, job_starts)


def waiting_rows(
    sql: sqlite3.Connection, rows: Sequence[JobRequestRow], backends: Mapping[str, BackendStatus], now: datetime
) -> dict[str, Waiting]:
    """Job request -> why it waits, for a list. Without what only git knows: which of its actions need which."""
    waiting: dict[str, Waiting] = {}
    for slug in {row.backend for row in rows if row.outcome in _WAITS_IF} & backends.keys():
        some = [row for row in rows if row.backend == slug and row.outcome in _WAITS_IF]
        places = queue_places(sql, slug, [row.identifier for row in some])
        first = first_in_queue(sql, slug, _BEHIND)
        for row in some:
            job, ahead = next_job(sql, row), places.get(row.identifier, 1) - 1
            known = WaitingRequest(
                identifier=row.identifier, jobs=[job] if job is not None else [], cancelled=row.cancelled,
                needs=dict.fromkeys(row.actions, ()), backend=backends[slug], now=now, ahead=ahead,
                behind=first[:ahead],
            )  # fmt: skip
            if (why := known.explain()) is not None:
                waiting[row.identifier] = why
    return waiting


def _start(sql: sqlite3.Connection, row: JobRequestRow, backend: str, now: int) -> tuple[Moment | None, str]:
    """``backend``: its name."""
    past = waits(sql, row.backend, _WAITS)
    if not past:
        return None, f"no recent request has run on {backend}"
    starts = forecast.start(row.created_at, now, past, backend)
    waited_more = f"this request has waited longer than the last {count(len(past), 'request')} on {backend}"
    return starts, "" if starts is not None else waited_more


def _no_end(backend: str, jobs: Sequence[JobRow], needs: Mapping[str, Sequence[str]]) -> str:
    if not jobs and not needs:
        return f"all of these actions have succeeded on {backend}, so nothing is left to run"
    if all(job.status in lifecycle.FINISHED for job in jobs) and jobs:
        return ""
    return f"no past run of these actions on {backend} shows how long they take"


@dataclass(frozen=True, slots=True)
class Forecasts:
    """For callers that know no more of a request than its id."""

    repo: StateRepo
    backend: Callable[[str], Backend | None]
    contacts: Callable[[], Mapping[str, BackendContact]]
    clock: Callable[[], datetime]

    def of(self, sql: sqlite3.Connection, identifier: str, slugs: Collection[str]) -> RequestForecast:
        """Empty for a request that has finished or is gone, or whose backend is."""
        row_and_jobs = find_request(sql, identifier, slugs)
        if row_and_jobs is None or row_and_jobs[0].completed_at is not None:
            return RequestForecast({})
        (row, jobs), now = row_and_jobs, self.clock()
        backend = self.backend(row.backend)
        documents = self.repo.writer.read(backend_branch(row.backend), lambda state: _documents(state, identifier))
        if backend is None or documents is None:
            return RequestForecast({})
        needs = needs_of(sql, row, jobs, *documents)
        return forecast_of(sql, row, jobs, needs, backend_status(backend, self.contacts().get(row.backend), now), now)


def _documents(state: Snapshot, identifier: str) -> tuple[JobRequest, Mapping[str, PipelineAction]] | None:
    stored = state.find(identifier)
    if stored is None:
        return None
    with suppress(Error):  # an answer without the pipeline is better than none
        return stored.request, pipeline_of(state, stored).actions
    return stored.request, {}


def forecast_items(forecast: RequestForecast) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """(what the API adds to a request, what it adds to its jobs by id)."""
    of_jobs = {
        identifier: {
            "waiting": _reason_item(why),
            "expected_start": _moment_item(forecast.job_starts.get(identifier)),
        }
        for identifier, why in forecast.jobs.items()
    }
    return {
        "waiting": None if forecast.waiting is None else _waiting_item(forecast.waiting),
        "expected_start": _moment_item(forecast.starts),
        "expected_end": _moment_item(forecast.ends),
    }, of_jobs


def _reason_item(waiting: Waiting) -> dict[str, Any]:
    return {"reason": waiting.reason.value, "text": waiting.text, "waits_for": list(waiting.waits_for)}


def _waiting_item(waiting: Waiting) -> dict[str, Any]:
    behind = [
        {
            "identifier": request.identifier,
            "workspace": request.workspace,
            "created_by": request.created_by,
            "requested_actions": list(request.actions),
        }
        for request in waiting.behind
    ]
    return _reason_item(waiting) | {"position": waiting.position, "behind": behind}


def _moment_item(moment: Moment | None) -> dict[str, Any] | None:
    if moment is None:
        return None
    texts = (micros_text(value) for value in (moment.expected, moment.earliest, moment.latest))
    return dict(zip(("at", "earliest", "latest"), texts, strict=True)) | {"basis": moment.basis}
