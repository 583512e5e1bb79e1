"""Who may look at what was released of a workspace, also where pages are public."""

from jobserver.domain.releases import may_view
from jobserver.domain.workspaces import Workspace
from jobserver.errors import forbidden, not_found
from jobserver.web.pages.context import PageContext
from jobserver.web.services import Services


def viewed_workspace(services: Services, context: PageContext, name: str) -> Workspace:
    """Raises `Error`: not_found; unauthenticated, or forbidden for a person who cannot view these releases."""
    workspace = context.directory.workspace(name)
    if workspace is None:
        raise not_found(f"workspace {name!r} does not exist")
    actor = context.actor
    if not can_view(context, workspace):
        raise forbidden(f"{actor.name} cannot view the releases of {name}: that needs a role that checks output")
    if services.releases is None:
        raise not_found("this server does not store releases: RELEASE_STORAGE is not set")
    return workspace


def can_view(context: PageContext, workspace: Workspace) -> bool:
    return context.user is not None and may_view(context.directory, context.user, workspace)


def has_tab(services: Services, context: PageContext, workspace: Workspace | None) -> bool:
    """Whether the workspace's pages have a tab with its releases."""
    return services.releases is not None and workspace is not None and can_view(context, workspace)
