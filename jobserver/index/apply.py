"""Changes of one branch, applied to the index's rows within a transaction that the caller holds."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from jobserver.domain import names
from jobserver.domain.documents import AnyDocument, Job, JobRequest
from jobserver.domain.names import Kind, Place
from jobserver.domain.state import Changes
from jobserver.errors import Fault
from jobserver.index import rows


@dataclass(frozen=True, slots=True)
class Delta:
    """What became of one path: a document, faults where it can't be read, or neither: it is gone."""

    path: str
    document: AnyDocument | None = None
    faults: tuple[Fault, ...] = ()


class Rows:
    """The rows of one branch of a backend. ``touched`` collects the ids of requests that anything changed for."""

    def __init__(self, connection: sqlite3.Connection, branch: int, branch_name: str) -> None:
        self._sql, self._branch, self._name = connection, branch, branch_name
        self.touched: set[str] = set()

    def apply_changes(self, changes: Changes) -> None:
        """An event as the writer knows it: moves first, then documents at their new paths."""
        for move in changes.moves:
            self._sql.execute(
                "UPDATE requests SET area=? WHERE identifier=? AND branch=?",
                (move.to.value, move.place.identifier, self._branch),
            )
            self.touched.add(move.place.identifier)
        for change in changes.changes:
            self._one(Delta(change.path, change.after))

    def apply_deltas(self, deltas: Iterable[Delta]) -> None:
        """The difference of two trees: what is gone first, so that a moved folder ends up where it went; requests
        before jobs, which take their workspace from them."""
        kept = []
        for delta in deltas:
            if delta.document is None:
                self._one(delta)
            else:
                kept.append(delta)
        for delta in sorted(kept, key=lambda delta: not isinstance(delta.document, JobRequest)):
            self._one(delta)

    def finish(self) -> None:
        """Brings what follows from the jobs in step, for every touched request."""
        for identifier in self.touched:
            area = self._sql.execute(
                "SELECT area FROM requests WHERE identifier=? AND branch=?", (identifier, self._branch)
            ).fetchone()
            if area is None:
                continue
            jobs = self._sql.execute(
                "SELECT status, started_at, completed_at, updated_at FROM jobs WHERE branch=? AND request=?",
                (self._branch, identifier),
            ).fetchall()
            self._sql.execute(
                f"UPDATE requests SET ({rows.SUMMARY_COLUMNS}) = (?,?,?,?,?,?,?) WHERE identifier=? AND branch=?",
                (*rows.summary(area[0], jobs), identifier, self._branch),
            )

    def _one(self, delta: Delta) -> None:
        where = names.parse_path(self._name, delta.path)
        self._faults(delta)
        if where is None or where.place is None:
            return
        self.touched.add(where.place.identifier)
        match where.kind, delta.document:
            case Kind.REQUEST, JobRequest() as request:
                self._put_request(where.place, request)
            case Kind.JOB, Job() as job:
                self._put_job(where.place, job)
            case Kind.REQUEST, _:
                self._sql.execute(
                    "DELETE FROM requests WHERE identifier=? AND branch=? AND area=?",
                    (where.name, self._branch, where.place.area.value),
                )
                self._sql.execute(
                    "UPDATE jobs SET workspace=NULL WHERE branch=? AND request=?", (self._branch, where.name)
                )
            case _:
                self._sql.execute(
                    "DELETE FROM jobs WHERE branch=? AND request=? AND identifier=?",
                    (self._branch, where.place.identifier, where.name),
                )

    def _faults(self, delta: Delta) -> None:
        self._sql.execute("DELETE FROM faults WHERE branch=? AND path=?", (self._branch, delta.path))
        self._sql.executemany(
            "INSERT INTO faults VALUES (?,?,?,?,?)",
            [(self._branch, delta.path, fault.line, fault.key, fault.message) for fault in delta.faults],
        )

    def _put_request(self, place: Place, request: JobRequest) -> None:
        row = rows.request_row(self._branch, place, request)
        self._sql.execute(
            f"INSERT INTO requests ({rows.REQUEST_COLUMNS}, {rows.SUMMARY_COLUMNS})"
            " VALUES (?,?,?,?,?,?,?,?,?, 0,'unknown',0,0,NULL,NULL,NULL)"
            " ON CONFLICT (identifier, branch) DO UPDATE SET area=excluded.area, day=excluded.day,"
            " workspace=excluded.workspace, project=excluded.project, created_by=excluded.created_by,"
            " created_at=excluded.created_at, item=excluded.item",
            row,
        )
        self._sql.execute(
            "UPDATE jobs SET workspace=?1 WHERE branch=?2 AND request=?3 AND workspace IS NOT ?1",
            (request.workspace.name, self._branch, request.identifier),
        )

    def _put_job(self, place: Place, job: Job) -> None:
        found = self._sql.execute(
            "SELECT workspace FROM requests WHERE identifier=? AND branch=?", (place.identifier, self._branch)
        ).fetchone()
        row = rows.job_row(self._branch, place.identifier, found[0] if found else None, job)
        self._sql.execute(
            f"INSERT OR REPLACE INTO jobs ({rows.JOB_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            row,
        )
