"""The JSON schemas of answers (OpenAPI 3.1, JSON Schema 2020-12)."""

from typing import Any

from jobserver.domain.base import names
from jobserver.domain.base.permissions import Role
from jobserver.domain.job_requests.lifecycle import STATUSES
from jobserver.domain.job_requests.outcomes import OUTCOMES, REQUEST_OUTCOMES
from jobserver.domain.site_messages import MessageLevel
from jobserver.domain.tokens import Scope
from jobserver.domain.waiting.waiting import Reason
from jobserver.service.notify.subscriptions import EmailChoice
from jobserver.web.api.openapi import limits

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
ACTION: Schema = {"type": "string", "pattern": f"^{names.ACTION}$"}
BINARY: Schema = {"type": "string", "format": "binary"}
STATUS: Schema = {"enum": list(STATUSES)}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time", "examples": ["2026-11-23T20:15:04.123456Z"]}
MAYBE_TIME: Schema = {**TIME, "type": ["string", "null"]}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
JOB_ID: Schema = {"type": "string", "pattern": f"^{names.JOB_ID}$", "examples": ["mdg7wjzr"]}
ID: Schema = {"type": "string", "pattern": f"^{names.REQUEST_ID}$", "examples": ["aaq5k3v7m2xw4c6d"]}


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


_WORKSPACE = {
    "name": TEXT,
    "repo": TEXT,
    "branch": TEXT,
    "db": TEXT,
    "created_by": MAYBE_TEXT,
    "created_at": TIME,
}
_REQUEST = {
    "identifier": ID,
    "backend": TEXT,
    "sha": {"type": "string", "pattern": f"^{names.SHA}$"},
    "workspace": object_of(_WORKSPACE),
    "created_by": TEXT,
    "created_at": TIME,
    "requested_actions": TEXTS,
    "cancelled_actions": TEXTS,
    "force_run_dependencies": FLAG,
    "codelists_ok": FLAG,
    "database_name": TEXT,
    "project": MAYBE_TEXT,
    "orgs": TEXTS,
}
_REQUEST_OPTIONS: Schema = {
    "rerun_of": {**ID, "description": "The request whose actions run again. Absent if none is."},
    "note": {**TEXT, "description": "What the person said about it. Absent if nothing."},
    "commit_subject": {**TEXT, "description": "The first line of the message of the commit. Absent if not known."},
    "analysis_scope": {
        **limits.SCOPE,
        "description": "The data that its project could use beyond the usual, when it was made. Absent if none.",
    },
    "ref": {
        **TEXT,
        "examples": ["refs/tags/v1.0"],
        "description": "What the person chose: a branch (`refs/heads/...`), a tag (`refs/tags/...`) or the commit."
        " Absent at the newest commit of the workspace's branch.",
    },
}
_JOB: Schema = {
    "identifier": JOB_ID,
    "action": {**TEXT, "examples": ["analyse"]},
    "status": STATUS,
    "status_code": {**TEXT, "examples": ["executing"]},
    "status_message": {**TEXT, "description": "Cut at 8 KiB. Control characters are replaced."},
    "created_at": TIME,
    "updated_at": MAYBE_TIME,
    "started_at": MAYBE_TIME,
    "completed_at": MAYBE_TIME,
}
_JOB_OPTIONS: Schema = {
    "run_command": {**MAYBE_TEXT, "description": "Cut at 8 KiB."},
    "trace_context": {"type": ["object", "null"], "description": "Over 16 KiB of JSON, replaced by a note."},
    "metrics": {"type": ["object", "null"], "description": "Over 16 KiB of JSON, replaced by a note."},
    "requires_db": {"type": ["boolean", "null"]},
}
_REASON: Schema = {
    "reason": {"enum": [reason.value for reason in Reason]},
    "text": {**TEXT, "description": "Why, in one sentence."},
    "waits_for": {**TEXTS, "description": "Actions of this request that must finish first."},
}
_BEHIND = {"identifier": ID, "workspace": TEXT, "created_by": TEXT, "requested_actions": TEXTS}
_WAITING = {
    "type": ["object", "null"],
    "properties": {
        **_REASON,
        "position": {"type": "integer", "description": "Its place in the queue of the backend, from 1."},
        "behind": {
            "type": "array",
            "items": object_of(_BEHIND),
            "description": "The first 10 requests before it.",
        },
    },
    "description": "Why the request waits. Null while a job runs, and when all are finished.",
}
_MOMENT = {
    "type": ["object", "null"],
    "properties": {"at": TIME, "earliest": TIME, "latest": TIME, "basis": TEXT},
    "description": "From past runs on the backend. Null if nobody can say.",
}
_JOB_WAITING = {
    "waiting": {**object_of(_REASON), "description": "Why the job waits. Absent if it does not."},
    "expected_start": {**_MOMENT, "description": "Of a job that waits: from past runs. Null if nobody can say."},
}


def _outcome(values: tuple[str, ...]) -> Schema:
    return {"enum": list(values), "description": "The status, but cancelled or skipped where that is why it failed."}


_OUTCOME: Schema = {"outcome": _outcome(OUTCOMES)}
SCHEMAS: Schema = {
    "JobRequest": object_of(_REQUEST | _REQUEST_OPTIONS, tuple(_REQUEST)),
    "JobRequestDetail": object_of(
        {
            **_REQUEST,
            **_REQUEST_OPTIONS,
            "status": {"enum": [*STATUSES, "unknown"]},
            "outcome": _outcome(REQUEST_OUTCOMES),
            "started_at": MAYBE_TIME,
            "completed_at": MAYBE_TIME,
            "jobs": {
                "type": "array",
                "items": object_of(_JOB | _OUTCOME | _JOB_OPTIONS | _JOB_WAITING, (*_JOB, *_OUTCOME)),
            },
            "waiting": _WAITING,
            "expected_start": _MOMENT,
            "expected_end": _MOMENT,
        },
        (*_REQUEST, "status", "outcome", "started_at", "completed_at", "jobs"),
    ),
    "ListedRequest": object_of(
        {
            **_REQUEST,
            **_REQUEST_OPTIONS,
            "status": {"enum": [*STATUSES, "unknown"]},
            "outcome": _outcome(REQUEST_OUTCOMES),
            "started_at": MAYBE_TIME,
            "completed_at": MAYBE_TIME,
            "cancelled_by": {**TEXTS, "description": "Who cancelled actions of it."},
            "job_count": {"type": "integer"},
            "succeeded_count": {"type": "integer"},
        },
        (*_REQUEST, "status", "outcome", "started_at", "completed_at", "cancelled_by", "job_count", "succeeded_count"),
    ),
    "ListedJob": object_of(
        {"job_request": ID, "workspace": TEXT, "backend": TEXT, **_JOB, **_OUTCOME, **_JOB_OPTIONS},
        ("job_request", "workspace", "backend", *_JOB, *_OUTCOME),
    ),
    "ReportedJob": object_of(
        {"job_request_id": {"type": "string", "minLength": 1, "examples": ID["examples"]}, **_JOB, **_JOB_OPTIONS},
        ("job_request_id", *_JOB),
    ),
    "Detail": object_of({"detail": TEXT}),
}
LIST = object_of(
    {
        "count": {"type": "integer"},
        "next": MAYBE_TEXT,
        "previous": MAYBE_TEXT,
        "results": {"type": "array", "items": reference("JobRequest")},
    }
)
SHOWN_REQUEST: Schema = {
    "allOf": [
        reference("JobRequestDetail"),
        object_of({"cancelled_by": {**TEXTS, "description": "Who cancelled actions of this request."}}),
    ]
}
CREATED_REQUEST: Schema = {
    "allOf": [
        reference("JobRequestDetail"),
        object_of({"warnings": {**TEXTS, "description": "Warnings about project.yaml. Absent if there are none."}}, ()),
    ]
}
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
USER = object_of(
    {"permissions": object_of(_ROLES), "roles": object_of(_ROLES), "username": TEXT, "name": TEXT, "active": FLAG}
)
_ROLE: Schema = {"enum": [role.value for role in Role]}
ROLE_LIST: Schema = {"type": "array", "items": _ROLE}
_MEMBER = object_of({"username": TEXT, "roles": ROLE_LIST})
_INVITATION = object_of({"username": TEXT, "roles": ROLE_LIST, "invited_by": TEXT, "created_at": TIME})
_CONTROLLER = object_of(
    {
        "url": TEXT,
        "databases": {"type": "object", "additionalProperties": TEXT},
        "repositories": {**TEXT, "description": "What the addresses of the repositories that it takes begin with."},
        "problem": {**MAYBE_TEXT, "description": "Why this server can't use it, or its answers."},
        "problem_since": MAYBE_TIME,
    }
)
_FILE = object_of({"path": TEXT, "size": {"type": "integer"}, "sha256": TEXT})
_OWN_TOKEN = object_of({"label": TEXT, "scope": {"enum": list(Scope)}, "created_at": TIME, "expires_at": MAYBE_TIME})
VIEWS: Schema = {"additionalProperties": TEXT, "examples": [{"My failures": "status:failed by:me"}]}
_ACCOUNT: Schema = {"username": TEXT, "name": TEXT, "active": FLAG, "roles": ROLE_LIST, **limits.PERSON}
SCHEMAS |= {
    "Workspace": object_of(
        {
            "name": {**TEXT, "examples": ["trends"]},
            "project": {**MAYBE_TEXT, "description": "As org/project; null if it belongs to none."},
            "repo": TEXT,
            "branch": TEXT,
            "db": {**TEXT, "description": "The database that its jobs use unless a request names another one."},
            "created_by": TEXT,
            "created_at": TIME,
            "archived": {**FLAG, "description": "Nobody can request jobs on it."},
            "should_notify": {**FLAG, "description": "New job requests send an email when they end."},
        }
    ),
    "Project": object_of(
        {
            "project": {**TEXT, "examples": ["datalab/trends"]},
            "org": TEXT,
            "slug": TEXT,
            "name": TEXT,
            **limits.PROJECT,
            "output_approvals": {"type": "integer", "description": "How many people must approve each file."},
            "members": {"type": "array", "items": _MEMBER},
            "invitations": {
                "type": "array",
                "items": _INVITATION,
                "description": "Your own; all of them if you manage the project.",
            },
        }
    ),
    "Org": object_of({"slug": TEXT, "name": TEXT, "members": {"type": "array", "items": _MEMBER}}),
    "Account": object_of(_ACCOUNT),
    "Settings": object_of(
        {
            **_ACCOUNT,
            "email": MAYBE_TEXT,
            "email_when": {"enum": list(EmailChoice), "description": "Of a job request that you follow or requested."},
            "following": {**TEXTS, "description": "As `request/...` and `workspace/...`."},
            "tokens": {"type": "array", "items": _OWN_TOKEN},
            "pinned": {**TEXTS, "description": "Workspaces, by name."},
            "views": VIEWS | {"type": "object"},
        }
    ),
    "Release": object_of(
        {
            "identifier": TEXT,
            "backend": TEXT,
            "vouched_by": {**TEXT, "description": "The backend, which alone says that the files may leave."},
            "released_by": TEXT,
            "received_at": TIME,
            "size": {"type": "integer", "description": "Bytes of all files."},
            "commit": {**TEXT, "description": "The commit that records it."},
            "files": {"type": "array", "items": _FILE},
        }
    ),
    "Backend": object_of(
        {
            "slug": TEXT,
            "name": TEXT,
            "databases": TEXTS,
            "active": FLAG,
            "accepts_requests": {**FLAG, "description": "False while it is paused."},
            "is_online": {**FLAG, "description": "Its runner called within the last minutes."},
            "last_seen": MAYBE_TIME,
            "controller": {
                "anyOf": [_CONTROLLER, {"type": "null"}],
                "description": "What the server calls to have requests run; null if a runner calls the server.",
            },
            "active_requests": {"type": "integer"},
            "running_requests": {"type": "integer"},
        }
    ),
    "SiteMessage": object_of({"text": TEXT, "level": {"enum": list(MessageLevel)}}),
}


def page_of(item: Schema) -> Schema:
    """One page of a list."""
    return object_of(
        {
            "next": {**MAYBE_TEXT, "description": "The URL of the next page; null on the last one."},
            "results": {"type": "array", "items": item},
        }
    )


STATUSES_BY_ACTION: Schema = {"type": "object", "additionalProperties": STATUS}
