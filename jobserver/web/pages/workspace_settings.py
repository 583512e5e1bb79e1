"""The settings of a workspace: its branch and database, notifications, and archiving it."""

from bottle import HTTPResponse

from jobserver.domain.workspaces import ChangeWorkspace
from jobserver.errors import forbidden, not_found
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import idempotency_key, text, unknown_button
from jobserver.web.pages.routes.releases.access import has_tab
from jobserver.web.pages.site import Site
from jobserver.web.pages.workspace_webhooks import manages_webhooks

_DONE = {"save": "Saved.", "archive": "Archived the workspace.", "restore": "Unarchived the workspace."}


class WorkspaceSettings:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/<name>/settings/", self.show, self.change)

    def show(self, context: PageContext, name: str) -> HTTPResponse:
        workspace = context.directory.workspace(name)
        if workspace is None:
            raise not_found(f"workspace {name!r} does not exist")
        keys = context.changeable(workspace)
        if not keys:
            _ = context.actor  # a person who has not logged in should do that first
            raise forbidden(f"only people who can run jobs in {name} can change its settings")
        backends = context.directory.backends.values()
        databases = sorted({workspace.db, *(database for backend in backends for database in backend.databases)})
        return self._site.page(
            context,
            "workspaces/settings.html",
            title=f"Settings · {name}",
            workspace=workspace,
            keys=keys,
            has_webhooks=manages_webhooks(context, workspace),
            databases=[(database, database) for database in databases],
            has_releases=has_tab(self._services, context, workspace),
        )

    def change(self, context: PageContext, name: str) -> HTTPResponse:
        button = text("what")
        if button == "save":
            command = self._defaults(context, name)
        elif button in ("archive", "restore"):
            command = ChangeWorkspace(name, archived=button == "archive")
        else:
            raise unknown_button()
        self._services.workspaces.change(context.actor, command, "web", idempotency_key(context.actor))
        return self._site.saved(f"/{name}/settings/", _DONE[button])

    def _defaults(self, context: PageContext, name: str) -> ChangeWorkspace:
        """What the form changes; a field that this person does not see stays as it is."""
        workspace = context.directory.workspace(name)
        if workspace is None:
            raise not_found(f"workspace {name!r} does not exist")
        keys = context.changeable(workspace)

        def changed(key: str) -> str | None:
            value = text(key)
            return value if key in keys and value != getattr(workspace, key) else None

        should_notify = bool(text("should_notify")) if self._services.options.sends_email else None
        return ChangeWorkspace(name, None, should_notify, changed("repo"), changed("branch"), changed("db"))
