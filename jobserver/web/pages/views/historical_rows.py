"""A request as git had it at another time, in the shapes that the pages have from the index. Pure."""

from dataclasses import replace

from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import Job
from jobserver.index import items
from jobserver.index.queries.jobs import JobRow
from jobserver.index.queries.requests import JobRequestRow
from jobserver.service.writes.job_requests import RequestWithJobs
from jobserver.web.pages.format import labels


def as_rows(row: JobRequestRow, seen: RequestWithJobs) -> tuple[JobRequestRow, list[JobRow]]:
    """What git says of another time, in the shapes of the index."""
    request_ = seen.stored.request
    ordered = sorted(seen.jobs, key=lambda one: (one.created_at, one.identifier))
    jobs = [_as_row(request_.identifier, job) for job in ordered]
    of_jobs = lifecycle.summarise([(job.status, job.started_at, job.completed_at, job.updated_at) for job in jobs])
    then = replace(
        row,
        status=of_jobs.status,
        jobs=of_jobs.jobs,
        succeeded=of_jobs.succeeded,
        started_at=of_jobs.started_at,
        completed_at=of_jobs.completed_at,
        updated_at=None,
        cancelled=request_.cancelled_actions,
    )
    return then, jobs


def _as_row(request_: str, job: Job) -> JobRow:
    said = (job.identifier, request_, job.action, job.status, job.status_code, job.status_message)
    times = (job.updated_at, job.started_at, job.completed_at)
    updated, started, completed = (None if time is None else labels.micros(time) for time in times)
    return JobRow(*said, labels.micros(job.created_at), updated, started, completed, items.job_item(job))
