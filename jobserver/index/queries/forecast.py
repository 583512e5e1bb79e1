"""What the past says of what is to come: how long actions took, how long requests waited, and who stands before whom.

Times are microseconds. Each reads within one view, and looks back a bounded way.
"""

import sqlite3
from collections.abc import Iterable

import orjson

from jobserver.index.queries.pages import LOOK_BACK, Row, branch_numbers

# One statement for all actions: there may be thousands.
_DURATIONS = """
SELECT value, (
    SELECT group_concat(took) FROM (
        SELECT completed_at - started_at AS took FROM (
            SELECT status, started_at, completed_at FROM jobs
            WHERE branch = ?1 AND workspace = ?2 AND action = value ORDER BY created_at DESC LIMIT 40
        ) WHERE status = 'succeeded' AND completed_at >= started_at LIMIT 10
    )
) FROM json_each(?3)
"""


def durations(sql: sqlite3.Connection, backend: str, workspace: str, actions: Iterable[str]) -> dict[str, list[int]]:
    """action -> how long its last successes took, microseconds, newest first, at most 10."""
    found: dict[str, list[int]] = {}
    for number in branch_numbers(sql, [backend]):
        rows = sql.execute(_DURATIONS, (number, workspace, orjson.dumps(list(actions)).decode()))
        found |= {action: [int(took) for took in said.split(",")] for action, said in rows if said}
    return found


def waits(sql: sqlite3.Connection, backend: str, most: int) -> list[int]:
    """How long the last requests on a backend waited for their first job to start, microseconds, newest first."""
    numbers = branch_numbers(sql, [backend])
    if not numbers:
        return []
    rows = sql.execute(
        "SELECT started_at - created_at FROM (SELECT branch, created_at, started_at FROM requests"
        f" ORDER BY created_at DESC, identifier DESC LIMIT {LOOK_BACK})"
        " WHERE branch = ? AND started_at >= created_at LIMIT ?",
        (*numbers, most),
    )
    return [row[0] for row in rows]


def ahead(sql: sqlite3.Connection, row: Row) -> int:
    """How many requests on its backend are not finished and were asked for before it."""
    numbers = branch_numbers(sql, [row.backend])
    found = sql.execute(
        "SELECT count(*) FROM requests WHERE branch = ? AND active AND (created_at, identifier) < (?, ?)",
        (*numbers, row.created_at, row.identifier),
    ).fetchone()
    return int(found[0])
