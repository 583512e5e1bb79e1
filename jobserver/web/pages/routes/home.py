"""The front page: the latest requests, a person's own workspaces and requests, and the backends."""

from collections.abc import Sequence

from bottle import HTTPResponse

from jobserver.domain.workspaces import Workspace
from jobserver.index.queries.requests import RequestFilter, active_requests, list_requests, queue
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.site import Site


class Home:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/", self.show)

    def show(self, context: PageContext) -> HTTPResponse:
        slugs = self._services.visible.slugs()
        username = context.user.username if context.user else ""
        with self._services.index.view() as sql:
            latest = list_requests(sql, RequestFilter(), slugs, 10)[:10]
            unfinished = active_requests(sql, slugs, username) if username else []
            recent = list_requests(sql, RequestFilter(username=username), slugs, 20) if username else []
            queues = {slug: queue(sql, slug) for slug in slugs}
        workspaces = [workspace for workspace in context.directory.workspaces.values() if not workspace.archived]
        return self._site.page(
            context,
            "home/home.html",
            title="Home",
            latest=latest,
            unfinished=unfinished[::-1],
            own=_own(workspaces, username, [row.workspace for row in recent]),
            workspaces=workspaces,
            queues=queues,
        )


def _own(workspaces: Sequence[Workspace], username: str, recent: Sequence[str]) -> list[Workspace]:
    """Those that the person created or has used lately; the last used first. ``recent``: names, newest first."""
    places = {name: place for place, name in enumerate(dict.fromkeys(recent))}
    own = [workspace for workspace in workspaces if workspace.created_by == username or workspace.name in places]
    return sorted(own, key=lambda workspace: (places.get(workspace.name, len(places)), workspace.name))
