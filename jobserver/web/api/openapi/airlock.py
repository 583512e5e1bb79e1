"""The operations that Airlock calls with a backend's token, in the shapes of job-server's."""

from jobserver.web.api.openapi.operations import COMMIT, body, operation, reply
from jobserver.web.api.openapi.schemas import FLAG, TEXT, TEXTS, Schema, object_of

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
