"""POST /api/v2/jobs/: a runner's report, in the format of the runners of 2021 or of 2025 (job-server's API)."""

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from bottle import HTTPResponse

from jobserver import logs
from jobserver.domain.base.layout import backend_branch
from jobserver.domain.base.permissions import Actor
from jobserver.domain.job_requests.jobs import Job, UpdateJobs
from jobserver.domain.job_requests.lifecycle import STATUSES
from jobserver.errors import MAX_FAULTS, Error, invalid
from jobserver.index.queries.jobs import job_owners
from jobserver.index.queries.requests import has_request
from jobserver.web import http
from jobserver.web.api import storable
from jobserver.web.api.common import Keys, require_backend
from jobserver.web.api.fields import kind
from jobserver.web.services import Services

_NOT_BLANK = ("job_request_id", "identifier", "status")
_TEXTS = (*_NOT_BLANK, "action", "status_code", "status_message")
_TIMES = ("created_at", "updated_at", "started_at", "completed_at")
_REQUIRED = (*_TEXTS, *_TIMES)
_PER_QUERY = 500  # ids in one query
_NAMED = 100  # jobs that an answer names as altered or skipped
_log = logging.getLogger(__name__)
_Problems = dict[str, list[str]]


class JobsApi:
    def __init__(self, services: Services, keys: Keys) -> None:
        self._gate, self._index, self._live, self._keys = services.gate, services.index, services.live, keys
        self._skipped: dict[str, list[str]] = {}

    def report(self, actor: Actor) -> HTTPResponse:
        require_backend(actor)
        body = http.read_body()
        key = self._keys.of(actor, body)
        data, repaired = storable.read(body)
        if not isinstance(data, list):
            return http.answer({"non_field_errors": [f"expected a list of jobs, found {kind(data)}"]}, 400)
        jobs, problems, altered = read_jobs(data)
        if any(problems):
            return http.answer(problems, 400)
        with contextlib.suppress(sqlite3.Error):  # an unreadable index does not stop a report
            self._check_owners(actor.name, jobs)
        command = UpdateJobs(actor.name, tuple(jobs))
        written = self._gate.submit(actor, command, "http", key)
        if written.changed and (request := logs.current()) is not None:
            request.job_traces |= _traces(job for _, job in jobs)
        reply = {"status": "success", **self._remarks(actor.name, written.changes.result)}
        if repaired:
            reply["repaired"] = repaired
        if altered:
            reply["altered"] = dict(islice(altered.items(), _NAMED))
        return http.written(reply, written.commit)

    def _remarks(self, slug: str, result: Mapping[str, Any]) -> dict[str, Any]:
        """For the answer, the log and the status page: what the server did not record as the report has it."""
        skipped, ahead = result.get("skipped", []), result.get("ahead", timedelta())
        if skipped and skipped != self._skipped.get(slug):
            shown = ", ".join(skipped[:10])
            _log.warning(
                "backend %s: the server has newer reports of %d jobs, and skipped these: %s", slug, len(skipped), shown
            )
        self._skipped[slug] = skipped
        self._live.record_report(slug, ahead, result.get("twice", ()))
        remarks = {"ignored": result.get("ignored"), "skipped": skipped[:_NAMED]}
        if ahead:
            remarks["clock"] = (
                f"{ahead.total_seconds():.0f} s ahead of the server's; times in the future were replaced by now"
            )
        return {key: value for key, value in remarks.items() if value}

    def _check_owners(self, slug: str, jobs: Sequence[tuple[str, Job]]) -> None:
        """Checks that no job's ID belongs to another request; the writer knows only the jobs of active requests.

        Raises `Error` (invalid).
        """
        branch = backend_branch(slug)
        claimed = {job.identifier: request for request, job in jobs}
        names = list(claimed)
        with self._index.peek() as sql:
            known: dict[str, str] = {}
            for start in range(0, len(names), _PER_QUERY):
                known |= job_owners(sql, branch, names[start : start + _PER_QUERY])
            for job, owner in known.items():
                if owner != claimed[job] and has_request(sql, branch, claimed[job]):
                    raise invalid(f"job {job} belongs to job request {owner}", "identifier")


def _traces(jobs: Iterable[Job]) -> set[str]:
    """The W3C traceparents that the runner sent with its jobs."""
    traces = ((job.trace_context or {}).get("traceparent") for job in jobs)
    return {trace for trace in traces if isinstance(trace, str)}


def read_jobs(data: Sequence[Any]) -> tuple[list[tuple[str, Job]], list[_Problems], dict[str, storable.Done]]:
    """(pairs of a request's ID and a job; for each element, the reasons by wrong field; by job, the altered fields).

    Stops after MAX_FAULTS faults; then one more element says so.
    """
    jobs: list[tuple[str, Job]] = []
    altered: dict[str, storable.Done] = {}
    problems: list[_Problems] = []
    count = 0
    for element in data:
        if count >= MAX_FAULTS:
            problems.append({"non_field_errors": [f"the rest was not checked: {count} faults so far"]})
            break
        faults = _problems(element)
        if not faults:
            try:
                job, done = _job(element)
                jobs.append((element["job_request_id"], job))
                if done:
                    altered[job.identifier] = done
            except Error as error:
                for fault in error.faults:
                    faults.setdefault(fault.key.partition(".")[0], []).append(fault.message)
        problems.append(faults)
        count += len(faults)
    return jobs, problems, altered


def _problems(element: Any) -> _Problems:
    if not isinstance(element, dict):
        return {"non_field_errors": [f"expected an object, found {kind(element)}"]}
    faults = {name: ["required"] for name in _REQUIRED if name not in element}
    for name in _TEXTS:
        if name in element:
            value = element[name]
            if not isinstance(value, str):
                faults[name] = [f"expected text, found {kind(value)}"]
            elif name in _NOT_BLANK and not value.strip():
                faults[name] = ["must not be blank"]
    if not faults.get("status") and element.get("status") not in STATUSES:
        faults["status"] = [f"expected one of: {', '.join(STATUSES)}"]
    for name in _TIMES:
        if name in element and _time(element[name]) is None and (name == "created_at" or element[name] is not None):
            faults[name] = ["expected a time like 2021-05-30T10:00:00.123456Z"]
    return faults


def _time(value: Any) -> datetime | None:
    """ISO 8601. UTC if it has no time zone, as in job-server."""
    if not isinstance(value, str) or not 16 <= len(value) <= 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is UTC:
            return moment
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _job(element: dict[str, Any]) -> tuple[Job, storable.Done]:
    values: dict[str, Any] = {name: element[name] for name in _TEXTS if name != "job_request_id"}
    values |= {name: value for name in Job.optional_keys if (value := element.get(name)) is not None}
    values |= {name: _time(element[name]) for name in _TIMES}
    return storable.job_of(values)
