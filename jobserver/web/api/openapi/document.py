"""The whole of openapi.json."""

from functools import lru_cache

from jobserver import __version__
from jobserver.web.api.openapi import airlock, outputs, people, webhooks, work
from jobserver.web.api.openapi.schemas import SCHEMAS, Schema


@lru_cache(maxsize=1)
def describe(base_url: str) -> Schema:
    """The document, as JSON data that callers must not change. Made when somebody asks for it first: a server that
    starts is in a hurry."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jobserver",
            "version": __version__,
            "description": "Job requests for secure environments, recorded in git.",
        },
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "paths": {
            **work.job_requests(),
            **work.workspaces(),
            **webhooks.webhooks(),
            **work.releases(),
            **outputs.outputs(),
            **people.projects(),
            **people.people(),
            **people.backends(),
            **work.reports(),
            **airlock.logins(),
            **airlock.events(),
            **airlock.releases(),
            **people.server(),
        },
        "components": {
            "schemas": SCHEMAS | outputs.SCHEMAS,
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
