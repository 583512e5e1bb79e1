"""Documents as rows of the index, with the columns of a request that follow from its jobs."""

from collections.abc import Sequence
from typing import Any

import orjson

from jobserver.domain.base.identifiers import micros
from jobserver.domain.base.layout import Area, Place
from jobserver.domain.job_requests import lifecycle, outcomes
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.index.items import request_item

REQUEST_COLUMNS = "branch, identifier, area, day, workspace, project, created_by, created_at, sha, first_action, item"
SUMMARY_COLUMNS = "active, outcome, jobs, succeeded, started_at, completed_at, updated_at"
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
        request.sha,
        next(iter(request.requested_actions), ""),
        orjson.dumps(request_item(request)).decode(),
    )


def job_row(branch: int, request: str, workspace: str | None, job: Job) -> tuple[Any, ...]:
    identifier, *values = job_values(job)
    return (branch, request, identifier, workspace, *values)


def job_values(job: Job) -> tuple[Any, ...]:
    """The columns that come from the job itself, from identifier to the last.

    Replaces NUL characters, which a pushed document may have: SQLite's functions end a text at the first one.
    """
    more = {key: value for key in _MORE if (value := getattr(job, key)) is not None}
    times = (job.created_at, job.updated_at, job.started_at, job.completed_at)
    return (
        job.identifier,
        *(text.replace("\0", "\ufffd") for text in (job.action, job.status, job.status_code, job.status_message)),
        *(None if time is None else micros(time) for time in times),
        orjson.dumps(more).decode() if more else None,
    )


def summary(area: str, jobs: Sequence[tuple[str, str, int | None, int | None, int | None]]) -> tuple[Any, ...]:
    """SUMMARY_COLUMNS from the jobs' (status, status_code, started_at, completed_at, updated_at)."""
    of_jobs = outcomes.summarise(jobs)
    is_active = area == Area.ACTIVE and not of_jobs.is_finished
    return (
        int(is_active),
        of_jobs.outcome,
        of_jobs.jobs,
        of_jobs.succeeded,
        of_jobs.started_at,
        of_jobs.completed_at,
        of_jobs.updated_at,
    )


# `outcomes.summarise` for many requests in one statement: SQLite works without the interpreter, which the writer needs
# meanwhile. A test holds this to `summary`.
_IS_FINISHED = f"status IN ({', '.join(repr(status) for status in sorted(lifecycle.FINISHED))})"
_OF_CODE = " ".join(f"WHEN '{code}' THEN '{outcome}'" for code, outcome in outcomes.CODES.items())
_OUTCOME = f"CASE status WHEN 'failed' THEN CASE status_code {_OF_CODE} ELSE status END ELSE status END"
SUMMARISE = f"""
UPDATE requests SET ({SUMMARY_COLUMNS}) = (
    SELECT requests.area = '{Area.ACTIVE.value}' AND (count(*) = 0 OR count(*) > total({_IS_FINISHED})),
        CASE WHEN count(*) = 0 THEN '{outcomes.request_outcome([])}'
            WHEN count(*) > total({_IS_FINISHED}) THEN iif(min(status) = max(status), min(status), 'running')
            WHEN total({_OUTCOME} = 'failed') THEN 'failed'
            WHEN total({_OUTCOME} = '{outcomes.CANCELLED}') THEN '{outcomes.CANCELLED}'
            WHEN min(status) = 'succeeded' THEN 'succeeded' ELSE 'failed' END,
        count(*), count(*) FILTER (WHERE status = 'succeeded'), min(started_at),
        CASE WHEN count(*) = total({_IS_FINISHED}) THEN max(completed_at) END, max(updated_at)
    FROM jobs WHERE jobs.branch = requests.branch AND jobs.request = requests.identifier
) WHERE branch = ?1 AND identifier IN (SELECT value FROM json_each(?2))
"""
"""Parameters: the number of a branch, and a JSON list of identifiers."""
