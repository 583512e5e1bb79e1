"""The operations that Airlock calls with a backend's token, in the shapes of job-server's."""

from jobserver.domain.outputs.airlock import STEPS
from jobserver.domain.outputs.documents import MAX_FILE_BYTES, MAX_FILES
from jobserver.domain.tokens import Scope
from jobserver.web.api.openapi.operations import COMMIT, body, operation, reply
from jobserver.web.api.openapi.parameters import WORKSPACE, parameter
from jobserver.web.api.openapi.schemas import BINARY, FLAG, MAYBE_TEXT, TEXT, TEXTS, Schema, object_of

AIRLOCK = "For Airlock"
_WORKSPACES: Schema = {
    "type": "object",
    "additionalProperties": object_of(
        {"project_details": object_of({"name": TEXT, "ongoing": FLAG, "orgs": TEXTS}), "archived": FLAG}
    ),
}
_LEVEL_4_USER = object_of(
    {
        "username": TEXT,
        "fullname": TEXT,
        "workspaces": _WORKSPACES,
        "copiloted_workspaces": _WORKSPACES,
        "output_checker": FLAG,
        "readonly_access": FLAG,
    }
)
_USER = {"type": "string", "minLength": 1, "examples": ["alice"]}


def events() -> Schema:
    line = object_of(
        {
            "update": {**TEXT, "description": "What happened."},
            "update_type": {**TEXT, "description": "The same; older versions of Airlock."},
            "group": {**MAYBE_TEXT, "description": "The group of files."},
            "user": {**MAYBE_TEXT, "description": "Who did it."},
        },
        (),
    )
    event = object_of(
        {
            "event_type": {
                "enum": [f"request_{step.replace('-', '_')}" for step in STEPS],
                "description": "The event.",
            },
            "workspace": {**_USER, "examples": ["trends"], "description": "The workspace."},
            "request": {
                **_USER,
                "examples": ["01J9ZQ4V8N6T3W5X7Y9A1B2C3D"],
                "description": "Airlock's ID of the request.",
            },
            "request_author": {**_USER, "description": "The username of the person who asks for the files."},
            "user": {**_USER, "description": "The username of the person who did this."},
            "org": {**MAYBE_TEXT, "description": "The owner of the repository with the issues."},
            "repo": {**MAYBE_TEXT, "description": "That repository. One of OUTPUT_CHECKING_REPOS, or it is ignored."},
            "updates": {"type": ["array", "null"], "items": line, "description": "Details, for people."},
        },
        ("event_type", "workspace", "request", "request_author", "user"),
    )
    outcome = object_of({"status": {"enum": ["ok", "error"]}, "message": TEXT}, ("status",))
    return {
        "/api/v2/airlock/events/": {
            "post": operation(
                AIRLOCK,
                "Tell what happened to a request to release files",
                {"201": reply("It is recorded, or the message says why not.", outcome, COMMIT)}, "400", "413",
                requestBody=body(event),
            )
        },
    }  # fmt: skip


_REVIEW = object_of({"status": {"enum": ["APPROVED", "REJECTED"]}, "comments": {"type": "object"}}, ("status",))
_FILE = object_of(
    {
        "name": {"type": "string", "minLength": 1, "examples": ["output/table.csv"]},
        "size": {"type": "integer", "minimum": 0, "maximum": MAX_FILE_BYTES},
        "sha256": {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$", "examples": ["ab" * 32]},
        "date": {"type": ["string", "null"], "format": "date-time", "examples": ["2026-11-23T20:15:04+00:00"]},
        "review": {"anyOf": [_REVIEW, {"type": "null"}]},
    },
    ("name", "size", "sha256"),
)
_RELEASE = object_of(
    {
        "files": {
            "type": "array",
            "items": _FILE,
            "minItems": 1,
            "maxItems": MAX_FILES,
            "description": "Each with a review if the call decides on it.",
        },
        "metadata": {
            "anyOf": [object_of({"airlock_id": MAYBE_TEXT}, ()), {"type": "null"}],
            "description": "Airlock's ID of the request, which becomes the release's.",
        },
        "review": {"type": ["object", "null"], "description": "Comments on the whole release."},
    },
    ("files",),
)
_LISTED = object_of(
    {
        "files": {
            "type": "array",
            "items": object_of(
                {
                    **dict.fromkeys(("name", "id", "url", "user", "date", "sha256", "backend"), TEXT),
                    "size": {"type": "integer"},
                    "is_deleted": FLAG,
                    "metadata": {"type": "object"},
                    "review": {"type": "null"},
                }
            ),
        }
    }
)
_PERSON = parameter("OS-User", "header", _USER, "The user who lets the files out.", required=True)
_NAMED = {
    "Location": {"schema": TEXT, "description": "The file."},
    "File-Id": {"schema": TEXT, "description": "Its ID."},
}
_RELEASE_ID = {"Release-Id": {"schema": TEXT, "description": "The release's ID."}}


def releases() -> Schema:
    workspace = parameter("workspace", "path", {**TEXT, "examples": ["trends"]}, "A workspace.")
    release = parameter("identifier", "path", {**TEXT, "examples": ["01J9ZQ4V8N6T3W5X7Y9A1B2C3D"]}, "A release's ID.")
    file = parameter("file", "path", {**TEXT, "examples": ["01J9ZQ4V8N6T3W5X7Y9A1B2C3D-0"]}, "A file's ID.")
    name = parameter("Content-Disposition", "header", TEXT, 'As in `attachment; filename="output/table.csv"`.', True)
    binary = {"application/octet-stream": {"schema": BINARY}}
    created = object_of({"release_id": TEXT, "release_url": TEXT})
    return {
        "/api/v2/releases/workspace/{workspace}": {
            "parameters": [workspace],
            "get": operation(
                AIRLOCK, "List the newest version of each file", {"200": reply("The files.", _LISTED)}, "400", "404"
            ),
            "post": operation(
                AIRLOCK,
                "Ask for the release of files that output checkers have approved",
                {"201": reply("The release, also if the call is repeated.", created, _RELEASE_ID)}, "400", "404", "413",
                parameters=[_PERSON], requestBody=body(_RELEASE),
            ),
        },
        "/api/v2/releases/release/{identifier}": {
            "parameters": [release],
            "get": operation(
                AIRLOCK, "List the files of a release", {"200": reply("The files.", _LISTED)}, "400", "404"
            ),
            "post": operation(
                AIRLOCK,
                "Upload a file of a release, which enough people have approved",
                {"201": reply("The file has left the backend.", None, _NAMED)}, "400", "404",
                parameters=[_PERSON, name], requestBody={"required": True, "content": binary},
            ),
        },
        **_of_files(release, file),
        **{f"/api/v2/workspaces/{{name}}/{path}": _snapshots() for path in ("snapshots", "snapshots/create")},
    }  # fmt: skip


def _of_files(release: Schema, file: Schema) -> Schema:
    binary = {"application/octet-stream": {"schema": BINARY}}
    return {
        "/api/v2/releases/release/{identifier}/reviews": {
            "parameters": [release],
            "post": operation(
                AIRLOCK,
                "Review files of a release (output checkers, with a token of their own)",
                {"200": reply("The reviews are recorded.", object_of({}))}, "400", "404", "413",
                requestBody=body(_RELEASE), **{"x-scope": Scope.ADMIN},
            ),
        },
        "/api/v2/releases/file/{file}": {
            "parameters": [file],
            "get": operation(
                AIRLOCK,
                "Download a released file",
                {"200": {"description": "The file.", "content": binary}},
                "400",
                "404",
            ),
        },
    }  # fmt: skip


def _snapshots() -> Schema:
    ids = {"type": "array", "items": TEXT, "minItems": 1, "description": "The files, all of one release."}
    return {
        "parameters": [WORKSPACE],
        "post": operation(
            AIRLOCK,
            "Ask for released files to be published (developers of the project)",
            {"201": reply("A publisher decides.", object_of({"url": TEXT}))}, "400", "404", "413",
            requestBody=body(object_of({"file_ids": ids})), **{"x-scope": Scope.ADMIN},
        ),
    }  # fmt: skip


def logins() -> Schema:
    credentials = object_of(
        {
            "user": {**_USER, "description": "Their username or email address."},
            "token": {
                "type": "string",
                "minLength": 1,
                "examples": ["acorn badge cedar"],
                "description": "The one-time token from their settings page. Spaces and upper case do not matter.",
            },
        }
    )
    person = object_of({"user": {**_USER, "description": "Their username."}})
    return {
        "/api/v2/releases/authenticate": {
            "post": operation(
                AIRLOCK,
                "Log a person in by their one-time token, which then works no more",
                {"200": reply("The person, and what they may see in Airlock.", _LEVEL_4_USER, COMMIT)}, "400", "413",
                requestBody=body(credentials),
            )
        },
        "/api/v2/releases/authorise": {
            "post": operation(
                AIRLOCK,
                "Get what a person may see in Airlock",
                {"200": reply("The person.", _LEVEL_4_USER)}, "400", "404", "413",
                requestBody=body(person),
            )
        },
    }  # fmt: skip
