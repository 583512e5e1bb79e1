"""What API answers read from the index, each within one view."""

import sqlite3
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import orjson

from jobserver.domain.base.layout import backend_branch
from jobserver.index.items import time_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _time(micros: int | None) -> str | None:
    return None if micros is None else time_text(_EPOCH + timedelta(microseconds=micros))


Found: TypeAlias = tuple[dict[str, Any], list[dict[str, Any]]]
"""A job request's item, and its jobs' items."""


def find_request(sql: sqlite3.Connection, identifier: str, backends: Collection[str]) -> Found | None:
    """The request of this id on one of these backends."""
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


def job_owners(sql: sqlite3.Connection, branch: str, jobs: Collection[str]) -> dict[str, str]:
    """Of these jobs those that the branch has, also in its archive -> the job request that each is of."""
    marks = ",".join("?" * len(jobs))
    return dict(
        sql.execute(
            "SELECT identifier, request FROM jobs WHERE branch = (SELECT id FROM branches WHERE name=?)"
            f" AND identifier IN ({marks})",
            (branch, *jobs),
        )
    )


def has_request(sql: sqlite3.Connection, branch: str, identifier: str) -> bool:
    found = sql.execute(
        "SELECT 1 FROM requests WHERE identifier=? AND branch = (SELECT id FROM branches WHERE name=?)",
        (identifier, branch),
    )
    return found.fetchone() is not None


def has_unmoved(sql: sqlite3.Connection, branch: str) -> bool:
    """Whether a push finished a job request that still stands in ``active/``."""
    found = sql.execute(
        "SELECT 1 FROM requests WHERE branch = (SELECT id FROM branches WHERE name=?)"
        " AND area = 'active' AND NOT active LIMIT 1",
        (branch,),
    )
    return found.fetchone() is not None


def _job(row: tuple[Any, ...]) -> dict[str, Any]:
    keys = ("identifier", "action", "status", "status_code", "status_message")
    times = ("created_at", "updated_at", "started_at", "completed_at")
    item = dict(zip(keys, row[:5], strict=True))
    item |= {key: _time(value) for key, value in zip(times, row[5:9], strict=True)}
    return item | (orjson.loads(row[9]) if row[9] else {})


def latest_statuses(sql: sqlite3.Connection, workspace: str, backends: Collection[str]) -> dict[str, str]:
    """action -> status of its job that was made last, over the workspace's requests on these backends.

    Steps from action to action through an index, so that it costs the number of actions, not of jobs.
    """
    latest: dict[str, tuple[int, str]] = {}
    for slug in backends:
        row = sql.execute("SELECT id FROM branches WHERE name=?", (backend_branch(slug),)).fetchone()
        action = None if row is None else ""
        while action is not None:
            found = sql.execute(
                "SELECT action FROM jobs WHERE branch=? AND workspace=? AND action > ? ORDER BY action LIMIT 1",
                (row[0], workspace, action),
            ).fetchone()
            action = None if found is None else found[0]
            if action is not None:
                last = sql.execute(
                    "SELECT created_at, status FROM jobs WHERE branch=? AND workspace=? AND action=?"
                    " ORDER BY created_at DESC, status DESC LIMIT 1",
                    (row[0], workspace, action),
                ).fetchone()
                latest[action] = max(latest.get(action, (0, "")), last)
    return {action: status for action, (_, status) in sorted(latest.items())}
