"""Documents as rows of the index, and what of a request follows from its jobs."""

from collections.abc import Sequence
from typing import Any

import orjson

from jobserver.domain.base.identifiers import micros
from jobserver.domain.base.layout import Area, Place
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.index.items import request_item

REQUEST_COLUMNS = "branch, identifier, area, day, workspace, project, created_by, created_at, item"
SUMMARY_COLUMNS = "active, status, jobs, succeeded, started_at, completed_at, updated_at"
JOB_COLUMNS = (
    "branch, request, identifier, workspace, action, status, status_code, status_message, "
    "created_at, updated_at, started_at, completed_at, more"
)
_MORE = sorted(Job.optional_keys)


def request_row(branch: int, place: Place, request: JobRequest) -> tuple[Any, ...]:
    return (
        branch,
        request.identifier,
        place.area.value,
        place.day.isoformat(),
        request.workspace.name,
        request.project,
        request.created_by,
        micros(request.created_at),
        orjson.dumps(request_item(request)).decode(),
    )


def job_row(branch: int, request: str, workspace: str | None, job: Job) -> tuple[Any, ...]:
    identifier, *values = job_values(job)
    return (branch, request, identifier, workspace, *values)


def job_values(job: Job) -> tuple[Any, ...]:
    """What a job itself says of its row: identifier, action, and so on to the end.

    SQLite's functions end a text at its first NUL, which a pushed document may have.
    """
    more = {key: value for key in _MORE if (value := getattr(job, key)) is not None}
    times = (job.created_at, job.updated_at, job.started_at, job.completed_at)
    return (
        job.identifier,
        *(text.replace("\0", "\ufffd") for text in (job.action, job.status, job.status_code, job.status_message)),
        *(None if time is None else micros(time) for time in times),
        orjson.dumps(more).decode() if more else None,
    )


def summary(area: str, jobs: Sequence[tuple[str, int | None, int | None, int | None]]) -> tuple[Any, ...]:
    """SUMMARY_COLUMNS from the jobs' (status, started_at, completed_at, updated_at)."""
    statuses = [job[0] for job in jobs]
    done = bool(statuses) and all(status in lifecycle.FINISHED for status in statuses)
    started = [job[1] for job in jobs if job[1] is not None]
    completed = [job[2] for job in jobs if job[2] is not None]
    updated = [job[3] for job in jobs if job[3] is not None]
    return (
        int(area == Area.ACTIVE and not done),
        lifecycle.request_status(statuses),
        len(statuses),
        statuses.count("succeeded"),
        min(started, default=None),
        max(completed, default=None) if done else None,
        max(updated, default=None),
    )
