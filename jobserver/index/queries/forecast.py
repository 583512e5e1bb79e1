"""Durations and waiting times of past job requests, from which pages estimate when a request starts and ends; and what
the requests of a list wait for.

Times are in microseconds. Each query reads a limited number of past requests.
"""

import sqlite3
from collections.abc import Collection, Iterable

import orjson

from jobserver.index.queries.branches import LOOK_BACK, branch_numbers
from jobserver.index.queries.jobs import JobRow, first_pending_job
from jobserver.index.queries.requests import ALL_ACTIVE, JobRequestRow

# One statement for all actions: there may be thousands.
_DURATIONS = """
SELECT value, (
    SELECT group_concat(duration) FROM (
        SELECT completed_at - started_at AS duration FROM (
            SELECT status, started_at, completed_at FROM jobs
            WHERE branch = ?1 AND workspace = ?2 AND action = value ORDER BY created_at DESC LIMIT 40
        ) WHERE status = 'succeeded' AND completed_at >= started_at LIMIT 10
    )
) FROM json_each(?3)
"""


def durations(sql: sqlite3.Connection, backend: str, workspace: str, actions: Iterable[str]) -> dict[str, list[int]]:
    """action -> durations of its last successes, newest first, at most 10."""
    by_action: dict[str, list[int]] = {}
    for number in branch_numbers(sql, [backend]):
        rows = sql.execute(_DURATIONS, (number, workspace, orjson.dumps(list(actions)).decode()))
        by_action |= {action: [int(text) for text in texts.split(",")] for action, texts in rows if texts}
    return by_action


def waits(sql: sqlite3.Connection, backend: str, most: int) -> list[int]:
    """How long the last ``most`` requests on a backend waited for their first job to start, newest first."""
    numbers = branch_numbers(sql, [backend])
    if not numbers:
        return []
    rows = sql.execute(
        "SELECT started_at - created_at FROM (SELECT branch, created_at, started_at FROM main.requests"
        f" ORDER BY created_at DESC, identifier DESC LIMIT {LOOK_BACK})"
        " WHERE branch = ? AND started_at >= created_at LIMIT ?",
        (*numbers, most),
    )
    return [row[0] for row in rows]


def queue_places(sql: sqlite3.Connection, backend: str, identifiers: Collection[str]) -> dict[str, int]:
    """Job request -> its place in the queue of its backend, from 1, of those that are in it."""
    places: dict[str, int] = {}
    for number in branch_numbers(sql, [backend]):
        rows = sql.execute(
            "SELECT identifier, place FROM (SELECT requests.identifier,"
            f" row_number() OVER (ORDER BY requests.created_at, requests.identifier) AS place FROM {ALL_ACTIVE}"
            " WHERE branch = ? AND active) WHERE identifier IN (SELECT value FROM json_each(?))",
            (number, orjson.dumps(list(identifiers)).decode()),
        )
        places |= dict(rows.fetchall())
    return places


def next_job(sql: sqlite3.Connection, row: JobRequestRow) -> JobRow | None:
    """Of the jobs that wait, the one that starts first, as far as their documents say that."""
    for number in branch_numbers(sql, [row.backend]):
        return first_pending_job(sql, number, row.identifier, row.cancelled)
    return None
