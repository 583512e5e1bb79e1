"""How a job or a job request ended, for people: what was cancelled or never ran is no failure.

Follows from the status and the status code that the runner reported, so that it is known for every record, however old.
The reported status stays as it is: runners and scripts rely on it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from jobserver.domain.job_requests.lifecycle import FINISHED, request_status

CANCELLED, SKIPPED = "cancelled", "skipped"
BY_USER = "cancelled_by_user"
# status code of a failed job -> its outcome: a person stopped it, or it never ran because an action that it needs did
# not succeed.
CODES = {BY_USER: CANCELLED, "killed_by_admin": CANCELLED, "dependency_failed": SKIPPED}
ENDED = FINISHED | {CANCELLED, SKIPPED}
OUTCOMES = ("pending", "running", "failed", CANCELLED, SKIPPED, "succeeded")
REQUEST_OUTCOMES = (*(outcome for outcome in OUTCOMES if outcome != SKIPPED), "unknown")


T = TypeVar("T", int, str, datetime)


def outcome(status: str, status_code: str) -> str:
    """A job's status, or `CANCELLED` or `SKIPPED` for a job that failed for such a reason."""
    return CODES.get(status_code, status) if status == "failed" else status


def request_outcome(outcomes: Collection[str]) -> str:
    """From its jobs' outcomes: failed if any job failed; else cancelled if any was cancelled.

    A skipped job without a failed or cancelled one waited for another request's job: what was requested was not done,
    so the request failed.
    """
    distinct = set(outcomes)
    if not distinct <= ENDED or not distinct:
        return request_status(distinct)
    if "failed" not in distinct and CANCELLED in distinct:
        return CANCELLED
    return "succeeded" if distinct == {"succeeded"} else "failed"


def reported_status(outcome: str) -> str:
    """The status that a job or request of this outcome has for runners and scripts."""
    return "failed" if outcome in (CANCELLED, SKIPPED) else outcome


def had_nothing_to_do(status: str, created_at: T, started_at: T | None, completed_at: T | None) -> bool:
    """Whether this job only says that its action had succeeded before, so that nothing ran.

    Runners report that as a success without a start (those of 2025), or at the moment in which they created the job.
    """
    return status == "succeeded" and (started_at is None or created_at == started_at == completed_at)


def in_words(outcome: str, cancelled_by: Sequence[str] = ()) -> str:
    """``cancelled by cara``; else the outcome itself."""
    return f"{outcome} by {' and '.join(cancelled_by)}" if outcome == CANCELLED and cancelled_by else outcome


@dataclass(frozen=True, slots=True)
class Summary(Generic[T]):
    """The outcome and times of a request, from its jobs. The times have the type of the jobs' times."""

    outcome: str
    is_finished: bool
    jobs: int
    succeeded: int
    started_at: T | None
    completed_at: T | None
    updated_at: T | None

    @property
    def status(self) -> str:
        return reported_status(self.outcome)


def summarise(jobs: Sequence[tuple[str, str, T | None, T | None, T | None]]) -> Summary[T]:
    """``jobs``: (status, status_code, started_at, completed_at, updated_at) of each job. The request starts with its
    first job, and completes with its last one, once all are finished.
    """
    outcomes = [outcome(status, code) for status, code, *_ in jobs]
    is_finished = bool(outcomes) and ENDED.issuperset(outcomes)
    started = [moment for _, _, moment, _, _ in jobs if moment is not None]
    completed = [moment for _, _, _, moment, _ in jobs if moment is not None]
    updated = [moment for _, _, _, _, moment in jobs if moment is not None]
    return Summary(
        request_outcome(outcomes),
        is_finished,
        len(outcomes),
        outcomes.count("succeeded"),
        min(started, default=None),
        max(completed, default=None) if is_finished else None,
        max(updated, default=None),
    )
