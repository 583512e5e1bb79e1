"""The releases of a workspace, newest first: those under governance, and those that one backend vouches for."""

from bottle import HTTPResponse

from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import page_number
from jobserver.web.pages.routes.releases.access import viewed_workspace
from jobserver.web.pages.site import Site

_PAGE = 50


class ReleaseLists:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/<name>/releases/", self.index)

    def index(self, context: PageContext, name: str) -> HTTPResponse:
        workspace = viewed_workspace(self._services, context, name)
        service = self._services.releases
        releases = service.store.of_workspace(name, self._services.visible.slugs()) if service is not None else []
        page = page_number("page")
        return self._site.page(
            context,
            "releases/releases.html",
            title=f"Releases · {name}",
            workspace=workspace,
            releases=releases[(page - 1) * _PAGE : page * _PAGE],
            page_number=page,
            has_more=len(releases) > page * _PAGE,
        )
