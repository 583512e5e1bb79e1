"""The front page, with a person's own workspaces and requests; the ways to go anywhere by keyboard."""

from collections.abc import Collection, Sequence

import orjson
from bottle import HTTPResponse

from jobserver.domain.workspaces import Workspace
from jobserver.index.queries.requests import RequestFilter, active_requests, list_requests, queue
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text
from jobserver.web.pages.site import Site
from jobserver.web.pages.views.destinations import destinations

_LONGEST = 100  # characters
_EXPLAINED = 25  # of a person's own requests, the newest


class Home:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/", self.show)
        site.add("/live/go/", self.go)
        site.add("/settings/keyboard/", self.keyboard)

    def show(self, context: PageContext) -> HTTPResponse:
        slugs = self._services.visible.slugs()
        username = context.user.username if context.user else ""
        with self._services.index.view() as sql:
            latest = list_requests(sql, RequestFilter(), slugs, 10)[:10]
            unfinished = active_requests(sql, slugs, username) if username else []
            recent = list_requests(sql, RequestFilter(username=username), slugs, 20) if username else []
            queues = {slug: queue(sql, slug) for slug in slugs}
            waiting = self._site.waiting(context, sql, [*latest, *unfinished[-_EXPLAINED:]])
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
            waiting=waiting,
        )

    def go(self, context: PageContext) -> HTTPResponse:
        """Where what was typed could lead, as JSON for js/palette.js."""
        with self._services.index.view() as sql:
            places = destinations(sql, context, text("q", _LONGEST), self._services.visible.slugs())
        data = [{"kind": place.kind, "name": place.name, "url": place.url} for place in places]
        headers = {"Content-Type": "application/json", **self._site.render.headers()}
        return HTTPResponse(orjson.dumps({"results": data}), 200, headers)

    def keyboard(self, context: PageContext) -> HTTPResponse:
        return self._site.page(context, "home/keyboard.html", title="Keyboard")


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
