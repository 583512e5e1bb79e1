"""The webhooks of a workspace: list, add and remove them."""

from datetime import UTC, datetime
from typing import Any

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor
from jobserver.domain.workspaces import Workspace
from jobserver.errors import forbidden, not_found
from jobserver.index.items import time_text
from jobserver.service.notify.webhooks.of_workspace import may_manage
from jobserver.service.notify.webhooks.store import FINISHED, Webhook
from jobserver.web import http
from jobserver.web.api import lists
from jobserver.web.api.common import Keys, person_of
from jobserver.web.services import Services


class WebhooksApi:
    """They are in the private store, so there is no commit to name."""

    def __init__(self, services: Services, keys: Keys) -> None:
        self._services, self._keys = services, keys

    def index(self, actor: Actor, name: str) -> HTTPResponse:
        self._managed(actor, name)
        return self._list(name)

    def add(self, actor: Actor, name: str) -> HTTPResponse:
        workspace = self._managed(actor, name)
        fields, _ = self._keys.fields(actor)
        url, kind, event = fields.text("url"), fields.text("kind", None), fields.text("event", None)
        fields.done()
        added = self._services.workspace_webhooks.add(
            workspace, kind or "standard", url, event or FINISHED, actor.name, self._services.clock()
        )
        location = f"{self._services.options.base_url}/api/v2/workspaces/{name}/webhooks/{added.number}/"
        return http.answer({**_item(added), "secret": added.secret or None}, 201, {"Location": location})

    def remove(self, actor: Actor, name: str, number: str) -> HTTPResponse:
        self._managed(actor, name)
        fields, _ = self._keys.fields(actor)
        fields.done()
        self._services.workspace_webhooks.remove(name, number)
        return self._list(name)

    def _list(self, name: str) -> HTTPResponse:
        webhooks = ((f"{webhook.number:012}", webhook) for webhook in self._services.workspace_webhooks.of(name))
        return lists.page_of(self._services.options.base_url, webhooks, _item)

    def _managed(self, actor: Actor, name: str) -> Workspace:
        """Raises `Error` (not_found, forbidden)."""
        directory = self._services.index.directory()
        user, workspace = person_of(directory, actor), directory.workspace(name)
        if workspace is None:
            raise not_found(f"Workspace {name[:100]} does not exist")
        if not may_manage(directory, user, workspace.project):
            raise forbidden(f"Only administrators and coordinators of the project of {name} can see its webhooks")
        return workspace


def _item(webhook: Webhook) -> dict[str, Any]:
    return {
        "number": webhook.number,
        "kind": webhook.kind,
        "url": webhook.shown_url,
        "events": list(webhook.events),
        "created_by": webhook.created_by,
        "created_at": time_text(datetime.fromtimestamp(webhook.created_at, UTC)),
    }
