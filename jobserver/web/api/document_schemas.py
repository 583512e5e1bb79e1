"""JSON Schemas of the documents, for editors: `/schemas/<kind>.json`.

Made of the models, with what the rules of the nouns add and a schema can say. A schema refuses less than the server,
which also compares documents with each other. They keep to JSON Schema draft-07, which the YAML extensions of editors
read best: https://json-schema.org/draft-07
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import orjson
from bottle import HTTPResponse

from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import GLOBAL_ROLES, ORG_ROLES, PROJECT_ROLES
from jobserver.domain.base.reserved import RESERVED, RESERVED_ORGS, RESERVED_PROJECTS
from jobserver.domain.base.values import MEANING
from jobserver.domain.documents import MODELS
from jobserver.errors import not_found

Schema = dict[str, Any]
_ROLES = {Kind.USER: GLOBAL_ROLES, Kind.ORG: ORG_ROLES, Kind.PROJECT: PROJECT_ROLES}
_RESERVED = {
    Kind.WORKSPACE: ("name", RESERVED),
    Kind.ORG: ("slug", RESERVED_ORGS),
    Kind.PROJECT: ("slug", RESERVED_PROJECTS),
}
# What editors show beside a key: by the name of the kind, or of the part of a document.
HELP: Mapping[str, Mapping[str, str]] = {
    "backend": {
        "version": "The version of the format.",
        "slug": "The backend's identifier, as in the name of this file.",
        "name": "The name that people see.",
        "parent_directory": "The folder with its outputs, shown in hints about log files.",
        "databases": "The databases that it has. An empty list allows any.",
        "active": "Whether it can do anything, and people can request jobs on it.",
        "accepts_requests": "false while it takes no new requests. Leave it out otherwise.",
        "alert_after_minutes": "After how many minutes without a call from its runner people are told.",
        "tokens": "The SHA-256 of each valid token. `jobserver backend rotate-token` makes one.",
        "created_at": "In UTC.",
        "rap": "The controller that the server calls. Leave it out for a runner that calls the server.",
    },
    "user": {
        "version": "The version of the format.",
        "username": "As in the name of this file.",
        "github_id": "The number of the person's account on GitHub. The server writes it at the first login.",
        "oidc_id": "Who the person is at the OpenID Connect provider. The server writes it at the first login.",
        "name": "Full name.",
        "roles": "The roles that count everywhere. Projects and organisations give others.",
        "active": "Whether the person can log in and use their tokens.",
        "sessions_since": "Sessions from before this time have ended. Change it when you set `active: true` again.",
        "tokens": "The SHA-256 of each personal access token. `jobserver user token` makes one.",
        "one_time_token": "Three words for one login to Airlock, as an HMAC. The settings page makes it.",
        "backends": "The only backends that the person may use. Leave it out for all.",
        "trained_until": "The last day on which the person's training counts. After it, they can't request jobs.",
    },
    "org": {
        "version": "The version of the format.",
        "slug": "The organisation's identifier, as in the name of this file.",
        "name": "The name that people see.",
        "members": "People whose roles count in all projects of the organisation.",
    },
    "project": {
        "version": "The version of the format.",
        "slug": "The project's identifier, as in the name of this file.",
        "name": "The name that people see.",
        "org": "The organisation, as in the name of this folder.",
        "members": "People whose roles count in this project.",
        "registration": "The answers on the registration form, without email addresses.",
        "output_approvals": "How many people must approve each file that leaves: 1, 2 (if left out) or 3.",
        "invitations": "People who have not accepted or declined yet.",
        "number": "What the project is called outside, such as POS-2025-2001. No two projects have the same.",
        "status": "People can request jobs while it is ongoing, or left out.",
        "end_date": "The last day on which people can request jobs.",
        "backends": "The only backends that the project may use. Leave it out for all.",
        "runner_types": "The only images that may run its actions, without versions. Leave it out for all.",
        "analysis_scope": "The data that the project may use beyond what every project may.",
        "requires_training": "Whether only people with a `trained_until` can request jobs.",
    },
    "message": {
        "version": "The version of the format.",
        "level": "How it looks: info, success, warning or danger.",
        "text": "What every page shows. Empty for nothing.",
    },
    "workspace": {
        "version": "The version of the format.",
        "name": "As in the name of this file.",
        "project": "The project, as org/project. Its members can run jobs.",
        "repo": "The study's repository: an https URL, or a path inside STUDY_REPOS.",
        "branch": "A branch of the repository.",
        "db": "The database to run on.",
        "created_by": "The username of the person who created the workspace.",
        "created_at": "In UTC.",
        "archived": "Whether nobody can request jobs on it.",
        "should_notify": "Whether new job requests send an email when they end.",
    },
}


def schema_of(kind: Kind, base_url: str) -> Schema:
    """The schema of this kind of document, as JSON data."""
    schema = MODELS[kind].model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("description", None)  # a docstring is for developers
        for value in part.get("properties", {}).values():
            value.pop("title", None)  # the key again
    properties: Schema = schema["properties"]
    if kind in _ROLES:
        schema["$defs"]["Role"]["enum"] = sorted(_ROLES[kind])
    if kind in _RESERVED:
        key, names = _RESERVED[kind]
        properties[key]["not"] = {"enum": sorted(names)}
    for key, text in HELP.get(kind, {}).items():
        properties[key]["description"] = text
    _complete(schema)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"{base_url}/schemas/{kind}.json",
        **schema,
        "title": f"{kind.value.capitalize()} of jobserver",
        "required": ["version", *schema["required"]],  # the models fill it in for documents that the server makes
    }


def _complete(schema: Any) -> None:
    """Adds what each pattern means (editors show this keyword of VS Code instead), and refuses keys of no pattern."""
    if isinstance(schema, list):
        for item in schema:
            _complete(item)
    elif isinstance(schema, dict):
        if (meaning := MEANING.get(str(schema.get("pattern")))) is not None:
            schema["patternErrorMessage"] = meaning
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        for value in list(schema.values()):
            _complete(value)


class DocumentSchemas:
    """Makes all schemas when the first is asked for: they change with the version of the server only."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    @cached_property
    def _bodies(self) -> dict[str, bytes]:
        return {kind.value: orjson.dumps(schema_of(kind, self._base_url)) for kind in Kind}

    def show(self, _: object, kind: str) -> HTTPResponse:
        if kind not in self._bodies:
            raise not_found(f"no kind of document is called {kind!r}: expected one of {', '.join(self._bodies)}")
        headers = {
            "Content-Type": "application/schema+json",
            "Cache-Control": "public, max-age=3600",
            "Access-Control-Allow-Origin": "*",  # editors in a browser
        }
        return HTTPResponse(self._bodies[kind], 200, headers)
