"""The operations on job requests, jobs, workspaces and releases."""

from jobserver.domain.job_requests.query import FILTERS
from jobserver.domain.tokens import Scope
from jobserver.web.api.openapi import bodies as b
from jobserver.web.api.openapi import parameters as p
from jobserver.web.api.openapi import schemas as s
from jobserver.web.api.openapi.operations import COMMIT, body, operation, read, reply, write
from jobserver.web.api.openapi.schemas import Schema, page_of, reference

_DETAIL = reference("JobRequestDetail")
_RELEASED = {
    "Location": {"schema": s.TEXT, "description": "The release's page."},
    "Release-Id": {"schema": s.TEXT, "description": "The release's ID."},
    **COMMIT,
}
_PREVIEW = s.object_of(
    {
        "sha": s.TEXT,
        "chosen": {**s.TEXTS, "description": "Those that were chosen, and will run."},
        "needed": {**s.TEXTS, "description": "Those that run because the chosen ones need them."},
        "kept": {**s.TEXTS, "description": "Those that succeeded before, and will not run again."},
        "warnings": {**s.TEXTS, "description": "About project.yaml."},
    }
)
_LANGUAGE = f"Words and filters combine: {', '.join(f'`{name}:`' for name in FILTERS)}. `q=` alone matches everything."
REQUESTS, WORKSPACES, RELEASES, RUNNERS = "Job requests", "Workspaces", "Releases", "For runners"


def job_requests() -> Schema:
    list_of = {"anyOf": [s.LIST, page_of(reference("ListedRequest"))]}
    listed = {"200": reply("The list; of a search, a page of it.", list_of), "304": reply("Nothing changed.", None)}
    return {
        "/api/v2/job-requests/": {
            "get": operation(
                REQUESTS,
                "List active job requests, newest first; or search all of them",
                listed,
                "400",
                parameters=p.LIST_PARAMETERS,
                description=f"With `q` it finds requests of all times, also finished ones. {_LANGUAGE}",
            )
        },
        "/api/v2/job-requests/{identifier}/": {
            "parameters": [p.IDENTIFIER],
            "get": operation(
                REQUESTS,
                "Get a job request with its jobs",
                {"200": reply("The job request.", s.SHOWN_REQUEST), "304": reply("Nothing changed.", None)},
                "400",
                "404",
                parameters=p.WAITING,
                description="With an ETag and `Prefer: wait=50` it answers as soon as something changes.",
            ),
        },
        **_changes_of_requests(),
    }


def _changes_of_requests() -> Schema:
    return {
        "/api/v2/job-requests/{identifier}/jobs/{job}/fail/": {
            "parameters": [p.IDENTIFIER, p.JOB],
            "post": write(REQUESTS, "Mark a job as failed that its runner lost (SuperUsers)", _DETAIL),
        },
        "/api/v2/job-requests/{identifier}/retry/": {
            "parameters": [p.IDENTIFIER],
            "post": write(REQUESTS, "Ask the backend's controller for the request again (SuperUsers)", _DETAIL),
        },
        "/api/v2/job-requests/{identifier}/cancel/": {
            "parameters": [p.IDENTIFIER],
            "post": write(
                REQUESTS,
                "Cancel some actions, or all that are not finished",
                _DETAIL,
                scope=Scope.REQUEST,
                requestBody=body(b.CANCELLATION, required=False),
            ),
        },
        "/api/v2/job-requests/{identifier}/rerun/": {
            "parameters": [p.IDENTIFIER],
            "post": write(
                REQUESTS,
                "Request its actions again: all, those that failed, or some",
                s.CREATED_REQUEST,
                b.RERUN,
                "201",
                scope=Scope.REQUEST,
            ),
        },
        "/api/v2/workspaces/{name}/preview/": {
            "parameters": [p.WORKSPACE],
            "post": operation(
                REQUESTS,
                "Preview what a request would run",
                {"200": reply("At the newest commit, or at `ref`.", _PREVIEW)},
                "400",
                "404",
                "409",
                "413",
                parameters=[p.IDEMPOTENCY_KEY],
                requestBody=body(b.PREVIEW),
                **{"x-scope": Scope.REQUEST},
            ),
        },
        "/api/v2/workspaces/{name}/job-requests/": {
            "parameters": [p.WORKSPACE],
            "post": write(REQUESTS, "Request jobs", s.CREATED_REQUEST, b.NEW_REQUEST, "201", scope=Scope.REQUEST),
        },
    }


def workspaces() -> Schema:
    workspace = reference("Workspace")
    return {
        "/api/v2/workspaces/": {
            "get": read(WORKSPACES, "List workspaces, by name", page_of(workspace), parameters=p.WORKSPACES),
            "post": write(WORKSPACES, "Create a workspace", workspace, b.NEW_WORKSPACE, "201"),
        },
        "/api/v2/workspaces/{name}/": {
            "parameters": [p.WORKSPACE],
            "get": read(WORKSPACES, "Get a workspace", workspace, "404"),
            "patch": write(
                WORKSPACES,
                "Change a workspace: its branch, database, notifications or project; archive or unarchive it",
                workspace,
                b.WORKSPACE_CHANGE,
            ),
        },
        "/api/v2/workspaces/{name}/statuses/": {
            "parameters": [p.WORKSPACE],
            "get": read(
                WORKSPACES,
                "Get the latest status of each action on one backend",
                s.STATUSES_BY_ACTION,
                "404",
                parameters=[p.STATUS_BACKEND, p.STATUS_FIELD],
            ),
        },
    }


def releases() -> Schema:
    release = reference("Release")
    zipped = {f"application/{kind}": {"schema": s.BINARY} for kind in ("octet-stream", "zip")}
    uploaded = {
        "201": reply("The release is recorded.", None, _RELEASED),
        "303": reply("The release exists already; see Location.", None, _RELEASED),
    }
    file = {"200": {"description": "The file.", "content": {"application/octet-stream": {"schema": s.BINARY}}}}
    url = "/api/v2/workspaces/{name}/releases"
    return {
        f"{url}/": {
            "parameters": [p.WORKSPACE],
            "get": read(
                RELEASES, "List what was released, newest first", page_of(release), "404", parameters=p.PAGING
            ),
        },
        f"{url}/{{hash}}": {
            "parameters": [p.WORKSPACE, p.RELEASE_HASH],
            "get": read(
                RELEASES,
                "Get a release, of each backend that has released the same files",
                s.object_of({"results": {"type": "array", "items": release}}),
                "404",
            ),
            "put": operation(
                RUNNERS,
                "Release files: a zip that contains metadata/manifest.json",
                uploaded,
                "400", "404", "413",
                parameters=[p.BACKEND_USER],
                requestBody={"required": True, "content": zipped},
            ),
        },
        f"{url}/{{hash}}/{{backend}}/{{path}}": {
            "parameters": [p.WORKSPACE, p.RELEASE_HASH, *p.RELEASE_PATH],
            "get": operation(RELEASES, "Download a released file", file, "400", "404"),
        },
    }  # fmt: skip


def reports() -> Schema:
    report = body({"type": "array", "items": reference("ReportedJob")})
    return {
        "/api/v2/jobs/": {
            "get": read(
                REQUESTS,
                "List the jobs of the job requests that match a search, of the newest request first",
                page_of(reference("ListedJob")),
                parameters=p.JOBS,
                description=_LANGUAGE,
            ),
            "post": operation(
                RUNNERS,
                "Report all jobs of each job request that the report names",
                {"200": reply("The report is recorded.", s.REPORT_REPLY, COMMIT)}, "400", "409", "413",
                parameters=[p.IDEMPOTENCY_KEY], requestBody=report,
            )
        },
    }  # fmt: skip
