"""A request as a commit has it, as rows of the index, so that one template shows both. Pure."""

from dataclasses import replace

from jobserver.domain.job_requests import outcomes
from jobserver.domain.job_requests.jobs import Job
from jobserver.index import items
from jobserver.index.queries.jobs import JobRow
from jobserver.index.queries.requests import JobRequestRow
from jobserver.service.writes.job_requests import RequestWithJobs
from jobserver.web.pages.format import times


def as_rows(row: JobRequestRow, historical: RequestWithJobs) -> tuple[JobRequestRow, list[JobRow]]:
    """``row``: the request as it is now."""
    request = historical.stored.request
    jobs = sorted(historical.jobs, key=lambda job: (job.created_at, job.identifier))
    rows = [_job_row(request.identifier, job) for job in jobs]
    summary = outcomes.summarise(
        [(job.status, job.status_code, job.started_at, job.completed_at, job.updated_at) for job in rows]
    )
    historical_row = replace(
        row,
        outcome=summary.outcome,
        jobs=summary.jobs,
        succeeded=summary.succeeded,
        started_at=summary.started_at,
        completed_at=summary.completed_at,
        updated_at=None,
        cancelled=request.cancelled_actions,
    )
    return historical_row, rows


def _job_row(request: str, job: Job) -> JobRow:
    moments = (job.updated_at, job.started_at, job.completed_at)
    updated, started, completed = (times.micros(moment) if moment else None for moment in moments)
    texts = (job.identifier, request, job.action, job.status, job.status_code, job.status_message)
    return JobRow(*texts, times.micros(job.created_at), updated, started, completed, items.job_item(job))
