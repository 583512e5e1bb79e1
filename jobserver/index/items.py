"""Job requests and jobs as JSON data, in the shapes of the HTTP API v2 (docs/contract.md, section 4).

An item has the keys of the runners of 2021 and those of 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobserver.domain.base.values import timestamp
from jobserver.domain.governance.analysis_scope import scope_json
from jobserver.domain.job_requests import outcomes
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.requests import JobRequest

if TYPE_CHECKING:
    from jobserver.index.queries.jobs import JobRow

_WORKSPACE = ("name", "repo", "branch", "db", "created_by", "created_at")
_JOB_TIMES = ("created_at", "updated_at", "started_at", "completed_at")


def time_text(moment: datetime | None) -> str | None:
    """``2026-11-23T20:15:04.123456Z``, or None."""
    return None if moment is None else timestamp(moment)


_OPTIONS = ("rerun_of", "note", "commit_subject", "ref")


def request_item(request: JobRequest) -> dict[str, Any]:
    """The part of a job request that a runner needs."""
    workspace = {key: getattr(request.workspace, key) for key in _WORKSPACE}
    workspace["created_at"] = time_text(request.workspace.created_at)
    org, _, project = (request.project or "").partition("/")
    item = {
        "identifier": request.identifier,
        "backend": request.backend,
        "sha": request.sha,
        "workspace": workspace,
        "created_by": request.created_by,
        "created_at": time_text(request.created_at),
        "requested_actions": list(request.requested_actions),
        "cancelled_actions": list(request.cancelled_actions),
        "force_run_dependencies": request.force_run_dependencies,
        "codelists_ok": request.codelists_ok,
        "database_name": request.database_name,
        "project": project or None,
        "orgs": [org] if org else [],
    }
    options: dict[str, Any] = {key: getattr(request, key) for key in _OPTIONS}
    options["analysis_scope"] = scope_json(request.analysis_scope) or None
    return item | {key: value for key, value in options.items() if value is not None}


def job_state(job: Job | JobRow) -> dict[str, Any]:
    """The part of `job_item` that says what became of the job."""
    return {
        "identifier": job.identifier,
        "action": job.action,
        "status": job.status,
        "outcome": outcomes.outcome(job.status, job.status_code),
        "status_code": job.status_code,
        "status_message": job.status_message,
    }


def job_item(job: Job) -> dict[str, Any]:
    item = job_state(job)
    item |= {key: time_text(getattr(job, key)) for key in _JOB_TIMES}
    item |= {key: value for key in sorted(Job.optional_keys) if (value := getattr(job, key)) is not None}
    return item


def detail(item: dict[str, Any], jobs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The item with its jobs (oldest first), and the status, outcome and times that follow from them."""
    ordered = sorted(jobs, key=lambda job: (job["created_at"], job["identifier"]))
    of_jobs = outcomes.summarise(  # times are texts of one form, so that their order is that of time
        [
            (job["status"], job["status_code"], job["started_at"], job["completed_at"], job["updated_at"])
            for job in ordered
        ]
    )
    return {
        **item,
        "status": of_jobs.status,
        "outcome": of_jobs.outcome,
        "started_at": of_jobs.started_at,
        "completed_at": of_jobs.completed_at,
        "jobs": ordered,
    }
