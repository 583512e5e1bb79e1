"""Reads the jobs of a report, in the format of the runners of 2021 or of 2025 (job-server's API). Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from jobserver.domain.base.validation import kind
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.lifecycle import STATUSES
from jobserver.errors import MAX_FAULTS, Error
from jobserver.service.reports import storable

_NOT_BLANK = ("job_request_id", "identifier", "status")
_TEXTS = (*_NOT_BLANK, "action", "status_code", "status_message")
_TIMES = ("created_at", "updated_at", "started_at", "completed_at")
_REQUIRED = (*_TEXTS, *_TIMES)
Faulty = dict[str, list[str]]
"""By field: the reasons why its value is wrong."""


def read_jobs(data: Sequence[Any]) -> tuple[list[tuple[str, Job]], list[Faulty], dict[str, storable.Done]]:
    """(pairs of a request's ID and a job; for each element, the reasons by wrong field; by job, the altered fields).

    Stops after MAX_FAULTS faults; then one more element says so.
    """
    jobs: list[tuple[str, Job]] = []
    altered: dict[str, storable.Done] = {}
    problems: list[Faulty] = []
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


def _problems(element: Any) -> Faulty:
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
    return _moment(value) if isinstance(value, str) and 16 <= len(value) <= 40 else None


@lru_cache(1024)  # the jobs of a report share most of their times
def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
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
