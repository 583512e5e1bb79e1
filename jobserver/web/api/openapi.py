"""openapi.json: the API described for machines (OpenAPI 3.1). Written beside the code, and tested against it."""

from typing import Any

from jobserver import __version__
from jobserver.domain.base import names
from jobserver.domain.job_requests.lifecycle import STATUSES

_Schema = dict[str, Any]
_TEXT: _Schema = {"type": "string"}
_FLAG: _Schema = {"type": "boolean"}
_TIME: _Schema = {"type": "string", "format": "date-time", "examples": ["2026-11-23T20:15:04.123456Z"]}
_MAYBE_TIME: _Schema = {**_TIME, "type": ["string", "null"]}
_TEXTS: _Schema = {"type": "array", "items": _TEXT}
_ACTION: _Schema = {"type": "string", "pattern": f"^{names.ACTION}$"}
_ID: _Schema = {"type": "string", "pattern": f"^{names.REQUEST_ID}$"}
_BINARY: _Schema = {"type": "string", "format": "binary"}
_MAYBE_TEXT: _Schema = {"type": ["string", "null"]}


def _object(properties: _Schema, required: tuple[str, ...] | None = None, closed: bool = False) -> _Schema:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
    }
    return schema | ({"additionalProperties": False} if closed else {})


def _reference(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_ITEM = {
    "identifier": _ID,
    "backend": _TEXT,
    "sha": {"type": "string", "pattern": f"^{names.SHA}$"},
    "workspace": _object(
        {
            "name": _TEXT,
            "repo": _TEXT,
            "branch": _TEXT,
            "db": _TEXT,
            "created_by": _MAYBE_TEXT,
            "created_at": _TIME,
        }
    ),
    "created_by": _TEXT,
    "created_at": _TIME,
    "requested_actions": _TEXTS,
    "cancelled_actions": _TEXTS,
    "force_run_dependencies": _FLAG,
    "codelists_ok": _FLAG,
    "database_name": _TEXT,
    "project": _MAYBE_TEXT,
    "orgs": _TEXTS,
}
_REPORTED: _Schema = {
    "identifier": {"type": "string", "pattern": f"^{names.JOB_ID}$"},
    "action": _TEXT,
    "status": {"enum": list(STATUSES)},
    "status_code": _TEXT,
    "status_message": {**_TEXT, "description": "Control characters are replaced. Cut at 8 KiB."},
    "created_at": _TIME,
    "updated_at": _MAYBE_TIME,
    "started_at": _MAYBE_TIME,
    "completed_at": _MAYBE_TIME,
}
_MORE: _Schema = {
    "run_command": {**_MAYBE_TEXT, "description": "Cut at 8 KiB."},
    "trace_context": {"type": ["object", "null"], "description": "Over 16 KiB of JSON: replaced by a note of that."},
    "metrics": {"type": ["object", "null"], "description": "Over 16 KiB of JSON: replaced by a note of that."},
    "requires_db": {"type": ["boolean", "null"]},
}
_ROLES = {
    "global": _TEXTS,
    "orgs": {"type": "array", "items": {"type": "object"}},
    "projects": {"type": "array", "items": {"type": "object"}},
}
_SCHEMAS: _Schema = {
    "JobRequest": _object(_ITEM),
    "JobRequestDetail": _object(
        {
            **_ITEM,
            "status": {"enum": [*STATUSES, "unknown"]},
            "started_at": _MAYBE_TIME,
            "completed_at": _MAYBE_TIME,
            "jobs": {"type": "array", "items": _object(_REPORTED | _MORE, tuple(_REPORTED))},
        }
    ),
    "ReportedJob": _object(
        {"job_request_id": {"type": "string", "minLength": 1}, **_REPORTED, **_MORE},
        ("job_request_id", *_REPORTED),
    ),
    "Detail": _object({"detail": _TEXT}),
}


def _parameter(name: str, place: str, schema: _Schema, text: str) -> _Schema:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": text}


_PLACES = {
    "identifier": _parameter("identifier", "path", _ID, "The job request's id."),
    "username": _parameter("username", "path", {"type": "string", "pattern": f"^{names.USERNAME}$"}, "A person."),
    "name": _parameter("name", "path", {"type": "string", "pattern": f"^{names.WORKSPACE}$"}, "A workspace."),
    "hash": _parameter(
        "hash",
        "path",
        {"type": "string", "pattern": f"^{names.RELEASE_ID}$"},
        "The MD5 of the files' contents, one after the other in the order of their paths.",
    ),
}
_BACKEND_USER = {
    **_parameter(
        "Backend-User",
        "header",
        {"type": "string", "minLength": 1, "maxLength": 200},
        "Who lets them out: an active user with the right to upload releases of the workspace.",
    ),
    "required": True,
}
_KEY = _parameter(
    "Idempotency-Key",
    "header",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "The same key with the same body gets the same answer and one commit, for 24 hours; with another body 409.",
)
_COMMIT = {"X-Commit": {"schema": {"type": "string"}, "description": "The durable commit that says so."}}

_RELEASE = {
    "Location": {"schema": {"type": "string"}, "description": "The release's page."},
    "Release-Id": {"schema": {"type": "string"}, "description": "Its id."},
    **_COMMIT,
}


def _reply(text: str, schema: _Schema | None, headers: _Schema | None = None) -> _Schema:
    reply: _Schema = {"description": text}
    if schema is not None:
        reply["content"] = {"application/json": {"schema": schema}}
    return reply | ({"headers": headers} if headers else {})


_REFUSALS = {
    "400": _reply("The field that is wrong, and why.", {}),
    "403": _reply("The token is missing or invalid, or may not do this.", _reference("Detail")),
    "404": _reply("There is none.", None),
    "405": _reply("This method is not for this URL.", _reference("Detail")),
    "409": _reply("Right for another state, or an Idempotency-Key of another body.", _reference("Detail")),
    "413": _reply("The body is over 10 MiB.", _reference("Detail")),
    "429": _reply(
        "Too many invalid tokens came from this address, or this caller has used up a budget;"
        " try again after Retry-After seconds.",
        _reference("Detail"),
    ),
    "503": _reply("Not now; try again after Retry-After seconds.", _reference("Detail")),
}


def _operation(text: str, replies: _Schema, *refusals: str, **more: Any) -> _Schema:
    """``security=[]``: open to everybody, so nobody is refused for who they are."""
    usual = ("503",) if more.get("security") == [] else ("403", "429", "503")
    return {"summary": text, "responses": replies | {code: _REFUSALS[code] for code in (*usual, *refusals)}, **more}


def _body(schema: _Schema, required: bool = True) -> _Schema:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


_LIST_PARAMETERS = [
    _parameter(
        "backend", "query", _TEXT, "Only this backend's, which must be there; a backend's token may name its own only."
    ),
    _parameter("limit", "query", {"type": "integer", "minimum": 1}, "At most so many; by default all."),
    _parameter("offset", "query", {"type": "integer", "minimum": 0}, "How many to leave out."),
    _parameter("If-None-Match", "header", _TEXT, "The ETag of the last answer: 304 if nothing changed."),
    _parameter("Prefer", "header", _TEXT, "wait=N, with If-None-Match: hold the answer up to N (at most 50) seconds."),
]
_LIST = _object(
    {
        "count": {"type": "integer"},
        "next": _MAYBE_TEXT,
        "previous": _MAYBE_TEXT,
        "results": {"type": "array", "items": _reference("JobRequest")},
    }
)
_ASK = _object(
    {
        "requested_actions": {"type": "array", "items": _ACTION, "minItems": 1},
        "backend": _TEXT,
        "force_run_dependencies": {"type": ["boolean", "null"]},
        "will_notify": {"type": ["boolean", "null"]},
        "database_name": _MAYBE_TEXT,
    },
    ("requested_actions", "backend"),
    closed=True,
)
_REPORT: _Schema = {
    "status": {"const": "success"},
    "ignored": {**_TEXTS, "description": "Job requests that are not known as this backend's."},
    "skipped": {**_TEXTS, "description": "Jobs of which something newer is stored."},
    "clock": {**_TEXT, "description": "How far the times are ahead: those in the future count as now."},
    "altered": {
        "type": "object",
        "additionalProperties": {"type": "object", "additionalProperties": _TEXT},
        "description": "By job and field, what was done to what can't be stored as it is.",
    },
    "repaired": {**_TEXT, "description": "What was replaced in a body that was no JSON by a hair."},
}
_ASKED: _Schema = {
    "allOf": [
        _reference("JobRequestDetail"),
        _object({"warnings": {**_TEXTS, "description": "What is doubtful in project.yaml; absent if nothing is."}}, ()),
    ]
}
_OPEN: _Schema = {"security": []}


def _paths() -> _Schema:
    detail = _reference("JobRequestDetail")
    ok = _reply("Durable.", _object(_REPORT, ("status",)), _COMMIT)
    report = _body({"type": "array", "items": _reference("ReportedJob")})
    cancel = _body(_object({"actions": {"type": ["array", "null"], "items": _ACTION}}, (), closed=True), required=False)
    statuses = {"type": "object", "additionalProperties": {"enum": list(STATUSES)}}
    listed = {"200": _reply("The list.", _LIST), "304": _reply("Nothing changed.", None)}
    who = _object({"permissions": _object(_ROLES), "roles": _object(_ROLES)})
    text_reply = {"200": {"description": "Text.", "content": {"text/plain": {"schema": _TEXT}}}}
    return {
        "/api/v2/job-requests/": {
            "get": _operation("Active job requests, newest first", listed, "400", parameters=_LIST_PARAMETERS)
        },
        "/api/v2/job-requests/{identifier}/": {
            "parameters": [_PLACES["identifier"]],
            "get": _operation("One, with its jobs", {"200": _reply("It.", detail)}, "400", "404"),
        },
        "/api/v2/job-requests/{identifier}/cancel/": {
            "parameters": [_PLACES["identifier"]],
            "post": _operation(
                "Cancel these actions, or all that are not finished",
                {"200": _reply("As it is now.", detail, _COMMIT)},
                "400", "404", "409", "413",
                parameters=[_KEY], requestBody=cancel,
            ),
        },
        "/api/v2/jobs/": {
            "post": _operation(
                "A runner's report: all jobs of each job request that it names",
                {"200": ok}, "400", "409", "413",
                parameters=[_KEY], requestBody=report,
            )
        },
        "/api/v2/users/{username}/": {
            "parameters": [_PLACES["username"]],
            "get": _operation("A person's roles and permissions", {"200": _reply("Sorted.", who)}, "400", "404"),
        },
        "/api/v2/workspaces/{name}/statuses/": {
            "parameters": [_PLACES["name"]],
            "get": _operation(
                "The latest status of each action on one backend",
                {"200": _reply("By action.", statuses)}, "400", "404",
                parameters=[_parameter("backend", "query", _TEXT, "By default the one that was used last.")],
            ),
        },
        "/api/v2/workspaces/{name}/job-requests/": {
            "parameters": [_PLACES["name"]],
            "post": _operation(
                "Ask for jobs, with a person's token",
                {"201": _reply("The new job request.", _ASKED, _COMMIT)}, "400", "404", "409", "413",
                parameters=[_KEY], requestBody=_body(_ASK),
            ),
        },
        "/api/v2/workspaces/{name}/releases/{hash}": {
            "parameters": [_PLACES["name"], _PLACES["hash"]],
            "put": _operation(
                "Hand over files that the backend lets out, with its token: a zip with metadata/manifest.json",
                {
                    "201": _reply("Durable, and recorded.", None, _RELEASE),
                    "303": _reply("It is here already: Location says where.", None, _RELEASE),
                },
                "400", "404", "413",
                parameters=[_BACKEND_USER],
                requestBody={
                    "required": True,
                    "content": {f"application/{kind}": {"schema": _BINARY} for kind in ("octet-stream", "zip")},
                },
            ),
        },
        "/api/v2/openapi.json": {"get": _operation("This", {"200": _reply("It.", {"type": "object"})}, **_OPEN)},
        "/health-check/": {
            "get": _operation("Can state be read and written?", {"200": _reply("Yes.", {"type": "object"})}, **_OPEN)
        },
        "/metrics": {"get": _operation("Prometheus metrics, for this machine and SuperUsers", text_reply)},
    }  # fmt: skip


def describe(base_url: str) -> _Schema:
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
        "paths": _paths(),
        "components": {
            "schemas": _SCHEMAS,
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
