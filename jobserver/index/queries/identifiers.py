"""Finds the one job request or job that an identifier, or the beginning of one, means."""

import sqlite3
from collections.abc import Collection, Sequence

from jobserver.domain.base.layout import Kind
from jobserver.domain.job_requests.query import LEAST_ID
from jobserver.index.queries.branches import branch_numbers, marks
from jobserver.index.queries.jobs import requests_with_job


def resolve_identifier(sql: sqlite3.Connection, text: str, backends: Collection[str]) -> tuple[Kind, str] | None:
    """The one job request or job that has this identifier, or one that begins with this text; None if there is none, or
    several.

    A job's identifier may be any word, so it counts only if no workspace or action contains the text, and if only one
    job request has that job.
    """
    text = text.strip()
    numbers = branch_numbers(sql, backends)
    if len(text) < LEAST_ID or not numbers:
        return None
    lower = text.lower()
    requests = _beginning_with(sql, "requests", lower, numbers)
    if len(requests) == 1:
        return Kind.REQUEST, requests[0]
    names = f"branch IN ({marks(numbers)}) AND (instr(lower(action), ?) OR instr(workspace, ?))"
    if requests or sql.execute(f"SELECT 1 FROM actions WHERE {names} LIMIT 1", (*numbers, lower, lower)).fetchone():
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
