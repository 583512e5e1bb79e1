"""The webhooks of a workspace, for pages, the API and commands: who manages them, and adding and removing one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from jobserver.domain.base.permissions import Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.workspaces import Workspace
from jobserver.errors import conflict, invalid, not_found
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.webhooks.client import WebhookClient
from jobserver.service.notify.webhooks.store import FAILED, FINISHED, Webhook, WebhookKind, Webhooks
from jobserver.store.git.refs import Refs

if TYPE_CHECKING:
    from jobserver.domain.base.state import Main
    from jobserver.domain.users import User

KINDS: tuple[WebhookKind, ...] = ("slack", "standard")
EVENTS = (FINISHED, FAILED)


def may_manage(state: Main, user: User | None, project: str | None) -> bool:
    """Administrators, and those who manage the workspaces of the project."""
    permissions = permissions_of(state, user, project) if user is not None else frozenset()
    manages = project is not None and Permission.MANAGE_PROJECT_WORKSPACES in permissions
    return manages or Permission.ADMINISTER in permissions


class WorkspaceWebhooks:
    """Each method raises `Error` if the store can't be used."""

    def __init__(self, webhooks: Webhooks, private: PrivateStore, client: WebhookClient, refs: Refs) -> None:
        self._webhooks, self._private, self._client, self._refs = webhooks, private, client, refs

    def of(self, name: str) -> list[Webhook]:
        return [webhook for webhook in self._webhooks.all() if webhook.scope == f"workspace/{name}"]

    def add(self, workspace: Workspace, kind: str, url: str, event: str, by: str, now: datetime) -> Webhook:
        """Raises `Error`: invalid, unavailable for a URL that the server would not call, conflict for one that the
        workspace has."""
        if kind not in KINDS:
            raise invalid(f"expected {' or '.join(KINDS)}", "kind")
        if event not in EVENTS:
            raise invalid(f"expected {' or '.join(EVENTS)}", "event")
        self._client.check(url)
        if any(webhook.url == url and webhook.events == (event,) for webhook in self.of(workspace.name)):
            raise conflict(f"{workspace.name} has a webhook with this URL", "url")
        self._private.start_notifying(self._refs.branches())
        known: WebhookKind = "slack" if kind == "slack" else "standard"
        return self._webhooks.add(known, url, f"workspace/{workspace.name}", [event], by, now)

    def remove(self, name: str, number: str) -> None:
        """Raises `Error` (not_found)."""
        webhook = next((webhook for webhook in self.of(name) if str(webhook.number) == number), None)
        if webhook is None:
            raise not_found(f"webhook {number[:20]} does not exist in {name}")
        self._webhooks.remove(webhook.number)
