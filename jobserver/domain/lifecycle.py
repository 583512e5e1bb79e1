"""The life of a job and of its request. Everything that decides what may follow what is in this file.

Facts: job-server 2021 (how a request's status follows from its jobs) and CONTRACT section 4 (what an update may do).
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from jobserver.domain.documents import Job

MARKED_FAILED = "marked_as_failed"  # by an administrator here; runners have codes of their own
FINISHED = frozenset({"failed", "succeeded"})
STATUSES = ("pending", "running", "failed", "succeeded")

# (stored, reported) -> must the report be newer than what is stored? Reports that are older never count.
# running -> pending is a reboot; leaving a finished state is a rerun, which only news can announce.
NEEDS_NEWER: dict[tuple[str, str], bool] = {
    (stored, reported): stored in FINISHED and reported not in FINISHED for stored in STATUSES for reported in STATUSES
}


def takes(stored: Job, reported: Job) -> bool:
    """Whether ``reported`` replaces ``stored``; if not, it is stale and is skipped."""
    if stored.status_code == MARKED_FAILED and reported.status not in FINISHED:
        return False  # an administrator's word stands until the runner knows how it ended
    if stored.updated_at is None:
        return True
    if reported.updated_at is None:
        return not NEEDS_NEWER[stored.status, reported.status]
    if reported.updated_at == stored.updated_at:
        return not NEEDS_NEWER[stored.status, reported.status]
    return reported.updated_at > stored.updated_at


def newest(jobs: Collection[Job]) -> datetime | None:
    return max((job.updated_at for job in jobs if job.updated_at), default=None)


def finished(jobs: Collection[Job]) -> bool:
    """Whether a request with these jobs has nothing left to do; without jobs it has not begun."""
    return bool(jobs) and all(job.status in FINISHED for job in jobs)


def request_status(statuses: Collection[str]) -> str:
    """What all of its jobs are; else running until all are finished, and then failed. Unknown without jobs."""
    distinct = set(statuses)
    if not distinct:
        return "unknown"
    if len(distinct) == 1:
        return distinct.pop()
    return "failed" if distinct <= FINISHED else "running"


def started_at(jobs: Sequence[Job]) -> datetime | None:
    return min((job.started_at for job in jobs if job.started_at), default=None)


def completed_at(jobs: Sequence[Job]) -> datetime | None:
    """The latest, once all are finished."""
    if not finished(jobs):
        return None
    return max((job.completed_at for job in jobs if job.completed_at), default=None)


def runtime(jobs: Sequence[Job]) -> timedelta:
    """Summed over the finished jobs."""
    return sum(
        (
            job.completed_at - job.started_at
            for job in jobs
            if job.status in FINISHED and job.completed_at and job.started_at
        ),
        timedelta(),
    )
