"""Gathers the changes of one branch, and writes them to the rows of the index in one transaction.

Writes only the last state of each document: under load, a job changes several times between two writes.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Area, Kind, Place
from jobserver.domain.base.state import Changes
from jobserver.domain.documents import AnyDocument
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.outputs.documents import CheckedRelease
from jobserver.errors import Fault
from jobserver.index.sqlite import rows
from jobserver.index.sqlite.releases import ReleaseKey, write_releases


@dataclass(frozen=True, slots=True)
class Delta:
    """The change of one path: the new document, its faults if it cannot be read, or neither if it is gone."""

    path: str
    document: AnyDocument | None = None
    faults: tuple[Fault, ...] = ()


class PendingUpdate:
    """The changes of one branch, by document. ``touched``: ids of the requests that change. ``cancellers``: as
    `store.read.cancellations` has them, of the commits of these changes."""

    def __init__(self, branch: str) -> None:
        self._branch = branch
        self.touched: set[str] = set()
        self.requests: dict[str, tuple[Place, JobRequest | None]] = {}
        self.areas: dict[str, Area] = {}
        self.jobs: dict[tuple[str, str], Job | None] = {}
        self.faults: dict[str, tuple[Fault, ...]] = {}
        self.releases: dict[ReleaseKey, CheckedRelease | None] = {}
        self.cancellers: Mapping[str, Sequence[str]] = {}

    @property
    def has_cancellations(self) -> bool:
        """Whether these commits can have cancelled something."""
        return any(request is not None and request.cancelled_actions for _, request in self.requests.values())

    def add_changes(self, changes: Changes) -> None:
        """Adds an event of the writer: first its moves, then the documents at their new paths."""
        for move in changes.moves:
            identifier = move.place.identifier
            self.touched.add(identifier)
            self.areas[identifier] = move.to
            if (known := self.requests.get(identifier)) is not None:
                self.requests[identifier] = (known[0].moved(move.to), known[1])
        for change in changes.changes:
            self._add(Delta(change.path, change.after))

    def add_deltas(self, deltas: Iterable[Delta]) -> None:
        """Adds the difference of two trees: first the deleted documents, so that a moved folder keeps its new place."""
        kept = []
        for delta in deltas:
            if delta.document is None:
                self._add(delta)
            else:
                kept.append(delta)
        for delta in kept:
            self._add(delta)

    def _add(self, delta: Delta) -> None:
        self.faults[delta.path] = delta.faults
        where = layout.parse_path(self._branch, delta.path)
        if where is not None and where.kind is Kind.RELEASE:
            workspace, _, name = where.name.partition("/")
            release = delta.document if isinstance(delta.document, CheckedRelease) else None
            self.releases[workspace, name] = release
        if where is None or where.place is None:
            return
        identifier = where.place.identifier
        self.touched.add(identifier)
        if where.kind is Kind.JOB:
            self.jobs[identifier, where.name] = delta.document if isinstance(delta.document, Job) else None
        elif where.kind is Kind.REQUEST:
            request = delta.document if isinstance(delta.document, JobRequest) else None
            self.requests[identifier] = (where.place, request)


def write(sql: sqlite3.Connection, branch: int, gathered: PendingUpdate) -> None:
    """Updates the rows of the branch with this number, in a transaction of the caller."""
    _write_faults(sql, branch, gathered)
    for identifier, (place, request) in gathered.requests.items():
        if request is None:
            sql.execute(
                "DELETE FROM requests WHERE identifier=? AND branch=? AND area=?", (identifier, branch, place.area)
            )
            sql.execute("UPDATE jobs SET workspace=NULL WHERE branch=? AND request=?", (branch, identifier))
        else:
            _put_request(sql, branch, place, request)
    for identifier, area in gathered.areas.items():
        sql.execute("UPDATE requests SET area=? WHERE identifier=? AND branch=?", (area, identifier, branch))
    _write_jobs(sql, branch, gathered)
    _summarise(sql, branch, gathered.touched)
    write_releases(sql, branch, gathered.releases)
    add_cancellers(sql, branch, gathered.cancellers)


def add_cancellers(sql: sqlite3.Connection, branch: int, cancellers: Mapping[str, Sequence[str]]) -> None:
    """Adds those who cancelled actions of these requests to those of earlier commits."""
    for identifier, usernames in cancellers.items():
        row = sql.execute("SELECT cancelled_by FROM requests WHERE identifier=? AND branch=?", (identifier, branch))
        for (known,) in row.fetchall():
            names = dict.fromkeys([*filter(None, known.split(",")), *usernames])
            sql.execute(
                "UPDATE requests SET cancelled_by=? WHERE identifier=? AND branch=?",
                (",".join(names), identifier, branch),
            )


def _write_faults(sql: sqlite3.Connection, branch: int, gathered: PendingUpdate) -> None:
    if sql.execute("SELECT 1 FROM faults WHERE branch=? LIMIT 1", (branch,)).fetchone():
        sql.executemany("DELETE FROM faults WHERE branch=? AND path=?", ((branch, path) for path in gathered.faults))
    sql.executemany(
        "INSERT INTO faults VALUES (?,?,?,?,?)",
        (
            (branch, path, fault.line, fault.key, fault.message)
            for path, faults in gathered.faults.items()
            for fault in faults
        ),
    )


def _put_request(sql: sqlite3.Connection, branch: int, place: Place, request: JobRequest) -> None:
    sql.execute(
        f"INSERT INTO requests ({rows.REQUEST_COLUMNS}, {rows.SUMMARY_COLUMNS})"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?, 0,'unknown',0,0,NULL,NULL,NULL)"
        " ON CONFLICT (identifier, branch) DO UPDATE SET area=excluded.area, day=excluded.day,"
        " workspace=excluded.workspace, project=excluded.project, created_by=excluded.created_by,"
        " created_at=excluded.created_at, sha=excluded.sha, first_action=excluded.first_action,"
        " item=excluded.item",
        rows.request_row(branch, place, request),
    )
    sql.execute(
        "UPDATE jobs SET workspace=?1 WHERE branch=?2 AND request=?3 AND workspace IS NOT ?1",
        (request.workspace.name, branch, request.identifier),
    )


# Many rows go in by one statement each: SQLite then works without the interpreter, which the writer needs meanwhile.
_PUT_JOBS = f"""
INSERT INTO jobs ({rows.JOB_COLUMNS})
SELECT ?1, json_extract(value, '$[0]'), json_extract(value, '$[1]'),
    (SELECT workspace FROM requests WHERE identifier = json_extract(value, '$[0]') AND branch = ?1),
    {", ".join(f"json_extract(value, '$[{index}]')" for index in range(2, 11))}
FROM json_each(?2) WHERE true
ON CONFLICT (branch, request, identifier) DO UPDATE SET workspace = excluded.workspace, action = excluded.action,
    status = excluded.status, status_code = excluded.status_code, status_message = excluded.status_message,
    created_at = excluded.created_at, updated_at = excluded.updated_at, started_at = excluded.started_at,
    completed_at = excluded.completed_at, more = excluded.more
"""


def _write_jobs(sql: sqlite3.Connection, branch: int, gathered: PendingUpdate) -> None:
    gone = [(branch, *key) for key, job in gathered.jobs.items() if job is None]
    sql.executemany("DELETE FROM jobs WHERE branch=? AND request=? AND identifier=?", gone)
    written = [(identifier, *rows.job_values(job)) for (identifier, _), job in gathered.jobs.items() if job is not None]
    sql.execute(_PUT_JOBS, (branch, orjson.dumps(written).decode()))


def _summarise(sql: sqlite3.Connection, branch: int, identifiers: Iterable[str]) -> None:
    """Updates the columns of the requests that follow from their jobs."""
    sql.execute(rows.SUMMARISE, (branch, orjson.dumps(list(identifiers)).decode()))
