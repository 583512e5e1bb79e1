"""A request as git had it at another time, in the shapes that the pages have from the index. Pure."""

from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import Job
from jobserver.index import items
from jobserver.index.queries.pages import JobRow, Row
from jobserver.service.writes.job_requests import RequestWithJobs
from jobserver.web.pages.format import labels


def as_rows(row: Row, seen: RequestWithJobs) -> tuple[Row, list[JobRow]]:
    """What git says of another time, in the shapes of the index."""
    request_ = seen.stored.request
    ordered = sorted(seen.jobs, key=lambda one: (one.created_at, one.identifier))
    jobs = [_as_row(request_.identifier, job) for job in ordered]
    status = lifecycle.request_status([job.status for job in jobs])
    ends = [job.completed_at for job in jobs]
    starts = [job.started_at for job in jobs if job.started_at]
    done = lifecycle.finished(seen.jobs)
    return (
        Row(
            row.identifier, row.backend, row.workspace, row.project, row.created_by, row.created_at, status, len(jobs),
            sum(job.status == "succeeded" for job in jobs), min(starts, default=None),
            max((end for end in ends if end), default=None) if done else None, None,
            row.actions, request_.cancelled_actions, row.sha,
        ),
        jobs,
    )  # fmt: skip


def _as_row(request_: str, job: Job) -> JobRow:
    said = (job.identifier, request_, job.action, job.status, job.status_code, job.status_message)
    times = (job.updated_at, job.started_at, job.completed_at)
    updated, started, completed = (None if time is None else labels.micros(time) for time in times)
    return JobRow(*said, labels.micros(job.created_at), updated, started, completed, items.job_item(job))
