"""What has run before: an action's runs, a workspace's requests, a backend's days. Times are microseconds since 1970.

Each query reads a limited number of rows.
"""

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from heapq import nlargest

import orjson

from jobserver.domain.job_requests import outcomes
from jobserver.domain.waiting.usual import UsualDuration, usual
from jobserver.index.queries.branches import branch_numbers, marks
from jobserver.index.queries.requests import ACTIVE
from jobserver.index.sqlite.days import DAY

_USUAL_RUNS = 40  # jobs among which the successful ones are read
_LONG_JOBS = 5000  # jobs that run past midnight
_LONGEST = 30  # days before the first one shown, on which a job may have started that ran on it


@dataclass(frozen=True, slots=True)
class ActionRun:
    """A job of an action, with its request's commit and person."""

    request: str
    identifier: str
    backend: str
    outcome: str
    created_at: int
    started_at: int | None
    completed_at: int | None
    sha: str
    created_by: str

    @property
    def duration(self) -> int | None:
        """None while it runs, and if it never ran."""
        if self.started_at is None or self.completed_at is None or self.completed_at < self.started_at:
            return None
        return self.completed_at - self.started_at


@dataclass(frozen=True, slots=True)
class RequestDay:
    """Requests of a day (since 1970) with one outcome: their number, how many ended and how long these ran together,
    how many started and how long these waited together, and how many of them waited for more than an hour."""

    day: int
    outcome: str
    requests: int
    timed: int
    ran: int
    started: int
    waited: int
    late: int


@dataclass(frozen=True, slots=True)
class JobDay:
    """The number of jobs that started on a day (since 1970), and how long all jobs ran on it together."""

    day: int
    jobs: int
    ran: int


@dataclass(frozen=True, slots=True)
class ActionSummary:
    """Of an action's last runs on all backends: how many ended, how many succeeded, when the newest was created."""

    action: str
    ended: int
    succeeded: int
    newest: int


def action_runs(
    sql: sqlite3.Connection,
    workspace: str,
    action: str,
    backends: Collection[str],
    before: tuple[int, str],
    limit: int,
) -> list[ActionRun]:
    """Newest first. ``before``: when the last job of the previous page was created, and its id."""
    runs: list[ActionRun] = []
    for slug in backends:
        for number in branch_numbers(sql, [slug]):
            rows = sql.execute(
                "SELECT jobs.request, jobs.identifier, jobs.status, jobs.status_code, jobs.created_at,"
                " jobs.started_at, jobs.completed_at, json_extract(item, '$.sha'), created_by"
                " FROM jobs JOIN requests ON requests.identifier = jobs.request AND requests.branch = jobs.branch"
                " WHERE jobs.branch = ? AND jobs.workspace = ? AND action = ?"
                " AND (jobs.created_at, jobs.identifier) < (?, ?)"
                " ORDER BY jobs.created_at DESC, jobs.identifier DESC LIMIT ?",
                (number, workspace, action, *before, limit),
            )
            runs += [ActionRun(row[0], row[1], slug, outcomes.outcome(row[2], row[3]), *row[4:]) for row in rows]
    return nlargest(limit, runs, key=lambda run: (run.created_at, run.identifier))


def usual_duration(
    sql: sqlite3.Connection, backend: str, workspace: str, action: str, before: int = 1 << 62
) -> UsualDuration | None:
    """From the successes among the last jobs that were created before ``before``; None if there are none."""
    durations: list[int] = []
    for number in branch_numbers(sql, [backend]):
        rows = sql.execute(
            "SELECT completed_at - started_at FROM (SELECT status, started_at, completed_at FROM jobs"
            " WHERE branch = ? AND workspace = ? AND action = ? AND created_at < ? ORDER BY created_at DESC LIMIT ?)"
            " WHERE status = 'succeeded' AND completed_at >= started_at",
            (number, workspace, action, before, _USUAL_RUNS),
        )
        durations += [row[0] for row in rows]
    return usual(durations)


# One statement for all actions, of which there may be thousands.
_SUMMARIES = """
SELECT action, (
    SELECT json_group_array(json_array(created_at, status, status_code)) FROM (
        SELECT created_at, status, status_code FROM jobs
        WHERE branch = ?1 AND workspace = ?2 AND action = actions.action ORDER BY created_at DESC LIMIT ?3
    )
) FROM actions WHERE branch = ?1 AND workspace = ?2
"""


def action_summaries(
    sql: sqlite3.Connection, workspace: str, backends: Collection[str], runs: int
) -> list[ActionSummary]:
    """Each action that ever ran, with its last ``runs`` on each backend; the newest first."""
    known: dict[str, ActionSummary] = {}
    for number in branch_numbers(sql, backends):
        for action, texts in sql.execute(_SUMMARIES, (number, workspace, runs)):
            jobs = [(moment, outcomes.outcome(status, code)) for moment, status, code in orjson.loads(texts)]
            if not jobs:  # what a request named, but no runner had a job for: `run_all`
                continue
            ended = [outcome for _, outcome in jobs if outcome in ("succeeded", "failed")]
            newest = max(moment for moment, _ in jobs)
            summary = known.get(action, ActionSummary(action, 0, 0, 0))
            succeeded = summary.succeeded + ended.count("succeeded")
            known[action] = ActionSummary(action, summary.ended + len(ended), succeeded, max(summary.newest, newest))
    return sorted(known.values(), key=lambda summary: (-summary.newest, summary.action))


_REQUEST_DAYS = """
SELECT day, outcome, sum(requests), sum(timed), sum(ran), sum(started), sum(waited), sum(late) FROM request_days
"""


def workspace_days(sql: sqlite3.Connection, workspace: str, backends: Collection[str], since: int) -> list[RequestDay]:
    """From the day ``since`` on."""
    numbers = branch_numbers(sql, backends)
    rows = sql.execute(
        f"{_REQUEST_DAYS} WHERE workspace = ? AND day >= ? AND branch IN ({marks(numbers)}) GROUP BY day, outcome",
        (workspace, since, *numbers),
    )
    return [RequestDay(*row) for row in rows]


def backend_days(sql: sqlite3.Connection, backend: str, since: int) -> list[RequestDay]:
    """From the day ``since`` on."""
    numbers = branch_numbers(sql, [backend])
    rows = sql.execute(
        f"{_REQUEST_DAYS} WHERE branch IN ({marks(numbers)}) AND day >= ? GROUP BY day, outcome",
        (*numbers, since),
    )
    return [RequestDay(*row) for row in rows]


def job_days(sql: sqlite3.Connection, backend: str, since: int, now: int) -> dict[int, JobDay]:
    """Day -> what ran on it, from the day ``since`` on. Jobs that still run count up to ``now``, in microseconds."""
    days: dict[int, JobDay] = {}
    for number in branch_numbers(sql, [backend]):
        rows = sql.execute("SELECT day, jobs, ran FROM job_days WHERE branch = ? AND day >= ?", (number, since))
        days |= {day: JobDay(day, jobs, ran) for day, jobs, ran in rows}
        long = sql.execute(
            f"SELECT started_at, completed_at FROM jobs INDEXED BY jobs_overnight WHERE branch = ? AND started_at >= ?"
            f" AND completed_at / {DAY} > started_at / {DAY} LIMIT ?",
            (number, (since - _LONGEST) * DAY, _LONG_JOBS),
        ).fetchall()
        for start, end in [*long, *((start, now) for start in _running(sql, number))]:
            for day in range(max(start // DAY, since), min(end, now) // DAY + 1):
                known = days.get(day, JobDay(day, 0, 0))
                ran = max(min(end, now, (day + 1) * DAY) - max(start, day * DAY), 0)
                days[day] = JobDay(day, known.jobs, known.ran + ran)
    return days


def running_jobs(sql: sqlite3.Connection, backend: str) -> int:
    return sum(len(_running(sql, number)) for number in branch_numbers(sql, [backend]))


def _running(sql: sqlite3.Connection, number: int) -> list[int]:
    """When each job started that runs now. CROSS JOIN: unfinished requests are few, jobs are many."""
    rows = sql.execute(
        f"SELECT jobs.started_at FROM {ACTIVE} CROSS JOIN jobs ON jobs.branch = requests.branch"
        " AND jobs.request = requests.identifier WHERE requests.branch = ? AND active AND jobs.status = 'running'"
        " AND jobs.started_at IS NOT NULL",
        (number,),
    )
    return [row[0] for row in rows]
