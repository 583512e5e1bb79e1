"""Queries for jobs."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from jobserver.domain.base.identifiers import micros
from jobserver.domain.job_requests import outcomes
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.query import LEAST_ID
from jobserver.index.items import time_text
from jobserver.index.queries.branches import LOOK_BACK, branch_numbers, marks

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)  # an estimate adds up centuries
_COLUMNS = (
    "identifier, request, action, status, status_code, status_message, created_at, updated_at, started_at,"
    " completed_at, more"
)


@dataclass(frozen=True, slots=True)
class JobRow:
    """Times are microseconds since 1970. ``more``: fields that only some runners send."""

    identifier: str
    request: str
    action: str
    status: str
    status_code: str
    status_message: str
    created_at: int
    updated_at: int | None
    started_at: int | None
    completed_at: int | None
    more: dict[str, Any]

    @property
    def outcome(self) -> str:
        return outcomes.outcome(self.status, self.status_code)

    @property
    def had_nothing_to_do(self) -> bool:
        return outcomes.had_nothing_to_do(self.status, self.created_at, self.started_at, self.completed_at)

    def as_item(self) -> dict[str, Any]:
        """As the API has it."""
        return {
            "identifier": self.identifier,
            "action": self.action,
            "status": self.status,
            "outcome": self.outcome,
            "status_code": self.status_code,
            "status_message": self.status_message,
            "created_at": micros_text(self.created_at),
            "updated_at": micros_text(self.updated_at),
            "started_at": micros_text(self.started_at),
            "completed_at": micros_text(self.completed_at),
            **self.more,
        }


def micros_text(moment: int | None) -> str | None:
    """As the API writes it."""
    return None if moment is None else time_text(_EPOCH + timedelta(microseconds=min(moment, _LAST)))


def _job(row: Sequence[Any]) -> JobRow:
    fields = [*row[:10], orjson.loads(row[10]) if row[10] else {}]
    return JobRow(*fields)


def row_of_job(request: str, job: Job) -> JobRow:
    """A job's document as a row."""
    moments = (job.updated_at, job.started_at, job.completed_at)
    updated, started, completed = (micros(moment) if moment else None for moment in moments)
    texts = (job.identifier, request, job.action, job.status, job.status_code, job.status_message)
    more = {key: value for key in sorted(Job.optional_keys) if (value := getattr(job, key)) is not None}
    return JobRow(*texts, micros(job.created_at), updated, started, completed, more)


def jobs_of_request(sql: sqlite3.Connection, branch: int, request: str) -> list[JobRow]:
    """The jobs of a request, oldest first."""
    rows = sql.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE branch=? AND request=? ORDER BY created_at, identifier", (branch, request)
    )
    return [_job(row) for row in rows]


def first_pending_job(sql: sqlite3.Connection, branch: int, request: str, cancelled: Collection[str]) -> JobRow | None:
    """One that is not to be cancelled and that needs no other, if there is such a job; otherwise the oldest."""
    row = sql.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE branch=? AND request=? AND status='pending' ORDER BY"
        " action IN (SELECT value FROM json_each(?)), status_code = 'waiting_on_dependencies', created_at LIMIT 1",
        (branch, request, orjson.dumps(list(cancelled)).decode()),
    ).fetchone()
    return None if row is None else _job(row)


# No rows in most cases: a row more is a call of SQLite more, and each lets another thread in.
_CLAIMED = """
SELECT jobs.identifier, jobs.request FROM json_each(?1) AS claim
CROSS JOIN branches ON branches.name = ?2
CROSS JOIN jobs ON jobs.identifier = claim.key AND jobs.branch = branches.id AND jobs.request != claim.value
WHERE EXISTS (SELECT 1 FROM requests WHERE identifier = claim.value AND branch = branches.id)
    AND NOT EXISTS (SELECT 1 FROM jobs AS own
        WHERE own.branch = branches.id AND own.request = claim.value AND own.identifier = claim.key)
LIMIT 1
"""


def other_owner(sql: sqlite3.Connection, branch: str, claims: Mapping[str, str]) -> tuple[str, str] | None:
    """A job that belongs to another job request than the one that ``claims`` says, and that request, also in the
    archive. Claims for job requests that do not exist do not count. ``claims``: by job."""
    row = sql.execute(_CLAIMED, (orjson.dumps(claims).decode(), branch)).fetchone()
    return None if row is None else (row[0], row[1])


def requests_with_job(sql: sqlite3.Connection, job: str, backends: Collection[str]) -> list[str]:
    """The ids of at most two job requests that have a job with this id: two runners can choose the same id."""
    numbers = branch_numbers(sql, backends)
    rows = sql.execute(
        f"SELECT DISTINCT request FROM jobs WHERE identifier = ? AND branch IN ({marks(numbers)}) LIMIT 2",
        (job, *numbers),
    )
    return [row[0] for row in rows]


def jobs_identified(sql: sqlite3.Connection, text: str, backends: Collection[str], limit: int) -> list[JobRow]:
    """Jobs whose id begins with the text, if it has enough characters to mean something."""
    numbers = branch_numbers(sql, backends)
    if len(text) < LEAST_ID:
        return []
    rows = sql.execute(
        f"SELECT {_COLUMNS} FROM jobs INDEXED BY jobs_identifier WHERE identifier >= ? AND identifier < ?"
        f" AND branch IN ({marks(numbers)}) ORDER BY identifier LIMIT ?",
        (text, text + "\U0010ffff", *numbers, limit),
    )
    return [_job(row) for row in rows]


def last_success_before(
    sql: sqlite3.Connection, backend: str, workspace: str, action: str, before: int
) -> JobRow | None:
    """The newest success of an action among its last jobs that were created before ``before``: one that ran."""
    for number in branch_numbers(sql, [backend]):
        row = sql.execute(
            f"SELECT {_COLUMNS} FROM (SELECT * FROM jobs WHERE branch=? AND workspace=? AND action=? AND created_at < ?"
            f" ORDER BY created_at DESC LIMIT {LOOK_BACK}) WHERE status = 'succeeded' AND started_at IS NOT NULL"
            " AND (created_at != started_at OR started_at IS NOT completed_at) LIMIT 1",
            (number, workspace, action, before),
        ).fetchone()
        if row is not None:
            return _job(row)
    return None


# One statement for all actions, of which there may be thousands: each costs one step in an index.
_LATEST = f"""
SELECT {", ".join(f"jobs.{name.strip()}" for name in _COLUMNS.split(","))} FROM actions
JOIN jobs ON (jobs.branch, jobs.request, jobs.identifier) = (
    SELECT branch, request, identifier FROM jobs WHERE branch = ?1 AND workspace = ?2 AND action = actions.action
    ORDER BY created_at DESC, status DESC LIMIT 1
) WHERE actions.branch = ?1 AND actions.workspace = ?2
"""


def latest_jobs(sql: sqlite3.Connection, workspace: str, backends: Collection[str]) -> dict[str, JobRow]:
    """action -> its newest job in all job requests of the workspace on these backends."""
    latest: dict[str, JobRow] = {}
    for number in branch_numbers(sql, backends):
        for row in sql.execute(_LATEST, (number, workspace)):
            job, known = _job(row), latest.get(row[2])
            if known is None or (known.created_at, known.status) < (job.created_at, job.status):
                latest[job.action] = job
    return latest
