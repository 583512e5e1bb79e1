"""The webhooks of a workspace: URLs outside, Slack's among them, that the server calls when its requests finish."""

from bottle import HTTPResponse

from jobserver.domain.workspaces import Workspace
from jobserver.errors import forbidden, not_found
from jobserver.service.notify.webhooks.of_workspace import may_manage
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text, unknown_button
from jobserver.web.pages.routes.releases.access import has_tab
from jobserver.web.pages.site import Site


class WebhookPages:
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
            webhooks=self._services.workspace_webhooks.of(name),
            new_secret=secret,
            has_releases=has_tab(self._services, context, workspace),
        )
        return self._services.new_secrets.forget(reply) if secret else reply

    def change(self, context: PageContext, name: str) -> HTTPResponse:
        workspace, webhooks = _managed(context, name), self._services.workspace_webhooks
        page = f"/{name}/settings/webhooks/"
        match text("what"):
            case "add":
                username, now = context.actor.name, self._services.clock()
                added = webhooks.add(workspace, text("kind"), text("url"), text("event"), username, now)
                if added.secret:
                    return self._services.new_secrets.lead_to(page, context.session, added.secret)
                return self._site.saved(page, "Added the webhook.")
            case "remove":
                webhooks.remove(name, text("number", 20))
                return self._site.saved(page, "Removed the webhook.")
        raise unknown_button()


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
    return may_manage(context.directory, context.user, workspace.project)
