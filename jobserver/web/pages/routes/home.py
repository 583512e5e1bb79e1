"""The front page: the latest requests, a person's own workspaces and requests, and the backends."""

from collections.abc import Collection, Sequence

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
        pinned = self._services.preferences.pinned(username) if username else frozenset[str]()
        workspaces = [workspace for workspace in context.directory.workspaces.values() if not workspace.archived]
        return self._site.page(
            context,
            "home/home.html",
            title="Home",
            about=slugs if context.is_admin else {row.backend for row in unfinished},
            latest=latest,
            unfinished=unfinished[::-1],
            own=_own(workspaces, username, [row.workspace for row in recent], pinned),
            pinned=pinned,
            workspaces=workspaces,
            queues=queues,
        )


def _own(
    workspaces: Sequence[Workspace], username: str, recent: Sequence[str], pinned: Collection[str]
) -> list[Workspace]:
    """Those that the person pinned, created or has used lately, in this order; the last used first.

    ``recent``: names, newest first.
    """
    places = {name: place for place, name in enumerate(dict.fromkeys(recent))}
    known = places.keys() | pinned
    own = [workspace for workspace in workspaces if workspace.created_by == username or workspace.name in known]

    def place(workspace: Workspace) -> tuple[bool, int, str]:
        return workspace.name not in pinned, places.get(workspace.name, len(places)), workspace.name

    return sorted(own, key=place)
