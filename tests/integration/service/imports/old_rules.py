"""What the old server answered, worked out from the rows of its database by its own rules of May 2021."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def jobs_of(rows: Rows) -> dict[int, list[Mapping[str, Any]]]:
    """id of the job request -> its jobs."""
    jobs: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for job in rows["jobserver_job"]:
        jobs[job["job_request_id"]].append(job)
    return jobs


def status_of(statuses: Sequence[str]) -> str:
    """Of a job request: all equal, else running while one is running or pending, else failed if one failed."""
    if len(set(statuses)) == 1:
        return statuses[0]
    if {"running", "pending"} & set(statuses):
        return "running"
    return "failed" if "failed" in statuses else "unknown"


def statuses(rows: Rows) -> dict[str, str]:
    """identifier -> status, of the job requests that have a workspace and whose jobs all have a known status."""
    jobs, known = jobs_of(rows), {"pending", "running", "failed", "succeeded"}
    workspaces = {workspace["id"] for workspace in rows["jobserver_workspace"]}
    return {
        request["identifier"]: status_of([job["status"] for job in jobs[request["id"]]])
        for request in rows["jobserver_jobrequest"]
        if request["workspace_id"] in workspaces and {job["status"] for job in jobs[request["id"]]} <= known
    }


def active(rows: Rows, backend: int) -> list[str]:
    """Identifiers of the list that a runner polls: without jobs, or with one that has not completed. Newest first."""
    jobs = jobs_of(rows)
    found = [
        request
        for request in rows["jobserver_jobrequest"]
        if request["backend_id"] == backend
        and request["workspace_id"] in {workspace["id"] for workspace in rows["jobserver_workspace"]}
        and (not jobs[request["id"]] or any(job["completed_at"] is None for job in jobs[request["id"]]))
    ]
    return [request["identifier"] for request in sorted(found, key=lambda one: str(one["created_at"]), reverse=True)]


def action_statuses(rows: Rows, workspace: int) -> dict[str, str]:
    """action -> status of its latest job in this workspace."""
    requests = {request["id"] for request in rows["jobserver_jobrequest"] if request["workspace_id"] == workspace}
    jobs = [job for job in rows["jobserver_job"] if job["job_request_id"] in requests]
    return {job["action"]: job["status"] for job in sorted(jobs, key=lambda job: str(job["created_at"] or ""))}


def counts(rows: Rows) -> Counter[int]:
    """id of the workspace -> the number of its job requests."""
    workspaces = {workspace["id"] for workspace in rows["jobserver_workspace"]}
    found = (request["workspace_id"] for request in rows["jobserver_jobrequest"])
    return Counter(workspace for workspace in found if workspace in workspaces)
