"""openapi.json: a description of the API for machines (OpenAPI 3.1). Written by hand, and tested against the API."""

from typing import Any

from jobserver import __version__
from jobserver.web.api import openapi_schemas as s
from jobserver.web.api.openapi_schemas import Schema, reference

_COMMIT = {"X-Commit": {"schema": s.TEXT, "description": "The commit that records the change, already on the disk."}}
_RELEASE = {
    "Location": {"schema": s.TEXT, "description": "The release's page."},
    "Release-Id": {"schema": s.TEXT, "description": "The release's ID."},
    **_COMMIT,
}
_DETAIL = reference("JobRequestDetail")
_OPEN: Schema = {"security": []}


def _reply(text: str, schema: Schema | None, headers: Schema | None = None) -> Schema:
    reply: Schema = {"description": text}
    if schema is not None:
        reply["content"] = {"application/json": {"schema": schema}}
    return reply | ({"headers": headers} if headers else {})


_REFUSALS = {
    "400": _reply("The field that is wrong, and why.", {}),
    "403": _reply("The token is missing or invalid, or does not allow this.", reference("Detail")),
    "404": _reply("Not found.", None),
    "405": _reply("This URL does not take this method.", reference("Detail")),
    "409": _reply(
        "The state does not allow this, or the Idempotency-Key was used with another body.", reference("Detail")
    ),
    "413": _reply("The body is larger than 10 MiB.", reference("Detail")),
    "429": _reply(
        "Too many invalid tokens came from this address, or this caller has used up a budget."
        " Try again after Retry-After seconds.",
        reference("Detail"),
    ),
    "503": _reply("Temporarily unavailable. Try again after Retry-After seconds.", reference("Detail")),
}


def _operation(text: str, replies: Schema, *refusals: str, **more: Any) -> Schema:
    """``security=[]`` marks an operation that needs no token."""
    usual = ("503",) if more.get("security") == [] else ("403", "429", "503")
    return {"summary": text, "responses": replies | {code: _REFUSALS[code] for code in (*usual, *refusals)}, **more}


def _body(schema: Schema, required: bool = True) -> Schema:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _job_requests() -> Schema:
    listed = {"200": _reply("The list.", s.LIST), "304": _reply("Nothing changed.", None)}
    return {
        "/api/v2/job-requests/": {
            "get": _operation("List active job requests, newest first", listed, "400", parameters=s.LIST_PARAMETERS)
        },
        "/api/v2/job-requests/{identifier}/": {
            "parameters": [s.IDENTIFIER],
            "get": _operation(
                "Get a job request with its jobs", {"200": _reply("The job request.", _DETAIL)}, "400", "404"
            ),
        },
        "/api/v2/job-requests/{identifier}/cancel/": {
            "parameters": [s.IDENTIFIER],
            "post": _operation(
                "Cancel some actions, or all that are not finished",
                {"200": _reply("The job request as it is now.", _DETAIL, _COMMIT)},
                "400", "404", "409", "413",
                parameters=[s.IDEMPOTENCY_KEY], requestBody=_body(s.CANCELLATION, required=False),
            ),
        },
        "/api/v2/workspaces/{name}/job-requests/": {
            "parameters": [s.WORKSPACE],
            "post": _operation(
                "Request jobs, with a person's token",
                {"201": _reply("The new job request.", s.CREATED_REQUEST, _COMMIT)}, "400", "404", "409", "413",
                parameters=[s.IDEMPOTENCY_KEY], requestBody=_body(s.NEW_REQUEST),
            ),
        },
    }  # fmt: skip


def _from_backends() -> Schema:
    report = _body({"type": "array", "items": reference("ReportedJob")})
    return {
        "/api/v2/jobs/": {
            "post": _operation(
                "Report all jobs of each job request that the report names, with a backend's token",
                {"200": _reply("The report is recorded.", s.REPORT_REPLY, _COMMIT)}, "400", "409", "413",
                parameters=[s.IDEMPOTENCY_KEY], requestBody=report,
            )
        },
        "/api/v2/workspaces/{name}/releases/{hash}": {
            "parameters": [s.WORKSPACE, s.RELEASE_HASH],
            "put": _operation(
                "Release files, with a backend's token: a zip that contains metadata/manifest.json",
                {
                    "201": _reply("The release is recorded.", None, _RELEASE),
                    "303": _reply("The release exists already; see Location.", None, _RELEASE),
                },
                "400", "404", "413",
                parameters=[s.BACKEND_USER],
                requestBody={
                    "required": True,
                    "content": {f"application/{kind}": {"schema": s.BINARY} for kind in ("octet-stream", "zip")},
                },
            ),
        },
    }  # fmt: skip


def _others() -> Schema:
    metrics = {"200": {"description": "Text.", "content": {"text/plain": {"schema": s.TEXT}}}}
    return {
        "/api/v2/users/{username}/": {
            "parameters": [s.USERNAME],
            "get": _operation(
                "Get a user's roles and permissions", {"200": _reply("Sorted by name.", s.USER)}, "400", "404"
            ),
        },
        "/api/v2/workspaces/{name}/statuses/": {
            "parameters": [s.WORKSPACE],
            "get": _operation(
                "Get the latest status of each action on one backend",
                {"200": _reply("The status of each action.", s.STATUSES_BY_ACTION)}, "400", "404",
                parameters=[s.STATUS_BACKEND],
            ),
        },
        "/api/v2/openapi.json": {
            "get": _operation("Get this description", {"200": _reply("OpenAPI 3.1.", {"type": "object"})}, **_OPEN)
        },
        "/health-check/": {
            "get": _operation(
                "Check that state can be read and written", {"200": _reply("It can.", {"type": "object"})}, **_OPEN
            )
        },
        "/metrics": {"get": _operation("Prometheus metrics, for this machine, SuperUsers and Auditors", metrics)},
    }  # fmt: skip


def describe(base_url: str) -> Schema:
    """The whole document, as JSON data."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jobserver",
            "version": __version__,
            "description": "Job requests for secure environments, recorded in git.",
        },
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "paths": {**_job_requests(), **_from_backends(), **_others()},
        "components": {
            "schemas": s.SCHEMAS,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "The token alone, or after `Bearer`.",
                }
            },
        },
    }
