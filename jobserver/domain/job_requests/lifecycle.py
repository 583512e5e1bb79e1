"""The lifecycle of jobs and job requests: which status may follow which, and how a request's status follows from its
jobs.

Sources: job-server 2021 (the status of a request) and docs/contract.md (which updates count).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jobserver.domain.base.values import same

if TYPE_CHECKING:
    from jobserver.domain.job_requests.jobs import Job

MARKED_FAILED = "marked_as_failed"  # by an administrator here; runners have codes of their own
FINISHED = frozenset({"failed", "succeeded"})
STATUSES = ("pending", "running", "failed", "succeeded")

# (stored, reported) -> whether the report must be newer than the stored job. Older reports never count.
# running -> pending is a restart of the runner. Leaving a finished status is a rerun, which needs a newer report.
NEEDS_NEWER: dict[tuple[str, str], bool] = {
    (stored, reported): stored in FINISHED and reported not in FINISHED for stored in STATUSES for reported in STATUSES
}


# What a report may say of a job without telling an event. Of a job that has not finished: when its runner last looked
# at it, how far it is, how much it uses. Of one that has finished: the same end again, at another time.
_READINGS = frozenset({"updated_at", "status_message", "metrics", "trace_context"})
_ENDS = frozenset({"updated_at", "completed_at"})

# The difference between a runner's clock and ours that is not reported as a problem.
CLOCKS_AGREE = timedelta(seconds=5)
TIMES = ("created_at", "updated_at", "started_at", "completed_at")


def is_ahead(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment - now > CLOCKS_AGREE


def on_time(reported: Job, stored: Job | None, now: datetime) -> Job:
    """``reported`` with each time in the future replaced by now; ``reported`` itself if it has none.

    Keeps the stored times that were replaced before, so that repeating a report changes nothing.
    """
    times = (reported.created_at, reported.updated_at, reported.started_at, reported.completed_at)
    limit = now + CLOCKS_AGREE
    if max(filter(None, times)) <= limit:
        return reported
    ahead = [name for name, moment in zip(TIMES, times, strict=True) if moment is not None and moment > limit]
    kept: dict[str, datetime] = {}
    if stored is not None:
        is_rerun = stored.status in FINISHED and reported.status not in FINISHED
        known = ("created_at",) if is_rerun else ("created_at", "started_at", "completed_at")
        for name in known:
            moment = getattr(stored, name)
            if moment is not None and getattr(reported, name) is not None and not is_ahead(moment, now):
                kept[name] = moment
    counted = reported.model_copy(update={**dict.fromkeys(ahead, now), **kept})
    if stored is None or is_ahead(stored.updated_at, now):
        return counted
    is_known = same(counted.model_copy(update={"updated_at": stored.updated_at}), stored)
    return stored if is_known else counted


def takes(stored: Job, reported: Job, now: datetime | None = None) -> bool:
    """Whether ``reported`` replaces ``stored``. If not, the report is stale and is skipped.

    A stored time that is ahead of ``now`` came from a wrong clock, so it does not make a report stale.
    """
    if stored.status_code == MARKED_FAILED:
        return reported.status in FINISHED  # the mark has our time, and the runner's clock may be behind
    if stored.updated_at is None:
        return True
    if reported.updated_at is not None and reported.updated_at > stored.updated_at:
        return True
    if now is not None and is_ahead(stored.updated_at, now):
        return True
    if reported.updated_at is not None and reported.updated_at < stored.updated_at:
        return False
    return not NEEDS_NEWER[stored.status, reported.status]


def is_reading(stored: Job, reported: Job) -> bool:
    """Whether a report of a job that has not finished has nothing new but readings."""
    return stored.status not in FINISHED and _differing(stored, reported) <= _READINGS


def is_repeated_end(stored: Job, reported: Job) -> bool:
    """Whether a report says again how a job has ended, at another time. Runners of 2025 do so at every poll."""
    if stored.status not in FINISHED or (stored.completed_at is None) is not (reported.completed_at is None):
        return False
    return _differing(stored, reported) <= _ENDS


def _differing(stored: Job, reported: Job) -> set[str]:
    after = reported.__dict__
    return {key for key, value in stored.__dict__.items() if value != after[key]}


def newest(jobs: Collection[Job], now: datetime | None = None) -> datetime | None:
    """The latest ``updated_at`` that is not ahead of ``now``."""
    limit = datetime.max.replace(tzinfo=UTC) if now is None else now + CLOCKS_AGREE
    return max((job.updated_at for job in jobs if job.updated_at and job.updated_at <= limit), default=None)


def are_run_twice(stored: Iterable[Job], reported: Iterable[Job]) -> bool:
    """Whether `is_run_twice` is true for any stored and any reported job."""
    known: dict[str, list[Job]] = {}
    for job in stored:
        known.setdefault(job.action, []).append(job)
    return bool(known) and any(is_run_twice(old, job) for job in reported for old in known.get(job.action, ()))


def is_run_twice(stored: Job, reported: Job) -> bool:
    """Whether two runners ran the same action of a request at the same time, and reported these two jobs.

    One runner creates a new job for an action only after the last one has ended or was lost. Two runners may use the
    same id for their jobs; then the job's ``created_at`` goes back.
    """
    if stored.action != reported.action or stored.status_code == MARKED_FAILED:
        return False
    if stored.identifier == reported.identifier and reported.created_at >= stored.created_at:
        return False
    return stored.created_at < _last(reported) and reported.created_at < _last(stored)


def _last(job: Job) -> datetime:
    """The last time when the job was known to be running."""
    return job.completed_at or job.updated_at or job.created_at


def finished(jobs: Collection[Job]) -> bool:
    """Whether all jobs are finished. A request without jobs has not started."""
    return bool(jobs) and all(job.status in FINISHED for job in jobs)


def request_status(statuses: Collection[str]) -> str:
    """The status that all jobs have; else running until all are finished, then failed. Unknown without jobs."""
    distinct = set(statuses)
    if not distinct:
        return "unknown"
    if len(distinct) == 1:
        return distinct.pop()
    return "failed" if distinct <= FINISHED else "running"
