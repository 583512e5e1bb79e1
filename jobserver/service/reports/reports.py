"""Takes a report of jobs into the record, and notes what it says about who sent it."""

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from jobserver import logs
from jobserver.domain.base.identifiers import is_request_id
from jobserver.domain.base.layout import backend_branch
from jobserver.domain.base.permissions import Actor
from jobserver.domain.job_requests.jobs import Job, UpdateJobs
from jobserver.errors import invalid
from jobserver.index.index import Index
from jobserver.index.queries.jobs import other_owner
from jobserver.service.presence import Presence
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.idempotency import Key
from jobserver.store.write.submission import WriteResult

_log = logging.getLogger(__name__)


class Reports:
    """Thread-safe."""

    def __init__(self, gate: Gate, index: Index, live: Presence) -> None:
        self._gate, self._index, self._live = gate, index, live
        self._skipped: dict[str, list[str]] = {}

    def take(self, backend: Actor, jobs: Sequence[tuple[str, Job]], via: str, key: Key | None = None) -> WriteResult:
        """``jobs``: (identifier of the job request, job), with all jobs of each request. Raises `Error`."""
        with contextlib.suppress(sqlite3.Error):  # an unreadable index does not stop a report
            self._check_owners(backend.name, jobs)
        written = self._gate.submit(backend, UpdateJobs(backend.name, tuple(jobs)), via, key)
        if written.changed and (request := logs.current()) is not None:
            request.job_traces |= _traces(job for _, job in jobs)
        self._note(backend.name, written.changes.result)
        return written

    def _note(self, slug: str, result: Mapping[str, Any]) -> None:
        """For the log and the status page: what was not recorded as the report has it."""
        skipped = result.get("skipped", [])
        if skipped and skipped != self._skipped.get(slug):
            shown = ", ".join(skipped[:10])
            _log.warning(
                "backend %s: the server has newer reports of %d jobs, and skipped these: %s", slug, len(skipped), shown
            )
        self._skipped[slug] = skipped
        self._live.record_report(slug, result.get("ahead", timedelta()), result.get("twice", ()))

    def _check_owners(self, slug: str, jobs: Sequence[tuple[str, Job]]) -> None:
        """Checks that no job's ID belongs to another request; the writer knows only the jobs of active requests.

        Raises `Error` (invalid).
        """
        claims = {job.identifier: request for request, job in jobs if is_request_id(request)}
        with self._index.peek() as sql:
            taken = other_owner(sql, backend_branch(slug), claims)
        if taken is not None:
            raise invalid(f"job {taken[0]} belongs to job request {taken[1]}", "identifier")


def _traces(jobs: Iterable[Job]) -> set[str]:
    """The W3C traceparents that the runner sent with its jobs."""
    traces = ((job.trace_context or {}).get("traceparent") for job in jobs)
    return {trace for trace in traces if isinstance(trace, str)}
