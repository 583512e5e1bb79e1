"""What API answers read from the index, each within one view."""

import sqlite3
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from jobserver.domain.names import backend_branch
from jobserver.index.items import time_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _time(micros: int | None) -> str | None:
    return None if micros is None else time_text(_EPOCH + timedelta(microseconds=micros))


def find_request(
    sql: sqlite3.Connection, identifier: str, backends: Collection[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """(item, its jobs' items) of a request of one of these backends."""
    branches = [backend_branch(slug) for slug in backends]
    marks = ",".join("?" * len(branches))
    found = sql.execute(
        f"SELECT branch, item FROM requests JOIN branches ON id = branch WHERE identifier = ? AND name IN ({marks})",
        (identifier, *branches),
    ).fetchone()
    if found is None:
        return None
    jobs = sql.execute(
        "SELECT identifier, action, status, status_code, status_message, created_at, updated_at, started_at,"
        " completed_at, more FROM jobs WHERE branch=? AND request=?",
        (found[0], identifier),
    )
    return orjson.loads(found[1]), [_job(row) for row in jobs]


def _job(row: tuple[Any, ...]) -> dict[str, Any]:
    keys = ("identifier", "action", "status", "status_code", "status_message")
    times = ("created_at", "updated_at", "started_at", "completed_at")
    item = dict(zip(keys, row[:5], strict=True))
    item |= {key: _time(value) for key, value in zip(times, row[5:9], strict=True)}
    return item | (orjson.loads(row[9]) if row[9] else {})


def latest_statuses(sql: sqlite3.Connection, workspace: str) -> dict[str, str]:
    """action -> status of its job that was made last, over all requests of the workspace.

    Steps from action to action through the index, so that it costs the number of actions, not of jobs.
    """
    found: dict[str, str] = {}
    action = ""
    while True:
        row = sql.execute(
            "SELECT action FROM jobs WHERE workspace=? AND action > ? ORDER BY action LIMIT 1", (workspace, action)
        ).fetchone()
        if row is None:
            return found
        action = row[0]
        found[action] = sql.execute(
            "SELECT status FROM jobs WHERE workspace=? AND action=? ORDER BY created_at DESC, status LIMIT 1",
            (workspace, action),
        ).fetchone()[0]
