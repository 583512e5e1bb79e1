"""The calls of a controller, without HTTP: which token may do what, and each answer."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from jobserver.domain.base.values import timestamp
from jobserver.domain.rap.calls import RapCancellation, RapCreation, RapStatusRequest, read_body
from jobserver.errors import Error
from jobserver.runner.controller.book import RapBook
from jobserver.runner.model import RunnerRequest
from jobserver.runner.tasks import TaskRunner

Answer: TypeAlias = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ControlledBackend:
    """A backend of the controller: its book, and the work of its runner."""

    book: RapBook
    tasks: TaskRunner


class ControllerApi:
    """Thread-safe. ``tokens``: token -> the backends that it may speak for."""

    def __init__(self, backends: Mapping[str, ControlledBackend], tokens: Mapping[str, frozenset[str]]) -> None:
        self._backends, self._tokens = backends, tokens
        self._creating = threading.Lock()  # a request that is sent twice is created once
        self.calls: Mapping[tuple[str, str], Callable[[frozenset[str], bytes], Answer]] = {
            ("GET", "backend/status/"): self._status_of_backends,
            ("POST", "rap/create/"): self._create,
            ("POST", "rap/cancel/"): self._cancel,
            ("POST", "rap/status/"): self._status,
        }

    def answer(self, method: str, path: str, token: str, body: bytes) -> Answer:
        call = self.calls[method, path]
        slugs = self._tokens.get(token)
        if slugs is None:
            details = "Invalid token" if token else "No token provided"
            return 401, {"error": "Unauthorized", "details": details}
        try:
            return call(slugs, body)
        except Error as error:
            return 400, {"error": "Validation error", "details": error.message}

    def _status_of_backends(self, slugs: frozenset[str], body: bytes) -> Answer:
        backends = []
        for slug in sorted(slugs):
            seen_at = self._backends[slug].book.seen_at
            backends.append(
                {
                    "slug": slug,
                    "last_seen": timestamp(seen_at) if seen_at is not None else None,
                    "paused": {"status": "off", "since": None},
                    "db_maintenance": {"status": "off", "since": None, "type": None},
                }
            )
        return 200, {"backends": backends}

    def _create(self, slugs: frozenset[str], body: bytes) -> Answer:
        sent = read_body(RapCreation, body)
        if sent.backend not in slugs:
            return _refused("Error creating jobs", "Unknown error")
        backend, item = self._backends[sent.backend], _item(sent)
        with self._creating:
            if (known := self._find(sent.rap_id)) is not None:
                return _known_already(sent.rap_id, known, item, len(self._jobs(sent.rap_id) or ()))
            try:
                planned = backend.tasks.plan_of(RunnerRequest.from_item(item))
            except Error as error:
                backend.tasks.executor.forget(sent.rap_id)
                return _refused("Error creating jobs", str(error))
            if not planned.actions:
                backend.tasks.executor.forget(sent.rap_id)
                details = "All actions have already completed successfully"
                return _accepted(200, "Nothing to do", details, sent.rap_id, 0)
            backend.book.add(item, [job.as_payload(sent.rap_id) for job in planned.jobs])
        details = f"Jobs created for rap_id '{sent.rap_id}'"
        return _accepted(201, "Success", details, sent.rap_id, len(planned.jobs))

    def _cancel(self, slugs: frozenset[str], body: bytes) -> Answer:
        sent = read_body(RapCancellation, body)
        item = self._find(sent.rap_id)
        if item is None or item["backend"] not in slugs:
            details = f"No jobs found for rap_id {sent.rap_id}"
            return 404, {"error": "jobs not found", "details": details, "rap_id": sent.rap_id}
        actions = {job["action"] for job in self._jobs(sent.rap_id) or ()}
        if missing := sorted(set(sent.actions) - actions):
            details = f"Jobs matching requested cancelled actions could not be found: {','.join(missing)}"
            return 404, {"error": "jobs not found", "details": details, "rap_id": sent.rap_id, "not_found": missing}
        self._backends[item["backend"]].book.cancel(sent.rap_id, sent.actions)
        count = len(sent.actions)
        return 200, {"result": "Success", "details": f"{count} actions cancelled", "count": count}

    def _status(self, slugs: frozenset[str], body: bytes) -> Answer:
        sent = read_body(RapStatusRequest, body)
        jobs: list[dict[str, Any]] = []
        unknown: list[str] = []
        for identifier in dict.fromkeys(sent.rap_ids):
            item = self._find(identifier)
            if item is None or item["backend"] not in slugs:
                unknown.append(identifier)
            else:
                jobs += [_job(identifier, item["backend"], job) for job in self._jobs(identifier) or ()]
        return 200, {"jobs": jobs, "unrecognised_rap_ids": unknown}

    def _find(self, identifier: str) -> dict[str, Any] | None:
        items = (backend.book.item(identifier) for backend in self._backends.values())
        return next((item for item in items if item is not None), None)

    def _jobs(self, identifier: str) -> list[dict[str, Any]] | None:
        jobs = (backend.book.jobs(identifier) for backend in self._backends.values())
        return next((known for known in jobs if known is not None), None)


def _item(sent: RapCreation) -> dict[str, Any]:
    """As the server's list has it for runners that poll."""
    return {
        "identifier": sent.rap_id,
        "backend": sent.backend,
        "sha": sent.commit,
        "requested_actions": sent.requested_actions,
        "cancelled_actions": [],
        "force_run_dependencies": sent.force_run_dependencies,
        "workspace": {"name": sent.workspace, "repo": sent.repo_url, "branch": sent.branch},
    }


def _known_already(identifier: str, known: Mapping[str, Any], item: Mapping[str, Any], count: int) -> Answer:
    same = known["sha"] == item["sha"] and known["workspace"] == item["workspace"]
    if not same or known["backend"] != item["backend"]:
        details = f"Jobs already created for rap_id '{identifier}' are inconsistent with request data"
        return _refused("Inconsistent request data", details)
    return _accepted(200, "No change", f"Jobs already created for rap_id '{identifier}'", identifier, count)


def _accepted(status: int, result: str, details: str, identifier: str, count: int) -> Answer:
    return status, {"result": result, "details": details, "rap_id": identifier, "count": count}


def _refused(error: str, details: str) -> Answer:
    return 400, {"error": error, "details": details}


def _job(identifier: str, backend: str, job: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in job.items() if key != "job_request_id"}
    return {**kept, "run_command": job["run_command"] or "", "rap_id": identifier, "backend": backend}
