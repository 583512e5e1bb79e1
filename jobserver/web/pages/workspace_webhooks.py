"""The webhooks of a workspace: URLs outside, Slack's among them, that the server calls when its requests finish."""

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Permission
from jobserver.domain.workspaces import Workspace
from jobserver.errors import forbidden, invalid, not_found
from jobserver.service.notify.webhooks.store import FAILED, FINISHED, Webhook, WebhookKind
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text, unknown_button
from jobserver.web.pages.routes.releases import has_tab
from jobserver.web.pages.site import Site


class WorkspaceWebhooks:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/<name>/settings/webhooks/", self.show, self.change)

    def show(self, context: PageContext, name: str) -> HTTPResponse:
        workspace = _managed(context, name)
        secret, _ = self._services.new_secrets.take(context.session)
        reply = self._site.page(
            context,
            "workspaces/webhooks.html",
            title=f"Webhooks · {name}",
            workspace=workspace,
            webhooks=self._of(name),
            new_secret=secret,
            has_releases=has_tab(self._services, context, workspace),
        )
        return self._services.new_secrets.forget(reply) if secret else reply

    def change(self, context: PageContext, name: str) -> HTTPResponse:
        _managed(context, name)
        page = f"/{name}/settings/webhooks/"
        match text("what"):
            case "add":
                added = self._add(context, name)
                if added.secret:
                    return self._services.new_secrets.lead_to(page, context.session, added.secret)
                return self._site.saved(page, "Added the webhook.")
            case "remove":
                number = text("number", 20)
                webhook = next((webhook for webhook in self._of(name) if str(webhook.number) == number), None)
                if webhook is None:
                    raise not_found(f"webhook {number} does not exist in {name}")
                self._services.webhooks.remove(webhook.number)
                return self._site.saved(page, "Removed the webhook.")
        raise unknown_button()

    def _of(self, name: str) -> list[Webhook]:
        return [webhook for webhook in self._services.webhooks.all() if webhook.scope == f"workspace/{name}"]

    def _add(self, context: PageContext, name: str) -> Webhook:
        """Raises `Error` (invalid, unavailable) for a URL that the server would not call."""
        services, url = self._services, text("url")
        kind: WebhookKind = "slack" if text("kind") == "slack" else "standard"
        event = text("event")
        if event not in (FINISHED, FAILED):
            raise invalid(f"expected {FINISHED} or {FAILED}", "event")
        services.webhook_client.check(url)
        services.private.start_notifying(services.repo.writer.refs.branches())
        username = context.actor.name
        return services.webhooks.add(kind, url, f"workspace/{name}", [event], username, services.clock())


def _managed(context: PageContext, name: str) -> Workspace:
    """Raises `Error` (not_found, forbidden): the people who may add one by command, too."""
    workspace = context.directory.workspace(name)
    if workspace is None:
        raise not_found(f"workspace {name!r} does not exist")
    if not manages_webhooks(context, workspace):
        _ = context.actor  # a person who has not logged in should do that first
        raise forbidden(f"only administrators and coordinators of the project of {name} can see its webhooks")
    return workspace


def manages_webhooks(context: PageContext, workspace: Workspace) -> bool:
    project = workspace.project
    is_coordinator = project is not None and context.may(Permission.MANAGE_PROJECT_WORKSPACES, project)
    return is_coordinator or context.is_admin
