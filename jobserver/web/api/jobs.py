"""POST /api/v2/jobs/: a runner's report, in the form of either generation of runners (job-server 2021 and 2025)."""

import contextlib
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from bottle import HTTPResponse

from jobserver.domain.base.layout import backend_branch
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.job_requests.jobs import Job, UpdateJobs
from jobserver.domain.job_requests.lifecycle import STATUSES
from jobserver.errors import MAX_FAULTS, Error, forbidden, invalid
from jobserver.index.queries.jobs import job_owners
from jobserver.index.queries.requests import has_request
from jobserver.web import http
from jobserver.web.api import storable
from jobserver.web.api.common import Keys
from jobserver.web.api.fields import kind
from jobserver.web.services import Services

_NOT_BLANK = ("job_request_id", "identifier", "status")
_TEXTS = (*_NOT_BLANK, "action", "status_code", "status_message")
_TIMES = ("created_at", "updated_at", "started_at", "completed_at")
_REQUIRED = (*_TEXTS, *_TIMES)
_AT_ONCE = 500  # ids in one query
_NAMED = 100  # jobs that an answer says of what was done to them, or that they were skipped
_log = logging.getLogger(__name__)
_Problems = dict[str, list[str]]


class Jobs:
    def __init__(self, services: Services, keys: Keys) -> None:
        self._gate, self._index, self._live, self._keys = services.gate, services.index, services.live, keys
        self._skipped: dict[str, list[str]] = {}

    def report(self, actor: Actor) -> HTTPResponse:
        if actor.kind is not ActorKind.BACKEND:
            raise forbidden("this needs a backend's token, not a person's")
        body = http.read_body()
        key = self._keys.of(actor, body)
        data, repaired = storable.read(body)
        if not isinstance(data, list):
            return http.answer({"non_field_errors": [f"expected a list of jobs, found {kind(data)}"]}, 400)
        jobs, problems, altered = read_jobs(data)
        if any(problems):
            return http.answer(problems, 400)
        with contextlib.suppress(sqlite3.Error):  # a report does not wait for an index that can't be read
            self._check_owners(actor.name, jobs)
        command = UpdateJobs(actor.name, tuple(jobs))
        written = self._gate.submit(actor, command, "http", key)
        reply = {"status": "success", **self._told(actor.name, written.changes.result)}
        if repaired:
            reply["repaired"] = repaired
        if altered:
            reply["altered"] = dict(islice(altered.items(), _NAMED))
        return http.written(reply, written.commit)

    def _told(self, slug: str, result: Mapping[str, Any]) -> dict[str, Any]:
        """What an answer says of what its report did not do as it asked; the log and /status/ say it too."""
        skipped, ahead = result.get("skipped", []), result.get("ahead", timedelta())
        if skipped and skipped != self._skipped.get(slug):
            shown = ", ".join(skipped[:10])
            _log.warning("backend %s: what is stored is newer, %d skipped: %s", slug, len(skipped), shown)
        self._skipped[slug] = skipped
        self._live.record_report(slug, ahead, result.get("twice", ()))
        told = {"ignored": result.get("ignored"), "skipped": skipped[:_NAMED]}
        if ahead:
            told["clock"] = f"{ahead.total_seconds():.0f} s ahead of the server's: times in the future count as now"
        return {key: value for key, value in told.items() if value}

    def _check_owners(self, slug: str, jobs: Sequence[tuple[str, Job]]) -> None:
        """A job's id is one request's for ever; the writer's snapshot knows those of active requests only.

        Raises `Error` (invalid).
        """
        branch = backend_branch(slug)
        claimed = {job.identifier: request for request, job in jobs}
        names = list(claimed)
        with self._index.peek() as sql:
            known: dict[str, str] = {}
            for at in range(0, len(names), _AT_ONCE):
                known |= job_owners(sql, branch, names[at : at + _AT_ONCE])
            for job, owner in known.items():
                if owner != claimed[job] and has_request(sql, branch, claimed[job]):
                    raise invalid(f"job {job} belongs to job request {owner}", "identifier")


def read_jobs(data: Sequence[Any]) -> tuple[list[tuple[str, Job]], list[_Problems], dict[str, storable.Done]]:
    """((job request's id, job), ...); for each element, its fields that are wrong with the reasons; and by job, what
    was done to the fields that can't be stored as they are.

    After MAX_FAULTS faults the rest is not looked at, and one more element says so.
    """
    jobs: list[tuple[str, Job]] = []
    altered: dict[str, storable.Done] = {}
    problems: list[_Problems] = []
    count = 0
    for element in data:
        if count >= MAX_FAULTS:
            problems.append({"non_field_errors": [f"the rest was not looked at: {count} faults so far"]})
            break
        found = _problems(element)
        if not found:
            try:
                job, done = _job(element)
                jobs.append((element["job_request_id"], job))
                if done:
                    altered[job.identifier] = done
            except Error as error:
                for fault in error.faults:
                    found.setdefault(fault.key.partition(".")[0], []).append(fault.message)
        problems.append(found)
        count += len(found)
    return jobs, problems, altered


def _problems(element: Any) -> _Problems:
    if not isinstance(element, dict):
        return {"non_field_errors": [f"expected an object, found {kind(element)}"]}
    found = {name: ["required"] for name in _REQUIRED if name not in element}
    for name in _TEXTS:
        if name in element:
            value = element[name]
            if not isinstance(value, str):
                found[name] = [f"expected text, found {kind(value)}"]
            elif name in _NOT_BLANK and not value.strip():
                found[name] = ["may not be blank"]
    if not found.get("status") and element.get("status") not in STATUSES:
        found["status"] = [f"expected one of: {', '.join(STATUSES)}"]
    for name in _TIMES:
        if name in element and _time(element[name]) is None and (name == "created_at" or element[name] is not None):
            found[name] = ["expected a time like 2021-05-30T10:00:00.123456Z"]
    return found


def _time(value: Any) -> datetime | None:
    """ISO 8601; without a zone it is UTC, which is what job-server took it for."""
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
