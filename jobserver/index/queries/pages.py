"""What the web pages read from the index, each within one view. Times are microseconds since 1970."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from jobserver.domain.base.layout import Kind, backend_branch

_COLUMNS = (
    "requests.identifier, name, workspace, project, created_by, requests.created_at, status, jobs, succeeded,"
    " started_at, completed_at, updated_at, item"
)
_FIELDS = ("backend", "workspace", "username", "status")  # of a cell of the cube
LOOK_BACK = 400  # requests; so that no page grows with history


@dataclass(frozen=True, slots=True)
class Row:
    """A job request in a list."""

    identifier: str
    backend: str
    workspace: str
    project: str | None
    created_by: str
    created_at: int
    status: str
    jobs: int
    succeeded: int
    started_at: int | None
    completed_at: int | None
    updated_at: int | None
    actions: tuple[str, ...]
    cancelled: tuple[str, ...]
    sha: str


@dataclass(frozen=True, slots=True)
class JobRow:
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


@dataclass(frozen=True, slots=True)
class Filter:
    """An empty field wants everything. ``before``: (created_at, identifier) of the last row of the page before."""

    status: str = ""
    backend: str = ""
    workspace: str = ""
    username: str = ""
    query: str = ""
    before: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Cube:
    """How many requests there are of each (backend, workspace, person, status): every count on the event log."""

    cells: Sequence[tuple[str, str, str, str, int]]

    def counts(self, chosen: Filter, backends: Collection[str]) -> dict[str, Counter[str]]:
        """Per field of the filter, its values with their counts, all other fields as chosen."""
        wanted = (chosen.backend, chosen.workspace, chosen.username, chosen.status)
        found: dict[str, Counter[str]] = {name: Counter() for name in _FIELDS}
        for *values, count in self.cells:
            if values[0] not in backends:
                continue
            misses = [at for at in range(4) if wanted[at] and wanted[at] != values[at]]
            for at, name in enumerate(_FIELDS):
                if not misses or misses == [at]:
                    found[name][values[at]] += count
        return found

    def has(self, field: str, value: str, backends: Collection[str]) -> bool:
        """Whether a request on these backends has this value."""
        at = _FIELDS.index(field)
        return any(cell[at] == value and cell[0] in backends for cell in self.cells)


def cube(sql: sqlite3.Connection) -> Cube:
    rows = sql.execute(
        "SELECT name, workspace, created_by, status, count(*) FROM requests JOIN branches ON id = branch"
        " GROUP BY branch, workspace, created_by, status"
    )
    return Cube([(_slug(name), *rest) for name, *rest in rows])


def _slug(branch: str) -> str:
    return branch.removeprefix("backends/")


def _row(values: Sequence[Any]) -> Row:
    item = orjson.loads(values[12])
    fields = [values[0], _slug(values[1]), *values[2:12]]
    fields += [tuple(item["requested_actions"]), tuple(item["cancelled_actions"]), item["sha"]]
    return Row(*fields)


def branch_numbers(sql: sqlite3.Connection, backends: Iterable[str]) -> list[int]:
    wanted = {backend_branch(slug) for slug in backends}
    return [number for number, name in sql.execute("SELECT id, name FROM branches") if name in wanted]


def requests(sql: sqlite3.Connection, chosen: Filter, backends: Collection[str], limit: int) -> list[Row]:
    """Newest first. One more than ``limit`` if there are more."""
    shown = [chosen.backend] if chosen.backend else list(backends)
    numbers = branch_numbers(sql, [slug for slug in shown if slug in backends])
    if not numbers:
        return []
    where, values = [f"branch IN ({','.join('?' * len(numbers))})"], list[Any](numbers)
    for column, value in (
        ("status", chosen.status),
        ("workspace", chosen.workspace),
        ("created_by", chosen.username),
    ):
        if value:
            where.append(f"{column} = ?")
            values.append(value)
    if chosen.before is not None:
        where.append("(requests.created_at, requests.identifier) < (?, ?)")
        values += chosen.before
    if chosen.query:
        found = _search(sql, chosen, numbers, limit)
        where.append(f"requests.identifier IN ({','.join('?' * len(found))})")
        values += found
    order = "INDEXED BY requests_created" if len(where) == 1 + (chosen.before is not None) else ""
    rows = sql.execute(
        f"SELECT {_COLUMNS} FROM requests {order} JOIN branches ON id = branch WHERE {' AND '.join(where)}"
        " ORDER BY requests.created_at DESC, requests.identifier DESC LIMIT ?",
        (*values, limit + 1),
    )
    return [_row(row) for row in rows]


def _search(sql: sqlite3.Connection, chosen: Filter, numbers: Sequence[int], limit: int) -> list[str]:
    """Ids of requests that ``query`` may mean: by id, by a job's id, by an action that contains it; newest first."""
    text = chosen.query.strip().lower()
    found: dict[str, int] = {}
    if len(text) >= 4:
        upper = text + "\U0010ffff"
        for identifier, at in sql.execute(
            "SELECT identifier, created_at FROM requests WHERE identifier >= ? AND identifier < ? LIMIT 100",
            (text, upper),
        ):
            found[identifier] = at
        for identifier, at in sql.execute(
            "SELECT request, created_at FROM jobs WHERE identifier >= ? AND identifier < ?"
            " UNION SELECT request, created_at FROM jobs WHERE identifier = ? LIMIT 100",
            (text, upper, chosen.query.strip()),
        ):
            found[identifier] = at
    before = (chosen.before[0] if chosen.before else 1 << 62) + 86_400_000_000
    where, values = _named(numbers, text, chosen.workspace)
    # Those that ran last come first, and a page shows few: it needs no more than some requests to choose from.
    pairs = sql.execute(
        "SELECT branch, workspace, action, (SELECT max(created_at) FROM jobs WHERE jobs.branch = actions.branch"
        " AND jobs.workspace = actions.workspace AND jobs.action = actions.action AND created_at <= ?) AS newest"
        f" FROM actions WHERE {where} ORDER BY newest DESC",
        (before, *values),
    ).fetchall()
    enough = len(found) + 8 * limit
    each = max(limit + 1, 8 * limit // max(len(pairs), 1))
    for branch, workspace, action, newest in pairs:
        if newest is not None and len(found) < enough:
            rows = sql.execute(
                "SELECT request, created_at FROM jobs WHERE branch=? AND workspace=? AND action=? AND created_at <= ?"
                " ORDER BY created_at DESC LIMIT ?",
                (branch, workspace, action, before, each),
            )
            found.update(rows)
    return sorted(found, key=lambda one: found[one], reverse=True)[: 20 * limit]


def _named(numbers: Sequence[int], text: str, workspace: str = "") -> tuple[str, list[Any]]:
    """(condition on `actions`, its values): those of the branches, and of the workspace, with ``text`` in a name."""
    where = f"branch IN ({','.join('?' * len(numbers))}) AND (instr(lower(action), ?) OR instr(workspace, ?))"
    values = [*numbers, text, text]
    return (f"{where} AND workspace = ?", [*values, workspace]) if workspace else (where, values)


def running(sql: sqlite3.Connection, backends: Collection[str], username: str = "") -> list[Row]:
    """What a runner has to look at, oldest first; of one person, or of everybody."""
    numbers = branch_numbers(sql, backends)
    marks = ",".join("?" * len(numbers))
    extra = " AND created_by = ?" if username else ""
    rows = sql.execute(
        f"SELECT {_COLUMNS} FROM requests JOIN branches ON id = branch WHERE branch IN ({marks}) AND active{extra}"
        " ORDER BY requests.created_at, requests.identifier",
        (*numbers, *([username] if username else [])),
    )
    return [_row(row) for row in rows]


def request(sql: sqlite3.Connection, identifier: str, backends: Collection[str]) -> tuple[Row, list[JobRow]] | None:
    """One with its jobs, in the order they were made."""
    numbers = branch_numbers(sql, backends)
    marks = ",".join("?" * len(numbers))
    found = sql.execute(
        f"SELECT {_COLUMNS}, branch FROM requests JOIN branches ON id = branch"
        f" WHERE requests.identifier = ? AND branch IN ({marks})",
        (identifier, *numbers),
    ).fetchone()
    if found is None:
        return None
    return _row(found), jobs(sql, found[13], identifier)


_JOBS = (
    "identifier, request, action, status, status_code, status_message, created_at, updated_at, started_at,"
    " completed_at, more"
)


def jobs(sql: sqlite3.Connection, branch: int, request_: str) -> list[JobRow]:
    rows = sql.execute(
        f"SELECT {_JOBS} FROM jobs WHERE branch=? AND request=? ORDER BY created_at, identifier", (branch, request_)
    )
    return [_job(row) for row in rows]


def _job(row: Sequence[Any]) -> JobRow:
    fields = [*row[:10], orjson.loads(row[10]) if row[10] else {}]
    return JobRow(*fields)


def requests_with(sql: sqlite3.Connection, job_: str, backends: Collection[str]) -> list[str]:
    """Ids of the job requests that have a job of this id, two at most: each backend's runner names its own jobs."""
    numbers = branch_numbers(sql, backends)
    marks = ",".join("?" * len(numbers))
    rows = sql.execute(
        f"SELECT DISTINCT request FROM jobs WHERE identifier = ? AND branch IN ({marks}) LIMIT 2", (job_, *numbers)
    )
    return [row[0] for row in rows]


def success_before(sql: sqlite3.Connection, row: Row, action: str) -> JobRow | None:
    """The newest success of this action on the same backend and workspace that is older than the request."""
    for number in branch_numbers(sql, [row.backend]):
        found = sql.execute(
            f"SELECT {_JOBS} FROM (SELECT * FROM jobs WHERE branch=? AND workspace=? AND action=? AND created_at < ?"
            f" ORDER BY created_at DESC LIMIT {LOOK_BACK}) WHERE status = 'succeeded' LIMIT 1",
            (number, row.workspace, action, row.created_at),
        ).fetchone()
        if found is not None:
            return _job(found)
    return None


def resolve(sql: sqlite3.Connection, text: str, backends: Collection[str]) -> tuple[Kind, str] | None:
    """The request or the job that a (partial) identifier means, if it means one only.

    A job's may be any word, so that it counts only where no workspace or action is called like it, and if one request
    only has it.
    """
    text = text.strip()
    numbers = branch_numbers(sql, backends)
    if len(text) < 4 or not numbers:
        return None
    marks = ",".join("?" * len(numbers))

    def like(table: str, wanted: str) -> list[str]:
        # By that index: left to itself, SQLite prefers one that begins with the branch, and reads all of it.
        rows = sql.execute(
            f"SELECT DISTINCT identifier FROM {table} INDEXED BY {table}_identifier"
            " WHERE identifier >= ? AND identifier < ?"
            f" AND branch IN ({marks}) ORDER BY identifier LIMIT 2",
            (wanted, wanted + "\U0010ffff", *numbers),
        )
        return [row[0] for row in rows]

    lower = text.lower()
    if len(found := like("requests", lower)) == 1:
        return Kind.REQUEST, found[0]
    where, values = _named(numbers, lower)
    if found or sql.execute(f"SELECT 1 FROM actions WHERE {where} LIMIT 1", values).fetchone():
        return None
    meant = {identifier for wanted in (text, lower) for identifier in like("jobs", wanted)}
    exact = meant & {text, lower}
    meant = exact or meant
    if len(meant) != 1 or len(requests_with(sql, found_ := meant.pop(), backends)) != 1:
        return None
    return Kind.JOB, found_


def previous(sql: sqlite3.Connection, row: Row, backends: Collection[str]) -> Row | None:
    """The request on the same workspace before this one."""
    chosen = Filter(workspace=row.workspace, before=(row.created_at, row.identifier))
    found = requests(sql, chosen, backends, 1)
    return found[0] if found else None


def previous_success(sql: sqlite3.Connection, row: Row, backends: Collection[str]) -> Row | None:
    """The newest one on the same workspace before this one that succeeded, among the last few hundred."""
    numbers = branch_numbers(sql, backends)
    marks = ",".join("?" * len(numbers))
    found = sql.execute(
        "SELECT identifier, branch FROM (SELECT identifier, branch, status FROM requests"
        " WHERE workspace = ? AND (created_at, identifier) < (?, ?)"
        f" ORDER BY created_at DESC, identifier DESC LIMIT {LOOK_BACK}) WHERE status = 'succeeded'"
        f" AND branch IN ({marks}) LIMIT 1",
        (row.workspace, row.created_at, row.identifier, *numbers),
    ).fetchone()
    whole = request(sql, found[0], backends) if found else None
    return whole[0] if whole else None


@dataclass(frozen=True, slots=True)
class Queue:
    """A backend at a glance. ``acknowledged``: requests whose runner has made jobs of them."""

    active: int = 0
    acknowledged: int = 0
    running: int = 0
    oldest_waiting: int | None = None


def queue(sql: sqlite3.Connection, backend: str) -> Queue:
    numbers = branch_numbers(sql, [backend])
    if not numbers:
        return Queue()
    row = sql.execute(
        "SELECT count(*), total(jobs > 0), total(status = 'running'), min(CASE WHEN jobs = 0 THEN created_at END)"
        " FROM requests WHERE branch = ? AND active",
        numbers,
    ).fetchone()
    return Queue(row[0], int(row[1]), int(row[2]), row[3])


# One statement for all actions: there may be thousands.
_LATEST = f"""
SELECT {", ".join(f"jobs.{name.strip()}" for name in _JOBS.split(","))} FROM actions
JOIN jobs ON (jobs.branch, jobs.request, jobs.identifier) = (
    SELECT branch, request, identifier FROM jobs WHERE branch = ?1 AND workspace = ?2 AND action = actions.action
    ORDER BY created_at DESC LIMIT 1
) WHERE actions.branch = ?1 AND actions.workspace = ?2
"""


def latest(sql: sqlite3.Connection, workspace: str, backends: Collection[str]) -> dict[str, JobRow]:
    """action -> its job that was made last, over all requests of the workspace."""
    found: dict[str, JobRow] = {}
    for number in branch_numbers(sql, backends):
        for row in sql.execute(_LATEST, (number, workspace)):
            if row[2] not in found or found[row[2]].created_at < row[6]:
                found[row[2]] = _job(row)
    return found
