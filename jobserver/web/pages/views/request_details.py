"""What the page of a job request shows: its graph, its timeline, the outlook, and what a person can do with it."""

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobserver.domain.base.permissions import Permission
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.pipelines import PipelineAction, StoredPipeline
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.waiting.backend_status import BackendStatus
from jobserver.index.queries.jobs import JobRow
from jobserver.index.queries.requests import JobRequestRow, find_row, previous_request, previous_success
from jobserver.service.forecasts import RequestForecast, forecast_of, needs_of
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import github, highlight
from jobserver.web.pages.views import timeline
from jobserver.web.pages.views.audit_tab import Entry
from jobserver.web.pages.views.request_jobs import JobFilter, job_list

_ERROR = "__error__"  # the action of the job that a runner reports for a request that it could not start


@dataclass(frozen=True, slots=True)
class RequestDetails:
    """A request as the index and git have it. ``revision``: the commit or time it is shown at, or empty for now;
    ``as_of``: that commit. ``cancellers``: action -> who cancelled it, where several people cancelled some."""

    row: JobRequestRow
    jobs: list[JobRow]
    document: JobRequest
    pipeline: StoredPipeline
    revision: str = ""
    as_of: Entry | None = None
    cancellers: Mapping[str, str] = field(default_factory=dict)

    def moment(self, now: int) -> int:
        """The time up to which durations count, in microseconds: that of the commit, on a page as it was."""
        return self.as_of.commit.time * 1_000_000 if self.as_of is not None else now

    @property
    def is_over(self) -> bool:
        """Nothing more is expected to happen: it has finished, or is shown as it was."""
        return bool(self.revision) or self.row.completed_at is not None

    @property
    def start_failure(self) -> JobRow | None:
        """The job that says why the runner could not start the request."""
        return next((job for job in self.jobs if job.action == _ERROR), None)


def outlook(
    sql: sqlite3.Connection, details: RequestDetails, backend: BackendStatus | None, now: datetime
) -> dict[str, Any]:
    """Why it waits, when it is expected to start and end, and the runs to compare it with."""
    row = details.row
    needs = needs_of(sql, row, details.jobs, details.document, details.pipeline.actions)
    is_over = details.is_over or backend is None
    previous, success = previous_request(sql, row, [row.backend]), previous_success(sql, row, [row.backend])
    is_same = previous is not None and success is not None and previous.identifier == success.identifier
    return {
        "forecast": forecast_of(sql, row, details.jobs, needs, backend, now)
        if backend is not None and not is_over
        else RequestForecast(needs),
        "original": find_row(sql, row.rerun_of, [row.backend]) if row.rerun_of else None,
        "previous": previous,
        "previous_success": None if is_same or previous is None else success,
    }


def jobs_over_time(details: RequestDetails, chosen: JobFilter, now: int) -> dict[str, Any]:
    """The jobs with their bars on the timeline and links to their scripts; jobs that do not fit are only named."""
    row, document = details.row, details.document
    jobs = [] if details.start_failure is not None else details.jobs
    whole = timeline.timeline(jobs, row.created_at, now)
    listed = job_list(jobs, chosen, whole, now)
    actions = {job.action: details.pipeline.actions.get(job.action) for job in listed.shown}
    runtime = sum(
        job.completed_at - job.started_at for job in jobs if job.completed_at is not None and job.started_at is not None
    )
    return {
        "job_list": listed,
        "timeline": whole,
        "runtime": runtime,
        "scripts": _scripts(document, actions),
    }


def _scripts(document: JobRequest, actions: Mapping[str, PipelineAction | None]) -> dict[str, list[tuple[str, str]]]:
    """action -> (path, URL at the request's commit) of each script that it runs; empty where there is no such URL."""
    scripts = {}
    for name, action in actions.items():
        paths = highlight.scripts(action.run) if action else []
        links = [(path, github.blob(document.workspace.repo, document.sha, path)) for path in paths]
        scripts[name] = [(path, url) for path, url in links if url]
    return scripts


def permitted(context: PageContext, details: RequestDetails) -> dict[str, Any]:
    """What this person can do with the request, and what has been cancelled."""
    row, jobs, document, is_now = details.row, details.jobs, details.document, not details.revision
    still_open = set(open_actions(row, jobs, details.pipeline.actions))
    cancelled = set(row.cancelled)
    backend = context.directory.backends.get(row.backend)
    has_controller = backend is not None and backend.rap is not None
    return {
        "open_actions": still_open,
        "can_cancel": is_now and can_cancel(context, document) and bool(still_open),
        "can_retry": is_now and has_controller and context.is_admin and row.outcome == "failed",
        "can_rerun": is_now and row.is_finished and context.may(Permission.RUN_JOB, document.project),
        "cancelling": {job.action for job in jobs if job.status not in lifecycle.FINISHED and job.action in cancelled},
    }


def can_cancel(context: PageContext, document: JobRequest) -> bool:
    is_own = context.user is not None and document.created_by == context.user.username
    return is_own or context.may(Permission.CANCEL_JOB, document.project)


def open_actions(row: JobRequestRow, jobs: list[JobRow], pipeline: Collection[str] = ()) -> list[str]:
    """The actions that can still be cancelled; before the runner has created jobs, all that were requested."""
    cancelled = set(row.cancelled)
    if not jobs and pipeline and cancelled.issuperset(pipeline):  # ``run_all`` is cancelled action by action
        return []
    if not jobs:
        return [action for action in row.actions if action not in cancelled]
    return [job.action for job in jobs if job.status not in lifecycle.FINISHED and job.action not in cancelled]
