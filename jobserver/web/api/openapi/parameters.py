"""The parameters of paths, queries and headers (OpenAPI 3.1)."""

from jobserver.domain.base import names
from jobserver.domain.job_requests.outcomes import OUTCOMES
from jobserver.domain.outputs.approvals import ReleaseState
from jobserver.web.api.lists import DEFAULT, MOST
from jobserver.web.api.openapi import schemas
from jobserver.web.api.openapi.schemas import TEXT, Schema


def parameter(name: str, place: str, schema: Schema, text: str, required: bool = False) -> Schema:
    is_required = required or place == "path"
    return {"name": name, "in": place, "required": is_required, "schema": schema, "description": text}


def _text(pattern: str, example: str) -> Schema:
    return {"type": "string", "pattern": f"^{pattern}$", "examples": [example]}


def _named(example: str) -> Schema:
    return {**TEXT, "examples": [example]}


IDENTIFIER = parameter("identifier", "path", schemas.ID, "The job request's ID.")
USERNAME = parameter("username", "path", _text(names.USERNAME, "bob"), "A user.")
WORKSPACE = parameter("name", "path", _text(names.WORKSPACE, "trends"), "A workspace.")
RELEASE_HASH = parameter(
    "hash",
    "path",
    _text(names.RELEASE_ID, "0cc175b9c0f1b6a831c399e269772661"),
    "The MD5 of the files' contents, one after the other in the order of their paths.",
)
BACKEND_USER = parameter(
    "Backend-User",
    "header",
    {"type": "string", "minLength": 1, "maxLength": 200, "examples": ["jane"]},
    "The user who releases the files: active, and with permission to upload releases of the workspace.",
    required=True,
)
IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    "header",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "Any text that is new for each change. A repeated call with the same key acts once, for 24 hours.",
)
QUERY: Schema = {**TEXT, "examples": ["status:failed workspace:trends since:7d"]}
WAITING = [
    parameter("If-None-Match", "header", TEXT, "The ETag of the last answer. The answer is 304 if nothing changed."),
    parameter(
        "Prefer", "header", TEXT, "`wait=N`, with If-None-Match: wait for a change for up to N seconds, at most 50."
    ),
]
LIST_PARAMETERS = [
    parameter("backend", "query", TEXT, "Only this backend's job requests. A backend's token can name only its own."),
    parameter("limit", "query", {"type": "integer", "minimum": 1}, "At most this many; all by default."),
    parameter("offset", "query", {"type": "integer", "minimum": 0}, "Skip this many. Not of a search."),
    parameter("q", "query", QUERY, "A search, as in the event log. Its answer has no ETag."),
    parameter("after", "query", TEXT, "Of a search: where the page begins. Taken from `next` of the page before."),
    *WAITING,
]
STATUS_FIELD = parameter(
    "field", "query", {"enum": ["status", "outcome"]}, "Which field of the latest jobs to get; status by default."
)
STATUS_BACKEND = parameter("backend", "query", TEXT, "By default the backend that was used last.")

JOB = parameter("job", "path", schemas.JOB_ID, "The job's ID.")
ORG = parameter("org", "path", _named("datalab"), "The slug of an organisation.")
PROJECT = [ORG, parameter("project", "path", _named("trends"), "The slug of a project in it.")]
BACKEND = parameter("slug", "path", _named("tpp"), "A backend.")
LABEL = parameter("label", "path", _named("laptop"), "The label of a token.")
CHECKED_RELEASE = [
    parameter("backend", "path", _named("tpp"), "The backend whose files these are."),
    parameter(
        "identifier",
        "path",
        _text(names.CHECKED_RELEASE_ID, "01J9ZQ4V8N6T3W5X7Y9A1B2C3D"),
        "The release's ID: Airlock's, or the server's.",
    ),
]
RELEASE_PATH = [
    parameter("backend", "path", _named("tpp"), "The backend that released it."),
    parameter("path", "path", _named("output/table.csv"), "The file's path in the release."),
]
PAGING = [
    parameter(
        "limit",
        "query",
        {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT},
        f"At most this many results; {DEFAULT} by default.",
    ),
    parameter("after", "query", TEXT, "Where the page begins. Taken from `next` of the page before."),
]
_FLAG: Schema = {"enum": ["true", "false"]}
WORKSPACES = [
    parameter("project", "query", TEXT, "Only this project's, as org/project."),
    parameter("org", "query", TEXT, "Only those in this organisation's projects."),
    parameter("created_by", "query", TEXT, "Only those that this person created."),
    parameter("archived", "query", _FLAG, "Only archived ones, or only others."),
    *PAGING,
]
RELEASES = [
    parameter("state", "query", {"enum": list(ReleaseState)}, "Only those in this state."),
    *PAGING,
]
RELEASED_FILES = [parameter("published", "query", _FLAG, "Only published ones, or only others."), *PAGING]
PROJECTS = [
    parameter("org", "query", TEXT, "Only this organisation's."),
    parameter("member", "query", TEXT, "Only those with this member."),
    *PAGING,
]
USERS = [parameter("active", "query", _FLAG, "Only enabled ones, or only disabled ones."), *PAGING]
JOBS = [
    parameter("q", "query", QUERY, "A search for job requests, as in the event log."),
    parameter("backend", "query", TEXT, "Only this backend's. A backend's token can name only its own."),
    parameter("outcome", "query", {"enum": list(OUTCOMES)}, "Only jobs with this outcome."),
    *PAGING,
]
