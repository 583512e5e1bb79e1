"""The operations on the webhooks of a workspace."""

from jobserver.domain.tokens import Scope
from jobserver.service.notify.webhooks.of_workspace import EVENTS, KINDS
from jobserver.web.api.openapi import parameters as p
from jobserver.web.api.openapi import schemas as s
from jobserver.web.api.openapi.operations import body, operation, read, reply
from jobserver.web.api.openapi.schemas import Schema
from jobserver.web.api.openapi.work import WORKSPACES

_WEBHOOK: Schema = {
    "number": {"type": "integer"},
    "kind": {"enum": list(KINDS)},
    "url": {**s.TEXT, "description": "Of Slack, its beginning: the rest is secret."},
    "events": s.TEXTS,
    "created_by": s.TEXT,
    "created_at": s.TEXT,
}
_SECRET: Schema = {"secret": {**s.MAYBE_TEXT, "description": "It signs the calls. Null for Slack."}}
_ADDITION = s.object_of(
    {
        "url": {
            "type": "string",
            "minLength": 1,
            "examples": ["https://hooks.example.org/jobs"],
            "description": "What the server calls.",
        },
        "kind": {"enum": [*KINDS, None], "description": "`standard` by default: Standard Webhooks, signed."},
        "event": {"enum": [*EVENTS, None], "description": f"`{EVENTS[0]}` by default."},
    },
    ("url",),
    closed=True,
)
_NUMBER = p.parameter("number", "path", {"type": "string", "examples": ["1"]}, "The number of a webhook.")


def webhooks() -> Schema:
    url, listed = "/api/v2/workspaces/{name}/webhooks", s.page_of(s.object_of(_WEBHOOK))
    added = reply("It was added. Its secret is shown only once.", s.object_of(_WEBHOOK | _SECRET))
    return {
        f"{url}/": {
            "parameters": [p.WORKSPACE],
            "get": read(
                WORKSPACES, "List the webhooks of a workspace (its managers)", listed, "404", parameters=p.PAGING
            ),
            "post": _change("Add a webhook to a workspace (its managers)", {"201": added}, requestBody=body(_ADDITION)),
        },
        f"{url}/{{number}}/": {
            "parameters": [p.WORKSPACE, _NUMBER],
            "delete": _change("Remove a webhook (its managers)", {"200": reply("Those that are left.", listed)}),
        },
    }


def _change(text: str, replies: Schema, **more: object) -> Schema:
    """Webhooks are not in git, so there is no commit to name."""
    refusals = ("400", "404", "409", "413")
    return operation(
        WORKSPACES, text, replies, *refusals, parameters=[p.IDEMPOTENCY_KEY], **{"x-scope": Scope.ADMIN}, **more
    )
