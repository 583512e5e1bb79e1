"""What was released of a workspace: its releases, newest first, and the newest version of each file."""

from bottle import HTTPResponse

from jobserver.index.queries.releases import newest_files, releases_of
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import page_number
from jobserver.web.pages.routes.releases.access import viewed_workspace
from jobserver.web.pages.site import Site

_PAGE, _FILES = 50, 200


class ReleaseLists:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/<name>/releases/", self.index)
        site.add("/<name>/releases/files/", self.files)

    def index(self, context: PageContext, name: str) -> HTTPResponse:
        """Those under governance, and below them those that one backend vouches for."""
        workspace = viewed_workspace(self._services, context, name)
        slugs, service = self._services.visible.slugs(), self._services.releases
        with self._services.index.view() as sql:
            checked = releases_of(sql, name, slugs)
        vouched = service.store.of_workspace(name, slugs) if service is not None else []
        page = page_number("page")
        shown = slice((page - 1) * _PAGE, page * _PAGE)
        return self._site.page(
            context,
            "releases/releases.html",
            title=f"Releases · {name}",
            workspace=workspace,
            checked=[(release, release.state(context.directory)) for release in checked[shown]],
            vouched=vouched[shown],
            page_number=page,
            has_more=max(len(checked), len(vouched)) > page * _PAGE,
        )

    def files(self, context: PageContext, name: str) -> HTTPResponse:
        workspace = viewed_workspace(self._services, context, name)
        with self._services.index.view() as sql:
            files = newest_files(sql, name, self._services.visible.slugs())
        page = page_number("page")
        return self._site.page(
            context,
            "releases/files.html",
            title=f"Released files · {name}",
            workspace=workspace,
            count=len(files),
            files=files[(page - 1) * _FILES : page * _FILES],
            page_number=page,
            has_more=len(files) > page * _FILES,
        )
