"""The operations that Airlock calls with a backend's token, in the shapes of job-server's."""

from jobserver.domain.outputs.airlock import STEPS
from jobserver.web.api.openapi.operations import COMMIT, body, operation, reply
from jobserver.web.api.openapi.schemas import FLAG, MAYBE_TEXT, TEXT, TEXTS, Schema, object_of

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
