"""The list of workspaces, with filters; people pin those that they use."""

from bottle import HTTPResponse

from jobserver.errors import not_found
from jobserver.index.queries.requests import RequestFilter, list_requests
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import page_number, text
from jobserver.web.pages.redirects import local
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import workspace_list

_PAGE = 50


class WorkspaceList:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add(workspace_list.ADDRESS, self.show, self.pin, filters=workspace_list.PARAMETERS)

    def show(self, context: PageContext) -> HTTPResponse:
        username = context.user.username if context.user else ""
        pinned = self._services.preferences.pinned(username) if username else frozenset()
        chosen = workspace_list.filter_of_url(context.directory)
        matches = workspace_list.listed(context.directory, chosen, username, pinned)
        number = page_number("page")
        page = matches[(number - 1) * _PAGE : number * _PAGE]
        slugs = self._services.visible.slugs()
        with self._services.index.view() as sql:
            latest = {
                workspace.name: rows[0]
                for workspace in page
                if (rows := list_requests(sql, RequestFilter(workspace=workspace.name), slugs, 1))
            }
        is_mine = chosen.by == ("me",)
        return self._site.page(
            context,
            "workspaces/list.html",
            title="Workspaces",
            chosen=chosen,
            workspaces=page,
            total=len(matches),
            latest=latest,
            pinned=pinned,
            facets=workspace_list.facets(context.directory, chosen, username, pinned),
            chips=workspace_list.chips(chosen),
            shown=[(label, chosen.url(show=show), show == chosen.show) for show, label in workspace_list.SHOWN.items()],
            is_mine=is_mine,
            mine_url=chosen.url(by=() if is_mine else ("me",)),
            this_url=chosen.url(),
            page_number=number,
            has_more=len(matches) > number * _PAGE,
        )

    def pin(self, context: PageContext) -> HTTPResponse:
        name = text("workspace", 200)
        if context.directory.workspace(name) is None:
            raise not_found(f"workspace {name!r} does not exist")
        is_pinned = bool(text("on"))
        self._services.preferences.pin(context.actor.name, name, is_pinned)
        note = f"Pinned {name}." if is_pinned else f"Unpinned {name}."
        return self._site.saved(local(text("next") or workspace_list.ADDRESS), note)
