"""Queries for job requests. Times are microseconds since 1970."""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from jobserver.domain.base import identifiers
from jobserver.domain.base.layout import branch_backend
from jobserver.domain.job_requests import outcomes, refs
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.pipeline.graph import RUN_ALL
from jobserver.index.queries.branches import LOOK_BACK, branch_numbers, marks
from jobserver.index.queries.jobs import JobRow, jobs_of_request

COLUMNS = (
    "requests.identifier, name, workspace, project, created_by, requests.created_at, outcome, jobs, succeeded,"
    " started_at, completed_at, updated_at, cancelled_by, item, branch"
)
_EARLIER = 50
RequestItem: TypeAlias = tuple[dict[str, Any], list[JobRow], Sequence[str]]
"""A job request as the API has it, its jobs, and who cancelled actions of it."""
_FROM = f"SELECT {COLUMNS} FROM requests JOIN branches ON id = branch"
# By that index: SQLite would prefer one of all requests of a branch, and read them all.
ACTIVE = "requests INDEXED BY requests_active"
ALL_ACTIVE = f"main.{ACTIVE}"
"""Also those that the reader may not see, for numbers (`index.sqlite.limited`)."""


@dataclass(frozen=True, slots=True)
class JobRequestRow:
    """A job request in a list. ``jobs`` and ``succeeded`` are numbers of jobs. ``cancelled``: actions, by the persons
    ``cancelled_by``."""

    identifier: str
    backend: str
    workspace: str
    project: str | None
    created_by: str
    created_at: int
    outcome: str
    jobs: int
    succeeded: int
    started_at: int | None
    completed_at: int | None
    updated_at: int | None
    cancelled_by: tuple[str, ...]
    actions: tuple[str, ...]
    cancelled: tuple[str, ...]
    sha: str
    rerun_of: str | None = None
    note: str = ""
    commit_subject: str = ""
    ref: str = ""

    @property
    def chosen(self) -> str:
        """What the person chose, in words; empty for the newest commit of the workspace's branch."""
        return "chosen commit" if self.ref == self.sha else refs.in_words(self.ref)

    @property
    def title(self) -> str:
        """What tells it from others that ran all actions: the commit's subject. Empty if its actions do, or without
        one."""
        return self.commit_subject if self.actions == (RUN_ALL,) else ""

    @property
    def had_nothing_to_do(self) -> bool:
        """Whether its actions had succeeded before. Not known here of runners that report a start all the same."""
        return self.outcome == "succeeded" and self.started_at is None

    @property
    def is_finished(self) -> bool:
        return self.outcome in outcomes.ENDED


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """An empty field matches everything. ``before``: (created_at, identifier) of the last row of the previous page."""

    workspace: str = ""
    username: str = ""
    before: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """The unfinished requests of a backend. ``acknowledged``: those that the runner has created jobs for."""

    active: int = 0
    acknowledged: int = 0
    running: int = 0
    oldest_waiting: int | None = None


def request_row(values: Sequence[Any]) -> JobRequestRow:
    """Of COLUMNS."""
    item = orjson.loads(values[13])
    fields = [values[0], branch_backend(values[1]), *values[2:12], tuple(values[12].split(",")) if values[12] else ()]
    fields += [tuple(item["requested_actions"]), tuple(item["cancelled_actions"]), item["sha"], item.get("rerun_of")]
    fields += [item.get("note", ""), item.get("commit_subject", ""), item.get("ref", "")]
    return JobRequestRow(*fields)


def active_items(sql: sqlite3.Connection, backend: str) -> list[tuple[dict[str, Any], int]]:
    """Every unfinished request of the backend as the API has it, and how many jobs it has."""
    numbers = branch_numbers(sql, [backend])
    rows = sql.execute(f"SELECT item, jobs FROM {ACTIVE} WHERE branch IN ({marks(numbers)}) AND active", numbers)
    return [(orjson.loads(item), jobs) for item, jobs in rows]


def list_requests(
    sql: sqlite3.Connection, chosen: RequestFilter, backends: Collection[str], limit: int
) -> list[JobRequestRow]:
    """Newest first. Returns one more than ``limit`` if there are more."""
    numbers = branch_numbers(sql, backends)
    where, values = [f"branch IN ({marks(numbers)})"], list[Any](numbers)
    for column, value in (("workspace", chosen.workspace), ("created_by", chosen.username)):
        if value:
            where.append(f"{column} = ?")
            values.append(value)
    if chosen.before is not None:
        where.append("(requests.created_at, requests.identifier) < (?, ?)")
        values += chosen.before
    # SQLite would take the index of the branches, and read all of a backend's requests for a person who has made none.
    index = "person" if chosen.username else "workspace" if chosen.workspace else "created"
    rows = sql.execute(
        f"SELECT {COLUMNS} FROM requests INDEXED BY requests_{index} JOIN branches ON id = branch"
        f" WHERE {' AND '.join(where)}"
        " ORDER BY requests.created_at DESC, requests.identifier DESC LIMIT ?",
        (*values, limit + 1),
    )
    return [request_row(row) for row in rows]


def active_requests(sql: sqlite3.Connection, backends: Collection[str], username: str = "") -> list[JobRequestRow]:
    """The requests that are not finished, oldest first: of one person, or of everybody."""
    numbers = branch_numbers(sql, backends)
    extra = " AND created_by = ?" if username else ""
    rows = sql.execute(
        f"SELECT {COLUMNS} FROM {ACTIVE} JOIN branches ON id = branch"
        f" WHERE branch IN ({marks(numbers)}) AND active{extra}"
        " ORDER BY requests.created_at, requests.identifier",
        (*numbers, *([username] if username else [])),
    )
    return [request_row(row) for row in rows]


def first_in_queue(sql: sqlite3.Connection, backend: str, most: int) -> list[JobRequestRow]:
    """The first ``most`` unfinished requests of a backend."""
    rows = sql.execute(
        f"SELECT {COLUMNS} FROM {ACTIVE} JOIN branches ON id = branch WHERE branch = ? AND active"
        " ORDER BY requests.created_at, requests.identifier LIMIT ?",
        (*branch_numbers(sql, [backend]), most),
    )
    return [request_row(row) for row in rows]


def requests_ahead(sql: sqlite3.Connection, row: JobRequestRow, most: int) -> tuple[int, list[JobRequestRow]]:
    """Unfinished requests on the same backend that were requested earlier: their number, and the first ``most``."""
    values = (*branch_numbers(sql, [row.backend]), row.created_at, row.identifier)
    where = "branch = ? AND active AND (requests.created_at, requests.identifier) < (?, ?)"
    (count,) = sql.execute(f"SELECT count(*) FROM {ALL_ACTIVE} WHERE {where}", values).fetchone()
    rows = sql.execute(
        f"SELECT {COLUMNS} FROM {ACTIVE} JOIN branches ON id = branch WHERE {where}"
        " ORDER BY requests.created_at, requests.identifier LIMIT ?",
        (*values, most),
    )
    return int(count), [request_row(row) for row in rows]


def _find(sql: sqlite3.Connection, identifier: str, backends: Collection[str]) -> Sequence[Any] | None:
    numbers = branch_numbers(sql, backends)
    row: Sequence[Any] | None = sql.execute(
        f"{_FROM} WHERE requests.identifier = ? AND branch IN ({marks(numbers)})", (identifier, *numbers)
    ).fetchone()
    return row


def find_row(sql: sqlite3.Connection, identifier: str, backends: Collection[str]) -> JobRequestRow | None:
    """A job request without its jobs."""
    row = _find(sql, identifier, backends)
    return None if row is None else request_row(row)


def find_request(
    sql: sqlite3.Connection, identifier: str, backends: Collection[str]
) -> tuple[JobRequestRow, list[JobRow]] | None:
    """A job request with its jobs, oldest first."""
    row = _find(sql, identifier, backends)
    return None if row is None else (request_row(row), jobs_of_request(sql, row[14], identifier))


def find_item(sql: sqlite3.Connection, identifier: str, backends: Collection[str]) -> RequestItem | None:
    row = _find(sql, identifier, backends)
    if row is None:
        return None
    return orjson.loads(row[13]), jobs_of_request(sql, row[14], identifier), request_row(row).cancelled_by


def items_of(
    sql: sqlite3.Connection, identifiers: Collection[str], backends: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Job request -> the item that a runner gets."""
    numbers = branch_numbers(sql, backends)
    rows = sql.execute(
        f"SELECT identifier, item FROM requests WHERE identifier IN ({marks(identifiers)})"
        f" AND branch IN ({marks(numbers)})",
        (*identifiers, *numbers),
    )
    return {identifier: orjson.loads(item) for identifier, item in rows}


def has_unarchived(sql: sqlite3.Connection, branch: str) -> bool:
    """Whether a push finished a job request that is still in ``active/``."""
    row = sql.execute(
        "SELECT 1 FROM requests INDEXED BY requests_unmoved WHERE branch = (SELECT id FROM branches WHERE name=?)"
        " AND area = 'active' AND NOT active LIMIT 1",
        (branch,),
    )
    return row.fetchone() is not None


def previous_request(sql: sqlite3.Connection, row: JobRequestRow, backends: Collection[str]) -> JobRequestRow | None:
    """The previous request on the same workspace."""
    chosen = RequestFilter(workspace=row.workspace, before=(row.created_at, row.identifier))
    rows = list_requests(sql, chosen, backends, 1)
    return rows[0] if rows else None


def earlier_outcome(sql: sqlite3.Connection, request: JobRequest) -> str:
    """The outcome of the last finished request of the same actions, among the `_EARLIER` before this one; empty without
    one."""
    before = (identifiers.micros(request.created_at), request.identifier)
    chosen = RequestFilter(workspace=request.workspace.name, before=before)
    actions = set(request.requested_actions)
    for row in list_requests(sql, chosen, [request.backend], _EARLIER):
        if row.completed_at is not None and set(row.actions) == actions:
            return row.outcome
    return ""


def previous_success(sql: sqlite3.Connection, row: JobRequestRow, backends: Collection[str]) -> JobRequestRow | None:
    """The newest earlier request on the same workspace that ran and succeeded, among the last `LOOK_BACK`."""
    numbers = branch_numbers(sql, backends)
    match = sql.execute(
        "SELECT identifier, branch FROM (SELECT identifier, branch, outcome, started_at FROM requests"
        " WHERE workspace = ? AND (created_at, identifier) < (?, ?)"
        f" ORDER BY created_at DESC, identifier DESC LIMIT {LOOK_BACK}) WHERE outcome = 'succeeded'"
        f" AND started_at IS NOT NULL AND branch IN ({marks(numbers)}) LIMIT 1",
        (row.workspace, row.created_at, row.identifier, *numbers),
    ).fetchone()
    success = _find(sql, match[0], backends) if match else None
    return request_row(success) if success else None


def queue(sql: sqlite3.Connection, backend: str) -> Queue:
    numbers = branch_numbers(sql, [backend])
    if not numbers:
        return Queue()
    row = sql.execute(
        "SELECT count(*), total(jobs > 0), total(outcome = 'running'), min(CASE WHEN jobs = 0 THEN created_at END)"
        f" FROM {ALL_ACTIVE} WHERE branch = ? AND active",
        numbers,
    ).fetchone()
    return Queue(row[0], int(row[1]), int(row[2]), row[3])
