"""The numbers of each day are those of the rows, after every change."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.index.queries.history import JobDay, backend_days, job_days, running_jobs, workspace_days
from jobserver.index.sqlite import days, schema

DAY, HOUR = days.DAY, 3_600_000_000


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = schema.create(tmp_path / "index")
    connection.executescript(schema.INDEXES)
    connection.execute("INSERT INTO branches VALUES (1, 'backends/tpp', 'x')")
    yield connection
    connection.close()


def add_request(sql: sqlite3.Connection, identifier: str, created: int, **more: object) -> None:
    values = {
        "branch": 1, "identifier": identifier, "area": "active", "day": "2026-11-24", "workspace": "trends",
        "created_by": "alice", "created_at": created, "item": "{}", "active": 0, "outcome": "succeeded", "jobs": 1,
        "succeeded": 1, **more,
    }  # fmt: skip
    columns = [row[1] for row in sql.execute("PRAGMA table_info(requests)") if row[3] and row[1] not in values]
    values |= dict.fromkeys(columns, "")
    sql.execute(
        f"INSERT INTO requests ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", [*values.values()]
    )


def add_job(
    sql: sqlite3.Connection, identifier: str, started: int | None, completed: int | None, **more: object
) -> None:
    values = {
        "branch": 1, "request": "r1", "identifier": identifier, "workspace": "trends", "action": "model",
        "status": "succeeded", "status_code": "", "status_message": "", "created_at": 0, "started_at": started,
        "completed_at": completed, **more,
    }  # fmt: skip
    sql.execute(f"INSERT INTO jobs ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", [*values.values()])


def check(sql: sqlite3.Connection) -> None:
    for table, counted in (("request_days", days.REQUEST_DAYS), ("job_days", days.JOB_DAYS)):
        kept = sorted(sql.execute(f"SELECT * FROM {table}").fetchall())
        assert kept == sorted(sql.execute(counted.format("")).fetchall()), table


def test_the_numbers_follow_every_change_of_a_row(sql: sqlite3.Connection) -> None:
    add_request(sql, "r1", 5 * DAY)
    add_request(sql, "r2", 5 * DAY, started_at=5 * DAY + 2 * HOUR, completed_at=5 * DAY + 3 * HOUR)
    add_request(sql, "r3", 6 * DAY, started_at=6 * DAY - HOUR, outcome="running")
    add_job(sql, "j1", None, None)
    add_job(sql, "j2", 5 * DAY, 5 * DAY + HOUR)
    add_job(sql, "j3", 5 * DAY, 7 * DAY)
    check(sql)
    for statement in (
        f"UPDATE requests SET started_at = created_at + {HOUR}, completed_at = created_at + {3 * HOUR}",
        "UPDATE requests SET outcome = 'failed' WHERE identifier = 'r2'",
        "UPDATE requests SET workspace = 'other' WHERE identifier = 'r3'",
        "UPDATE requests SET item = item, active = 1",
        f"UPDATE jobs SET started_at = {6 * DAY} WHERE identifier = 'j1'",
        f"UPDATE jobs SET completed_at = {6 * DAY + HOUR} WHERE identifier = 'j1'",
        "UPDATE jobs SET started_at = NULL, completed_at = NULL WHERE identifier = 'j2'",
        "DELETE FROM jobs WHERE identifier = 'j3'",
        "DELETE FROM requests WHERE identifier = 'r1'",
        "DELETE FROM jobs",
        "DELETE FROM requests",
    ):
        sql.execute(statement)
        check(sql)
    assert sql.execute("SELECT count(*) FROM request_days").fetchone() == (0,)
    assert sql.execute("SELECT count(*) FROM job_days").fetchone() == (0,)


def test_requests_of_a_workspace_and_of_a_backend(sql: sqlite3.Connection) -> None:
    add_request(sql, "r1", 5 * DAY, started_at=5 * DAY + 2 * HOUR, completed_at=5 * DAY + 5 * HOUR)
    add_request(sql, "r2", 5 * DAY, started_at=5 * DAY, completed_at=5 * DAY + HOUR, workspace="other")
    add_request(sql, "r3", 4 * DAY)
    (mine,) = workspace_days(sql, "trends", ["tpp"], 5)
    assert (mine.requests, mine.timed, mine.ran, mine.started, mine.waited, mine.late) == (
        1,
        1,
        3 * HOUR,
        1,
        2 * HOUR,
        1,
    )
    (both,) = backend_days(sql, "tpp", 5)
    assert (both.requests, both.ran, both.waited, both.late) == (2, 4 * HOUR, 2 * HOUR, 1)
    assert backend_days(sql, "emis", 0) == workspace_days(sql, "trends", ["emis"], 0) == []


def test_jobs_run_on_every_day_that_they_cover(sql: sqlite3.Connection) -> None:
    add_request(sql, "r1", 5 * DAY, active=1)
    add_job(sql, "short", 5 * DAY, 5 * DAY + HOUR)
    add_job(sql, "long", 5 * DAY + 23 * HOUR, 7 * DAY + HOUR)
    add_job(sql, "now", 6 * DAY, None, status="running")
    assert job_days(sql, "tpp", 5, 7 * DAY + 2 * HOUR) == {
        5: JobDay(5, 2, 2 * HOUR),
        6: JobDay(6, 1, 48 * HOUR),
        7: JobDay(7, 0, 3 * HOUR),
    }
    assert job_days(sql, "tpp", 7, 7 * DAY + 2 * HOUR) == {7: JobDay(7, 0, 3 * HOUR)}
    assert running_jobs(sql, "tpp") == 1
