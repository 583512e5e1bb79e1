"""The JSON schemas and parameters that the operations of `openapi` share (OpenAPI 3.1, JSON Schema 2020-12)."""

from typing import Any

from jobserver.domain.base import names
from jobserver.domain.job_requests.lifecycle import STATUSES

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
ACTION: Schema = {"type": "string", "pattern": f"^{names.ACTION}$"}
BINARY: Schema = {"type": "string", "format": "binary"}
STATUS: Schema = {"enum": list(STATUSES)}
_FLAG: Schema = {"type": "boolean"}
_TIME: Schema = {"type": "string", "format": "date-time", "examples": ["2026-11-23T20:15:04.123456Z"]}
_MAYBE_TIME: Schema = {**_TIME, "type": ["string", "null"]}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_ID: Schema = {"type": "string", "pattern": f"^{names.REQUEST_ID}$"}


def object_of(properties: Schema, required: tuple[str, ...] | None = None, closed: bool = False) -> Schema:
    """``required`` is all of the properties by default; a ``closed`` object takes no others."""
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
    }
    return schema | ({"additionalProperties": False} if closed else {})


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def parameter(name: str, place: str, schema: Schema, text: str, required: bool = False) -> Schema:
    is_required = required or place == "path"
    return {"name": name, "in": place, "required": is_required, "schema": schema, "description": text}


_WORKSPACE = {
    "name": TEXT,
    "repo": TEXT,
    "branch": TEXT,
    "db": TEXT,
    "created_by": _MAYBE_TEXT,
    "created_at": _TIME,
}
_REQUEST = {
    "identifier": _ID,
    "backend": TEXT,
    "sha": {"type": "string", "pattern": f"^{names.SHA}$"},
    "workspace": object_of(_WORKSPACE),
    "created_by": TEXT,
    "created_at": _TIME,
    "requested_actions": TEXTS,
    "cancelled_actions": TEXTS,
    "force_run_dependencies": _FLAG,
    "codelists_ok": _FLAG,
    "database_name": TEXT,
    "project": _MAYBE_TEXT,
    "orgs": TEXTS,
}
_JOB: Schema = {
    "identifier": {"type": "string", "pattern": f"^{names.JOB_ID}$"},
    "action": TEXT,
    "status": STATUS,
    "status_code": TEXT,
    "status_message": {**TEXT, "description": "Cut at 8 KiB. Control characters are replaced."},
    "created_at": _TIME,
    "updated_at": _MAYBE_TIME,
    "started_at": _MAYBE_TIME,
    "completed_at": _MAYBE_TIME,
}
_JOB_OPTIONS: Schema = {
    "run_command": {**_MAYBE_TEXT, "description": "Cut at 8 KiB."},
    "trace_context": {"type": ["object", "null"], "description": "Over 16 KiB of JSON, replaced by a note."},
    "metrics": {"type": ["object", "null"], "description": "Over 16 KiB of JSON, replaced by a note."},
    "requires_db": {"type": ["boolean", "null"]},
}
SCHEMAS: Schema = {
    "JobRequest": object_of(_REQUEST),
    "JobRequestDetail": object_of(
        {
            **_REQUEST,
            "status": {"enum": [*STATUSES, "unknown"]},
            "started_at": _MAYBE_TIME,
            "completed_at": _MAYBE_TIME,
            "jobs": {"type": "array", "items": object_of(_JOB | _JOB_OPTIONS, tuple(_JOB))},
        }
    ),
    "ReportedJob": object_of(
        {"job_request_id": {"type": "string", "minLength": 1}, **_JOB, **_JOB_OPTIONS},
        ("job_request_id", *_JOB),
    ),
    "Detail": object_of({"detail": TEXT}),
}
LIST = object_of(
    {
        "count": {"type": "integer"},
        "next": _MAYBE_TEXT,
        "previous": _MAYBE_TEXT,
        "results": {"type": "array", "items": reference("JobRequest")},
    }
)
NEW_REQUEST = object_of(
    {
        "requested_actions": {"type": "array", "items": ACTION, "minItems": 1},
        "backend": TEXT,
        "force_run_dependencies": {"type": ["boolean", "null"]},
        "will_notify": {"type": ["boolean", "null"]},
        "database_name": _MAYBE_TEXT,
    },
    ("requested_actions", "backend"),
    closed=True,
)
CREATED_REQUEST: Schema = {
    "allOf": [
        reference("JobRequestDetail"),
        object_of({"warnings": {**TEXTS, "description": "Warnings about project.yaml. Absent if there are none."}}, ()),
    ]
}
CANCELLATION = object_of({"actions": {"type": ["array", "null"], "items": ACTION}}, (), closed=True)
REPORT_REPLY = object_of(
    {
        "status": {"const": "success"},
        "ignored": {**TEXTS, "description": "Job requests that this backend does not have."},
        "skipped": {**TEXTS, "description": "Jobs for which the server already has a newer report."},
        "clock": {
            **TEXT,
            "description": "How far the times are ahead. Times in the future were replaced by now.",
        },
        "altered": {
            "type": "object",
            "additionalProperties": {"type": "object", "additionalProperties": TEXT},
            "description": "By job and field: how the server changed a value that it can't store.",
        },
        "repaired": {**TEXT, "description": "What the server replaced in a body that was almost JSON."},
    },
    ("status",),
)
_ROLES = {
    "global": TEXTS,
    "orgs": {"type": "array", "items": {"type": "object"}},
    "projects": {"type": "array", "items": {"type": "object"}},
}
USER = object_of({"permissions": object_of(_ROLES), "roles": object_of(_ROLES)})
STATUSES_BY_ACTION: Schema = {"type": "object", "additionalProperties": STATUS}

IDENTIFIER = parameter("identifier", "path", _ID, "The job request's ID.")
USERNAME = parameter("username", "path", {"type": "string", "pattern": f"^{names.USERNAME}$"}, "A user.")
WORKSPACE = parameter("name", "path", {"type": "string", "pattern": f"^{names.WORKSPACE}$"}, "A workspace.")
RELEASE_HASH = parameter(
    "hash",
    "path",
    {"type": "string", "pattern": f"^{names.RELEASE_ID}$"},
    "The MD5 of the files' contents, one after the other in the order of their paths.",
)
BACKEND_USER = parameter(
    "Backend-User",
    "header",
    {"type": "string", "minLength": 1, "maxLength": 200},
    "The user who releases the files: active, and with permission to upload releases of the workspace.",
    required=True,
)
IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    "header",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "For 24 hours, the same key with the same body gets the same answer and makes one commit."
    " The same key with another body gets 409.",
)
LIST_PARAMETERS = [
    parameter("backend", "query", TEXT, "Only this backend's job requests. A backend's token can name only its own."),
    parameter("limit", "query", {"type": "integer", "minimum": 1}, "At most this many; all by default."),
    parameter("offset", "query", {"type": "integer", "minimum": 0}, "Skip this many."),
    parameter("If-None-Match", "header", TEXT, "The ETag of the last answer. The answer is 304 if nothing changed."),
    parameter(
        "Prefer", "header", TEXT, "wait=N, with If-None-Match: wait for a change for up to N seconds, at most 50."
    ),
]
STATUS_BACKEND = parameter("backend", "query", TEXT, "By default the backend that was used last.")
