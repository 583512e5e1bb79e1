"""Finds job requests by id, by the id of a job, or by the name of an action or workspace."""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

from jobserver.domain.base.layout import Kind
from jobserver.index.queries.branches import branch_numbers, marks
from jobserver.index.queries.jobs import requests_with_job

_LEAST = 4  # characters of an identifier
_DAY = 86_400_000_000  # microseconds
_PER_ROW = 8  # job requests to choose from, for each row of a page


def search_requests(
    sql: sqlite3.Connection, query: str, workspace: str, newest: int, numbers: Sequence[int], limit: int
) -> list[str]:
    """Ids of job requests that match by id, by a job's id, or by an action that contains ``query``; newest first.

    ``newest``: no page shows requests that were created after this time, in microseconds. ``numbers``: of branches.
    """
    text = query.strip().lower()
    created: dict[str, int] = {}  # job request -> when it, or its job, was created
    if len(text) >= _LEAST:
        upper = text + "\U0010ffff"
        created |= sql.execute(
            "SELECT identifier, created_at FROM requests WHERE identifier >= ? AND identifier < ? LIMIT 100",
            (text, upper),
        ).fetchall()
        created |= sql.execute(
            "SELECT request, created_at FROM jobs WHERE identifier >= ? AND identifier < ?"
            " UNION SELECT request, created_at FROM jobs WHERE identifier = ? LIMIT 100",
            (text, upper, query.strip()),
        ).fetchall()
    before = newest + _DAY
    where, values = _matching_actions(numbers, text, workspace)
    # Actions that ran last come first. A page shows few rows, so it needs only some requests to choose from.
    actions = sql.execute(
        "SELECT branch, workspace, action, (SELECT max(created_at) FROM jobs WHERE jobs.branch = actions.branch"
        " AND jobs.workspace = actions.workspace AND jobs.action = actions.action AND created_at <= ?) AS newest"
        f" FROM actions WHERE {where} ORDER BY newest DESC",
        (before, *values),
    ).fetchall()
    enough = len(created) + _PER_ROW * limit
    per_action = max(limit + 1, _PER_ROW * limit // max(len(actions), 1))
    for branch, of_workspace, action, last in actions:
        if last is not None and len(created) < enough:
            created |= sql.execute(
                "SELECT request, created_at FROM jobs WHERE branch=? AND workspace=? AND action=? AND created_at <= ?"
                " ORDER BY created_at DESC LIMIT ?",
                (branch, of_workspace, action, before, per_action),
            ).fetchall()
    return sorted(created, key=lambda identifier: created[identifier], reverse=True)[: 20 * limit]


def _matching_actions(numbers: Sequence[int], text: str, workspace: str = "") -> tuple[str, list[Any]]:
    """(condition on the table `actions`, its values): rows of the branches, and of the workspace, that contain
    ``text`` in a name."""
    where = f"branch IN ({marks(numbers)}) AND (instr(lower(action), ?) OR instr(workspace, ?))"
    values = [*numbers, text, text]
    return (f"{where} AND workspace = ?", [*values, workspace]) if workspace else (where, values)


def resolve_identifier(sql: sqlite3.Connection, text: str, backends: Collection[str]) -> tuple[Kind, str] | None:
    """The one job request or job that has this identifier, or one that begins with this text; None if there is none, or
    several.

    A job's identifier may be any word, so it counts only if no workspace or action contains the text, and if only one
    job request has that job.
    """
    text = text.strip()
    numbers = branch_numbers(sql, backends)
    if len(text) < _LEAST or not numbers:
        return None
    lower = text.lower()
    requests = _beginning_with(sql, "requests", lower, numbers)
    if len(requests) == 1:
        return Kind.REQUEST, requests[0]
    where, values = _matching_actions(numbers, lower)
    if requests or sql.execute(f"SELECT 1 FROM actions WHERE {where} LIMIT 1", values).fetchone():
        return None
    jobs = {identifier for wanted in (text, lower) for identifier in _beginning_with(sql, "jobs", wanted, numbers)}
    jobs = jobs & {text, lower} or jobs
    if len(jobs) != 1 or len(requests_with_job(sql, job := jobs.pop(), backends)) != 1:
        return None
    return Kind.JOB, job


def _beginning_with(sql: sqlite3.Connection, table: str, text: str, numbers: Sequence[int]) -> list[str]:
    """At most two identifiers."""
    # By that index: SQLite would prefer one that begins with the branch, and read all of it.
    rows = sql.execute(
        f"SELECT DISTINCT identifier FROM {table} INDEXED BY {table}_identifier"
        " WHERE identifier >= ? AND identifier < ?"
        f" AND branch IN ({marks(numbers)}) ORDER BY identifier LIMIT 2",
        (text, text + "\U0010ffff", *numbers),
    )
    return [row[0] for row in rows]
