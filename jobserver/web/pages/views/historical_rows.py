"""A request as a commit has it, as rows of the index, so that one template shows both. Pure."""

from dataclasses import replace

from jobserver.domain.job_requests import outcomes
from jobserver.index.queries.jobs import JobRow, row_of_job
from jobserver.index.queries.requests import JobRequestRow
from jobserver.service.writes.job_requests import RequestWithJobs


def as_rows(row: JobRequestRow, historical: RequestWithJobs) -> tuple[JobRequestRow, list[JobRow]]:
    """``row``: the request as it is now."""
    request = historical.stored.request
    jobs = sorted(historical.jobs, key=lambda job: (job.created_at, job.identifier))
    rows = [row_of_job(request.identifier, job) for job in jobs]
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
