"""Job requests of the old server with their jobs, as documents.

Both tables are read at once, by the request's id, so that an import of any size takes little memory.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from jobserver.domain.base import identifiers, names
from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.state import Origin
from jobserver.domain.base.validation import checked
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import Job, cut_message
from jobserver.domain.job_requests.pipelines import StoredPipeline
from jobserver.domain.job_requests.requests import JobRequest, RequestedWorkspace
from jobserver.domain.pipeline.graph import RUN_ALL
from jobserver.errors import Error
from jobserver.service.imports import database as tables
from jobserver.service.imports.context import EPOCH, UNKNOWN_BACKEND, ImportContext, origin
from jobserver.service.imports.database import Row
from jobserver.service.imports.pipelines import imported_pipeline
from jobserver.service.imports.values import json_of, line_of, list_of, text_of, time_of

_JOB_ID = re.compile(names.JOB_ID)
_SHA = re.compile(names.SHA)
_NO_ACTION = re.compile(r"[^A-Za-z0-9_.-]")
_NO_SHA = "0" * 40
_CUT = "the import"
# The overall status of a request without jobs, in the schema of 2026 -> (status, action) of the job that stands for it.
_WITHOUT_JOBS = {"nothing_to_do": ("succeeded", ""), "succeeded": ("succeeded", ""), "failed": ("failed", "__error__")}


@dataclass(frozen=True, slots=True)
class ImportedRequest:
    """A job request with its jobs. ``row``: such as ``jobserver_jobrequest/7``."""

    place: Place
    request: JobRequest
    pipeline: StoredPipeline
    jobs: tuple[Job, ...]
    origin: Origin
    row: str


class Requests:
    """``requested``: see `ImportedWorkspaces`."""

    def __init__(self, context: ImportContext, requested: dict[object, tuple[RequestedWorkspace, str | None]]) -> None:
        self._context, self._requested = context, requested
        self._database, self._notes = context.database, context.notes
        self._identifiers: set[str] = set()
        self._job_ids: set[str] = set()

    def all(self) -> Iterator[ImportedRequest]:
        """In the order of their ids, without those that can't be taken."""
        jobs = groupby(self._database.rows(tables.JOBS, "job_request_id, id"), lambda row: row["job_request_id"])
        key, group = next(jobs, (None, iter(())))
        for row in self._database.rows(tables.REQUESTS):
            while key is not None and key < row["id"]:  # jobs of a request that is gone
                self._lost(group)
                key, group = next(jobs, (None, iter(())))
            own: list[Row] = []
            if key == row["id"]:
                own = list(group)
                key, group = next(jobs, (None, iter(())))
            try:
                request = self._request(row, own)
            except Error as error:
                self._context.not_taken(tables.REQUESTS, row["id"], error)
                continue
            if request is not None:
                yield request
        while key is not None:
            self._lost(group)
            key, group = next(jobs, (None, iter(())))

    def _lost(self, rows: Iterator[Row]) -> None:
        for row in rows:
            self._notes.add(tables.JOBS, row["id"], "job_request_id", "names no job request", "not taken")

    def _request(self, row: Row, job_rows: Sequence[Row]) -> ImportedRequest | None:
        key = row["id"]
        if row.get("workspace_id") not in self._requested:
            self._note(key, "workspace_id", "names no workspace", "not taken")
            return None
        workspace, project = self._requested[row["workspace_id"]]
        created_at = time_of(row.get("created_at"))
        if created_at is None:
            created_at = min(filter(None, (time_of(job.get("created_at")) for job in job_rows)), default=EPOCH)
            self._note(key, "created_at", "is no time", f"takes '{created_at:%Y-%m-%d}'")
        actions = self._actions(row, job_rows)
        cancelled = self._texts(row, "cancelled_actions")
        backend = self._context.backends.get(row.get("backend_id"))
        if backend is None:
            backend = UNKNOWN_BACKEND
            self._note(key, "backend_id", "names no backend", f"takes {UNKNOWN_BACKEND!r}")
        request = checked(
            JobRequest,
            {
                "identifier": self._identifier(row, created_at),
                "backend": backend,
                "created_by": self._context.person(tables.REQUESTS, key, "created_by_id", row.get("created_by_id")),
                "created_at": created_at,
                "sha": self._sha(row),
                "requested_actions": actions,
                "cancelled_actions": tuple(dict.fromkeys(filter(names.is_action, cancelled))),
                "force_run_dependencies": bool(row.get("force_run_dependencies")),
                "database_name": workspace.db,
                "codelists_ok": bool(row.get("codelists_ok", True)),
                "will_notify": bool(row.get("will_notify")),
                "workspace": workspace,
                "project": project,
            },
        )
        jobs = self._jobs(row, request, job_rows)
        area = Area.ARCHIVE if lifecycle.finished(jobs) else Area.ACTIVE
        pipeline = imported_pipeline(text_of(row.get("project_definition"), 2**31), request, jobs)
        created = origin(self._context.users.get(row.get("created_by_id")), created_at)
        place = Place(area, created_at.date(), request.identifier)
        return ImportedRequest(place, request, pipeline, jobs, created, f"{tables.REQUESTS}/{key}")

    def _note(self, row: object, column: str, problem: str, action: str) -> None:
        self._notes.add(tables.REQUESTS, row, column, problem, action)

    def _texts(self, row: Row, column: str) -> list[str]:
        return [item for item in list_of(row.get(column)) if isinstance(item, str)]

    def _identifier(self, row: Row, created_at: datetime) -> str:
        old = text_of(row.get("identifier"))
        name = old
        if not identifiers.is_request_id(old) or old in self._identifiers:
            name = identifiers.request_id(max(identifiers.micros(created_at), 0), int(row["id"]))
            problem = "is another request's too" if old in self._identifiers else "is no identifier"
            self._note(row["id"], "identifier", f"{old!r:.80} {problem}", f"takes {name!r}")
        self._identifiers.add(name)
        return name

    def _sha(self, row: Row) -> str:
        old = line_of(row.get("sha")).lower()
        if _SHA.fullmatch(old):
            return old
        self._note(row["id"], "sha", f"{old!r:.80} is no commit", f"takes {_NO_SHA!r}")
        return _NO_SHA

    def _actions(self, row: Row, jobs: Sequence[Row]) -> tuple[str, ...]:
        old = self._texts(row, "requested_actions")
        actions = tuple(dict.fromkeys(filter(names.is_action, (_NO_ACTION.sub("_", name)[:128] for name in old))))
        if not actions:
            reported = [text_of(job.get("action")) for job in jobs]
            actions = tuple(dict.fromkeys(filter(names.is_action, reported))) or (RUN_ALL,)
        if list(actions) != old:
            self._note(row["id"], "requested_actions", f"{old!r:.80} are not all actions", f"takes '{actions!r:.80}'")
        return actions

    def _jobs(self, row: Row, request: JobRequest, rows: Sequence[Row]) -> tuple[Job, ...]:
        if rows:
            return tuple(job for job_row in rows if (job := self._job(job_row, request)) is not None)
        overall = str(row.get("_status") or "")
        if overall not in _WITHOUT_JOBS:
            return ()
        status, action = _WITHOUT_JOBS[overall]
        self._note(row["id"], "_status", f"is {overall}, and there are no jobs", f"takes a job that has '{status}'")
        return (
            Job(
                identifier=self._job_id(tables.REQUESTS, row, f"job-server-request-{row['id']}"),
                action=action or request.requested_actions[0],
                status="succeeded" if status == "succeeded" else "failed",
                status_code=overall,
                status_message=cut_message(text_of(row.get("status_message")), _CUT),
                created_at=request.created_at,
                updated_at=request.created_at,
                started_at=None,
                completed_at=request.created_at,
            ),
        )

    def _job(self, row: Row, request: JobRequest) -> Job | None:
        times = {name: time_of(row.get(name)) for name in lifecycle.TIMES}
        status = self._status(row, times["completed_at"])
        message = text_of(row.get("status_message"))
        if status != str(row.get("status") or "").lower():
            message = f"job-server's status was {row.get('status')!r}. {message}".strip()
        try:
            return checked(
                Job,
                {
                    **times,
                    "created_at": times["created_at"] or request.created_at,
                    "identifier": self._job_id(tables.JOBS, row, text_of(row.get("identifier"))),
                    "action": text_of(row.get("action")),
                    "status": status,
                    "status_code": text_of(row.get("status_code")),
                    "status_message": cut_message(message, _CUT),
                    "run_command": text_of(row.get("run_command")) or None,
                    "trace_context": self._map(row, "trace_context"),
                    "metrics": self._map(row, "metrics"),
                },
            )
        except Error as error:
            self._context.not_taken(tables.JOBS, row["id"], error)
            return None

    def _status(self, row: Row, completed_at: datetime | None) -> str:
        old = str(row.get("status") or "")
        status = old.lower()
        if status not in lifecycle.STATUSES:
            status = "pending" if completed_at is None else "failed"
            self._notes.add(tables.JOBS, row["id"], "status", f"{old!r:.80} is no status", f"takes {status!r}")
        elif (status in lifecycle.FINISHED) != (completed_at is not None):
            problem = f"is {'missing' if completed_at is None else 'there'}, and the job is {status}"
            listed = "not active" if status in lifecycle.FINISHED else "active"
            self._notes.add(tables.JOBS, row["id"], "completed_at", problem, f"counts as {listed}")
        return status

    def _job_id(self, table: str, row: Row, old: str) -> str:
        name = old
        if not _JOB_ID.fullmatch(old) or old in self._job_ids:
            name = f"job-server-{row['id']}"
            problem = "is another job's too" if old in self._job_ids else "is no identifier"
            self._notes.add(table, row["id"], "identifier", f"{old!r:.80} {problem}", f"takes {name!r}")
        self._job_ids.add(name)
        return name

    def _map(self, row: Row, column: str) -> Any:
        value = json_of(row.get(column))
        return value if isinstance(value, dict) else None
