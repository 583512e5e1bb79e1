"""The released files of a workspace: the list of releases, one release, and its files. Reads the storage, never git.

Needs a role that checks or publishes output (domain/base/permissions.py), also where pages are public. Files are always
downloaded and never shown, because a released file can be HTML with scripts.
"""

from bottle import HTTPResponse

from jobserver.domain.releases import is_release_id, may_view
from jobserver.domain.workspaces import Workspace
from jobserver.errors import forbidden, not_found
from jobserver.service.releases.upload import ReleaseService as Service
from jobserver.store.release_record import StoredRelease
from jobserver.web.downloads import download
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import page_number
from jobserver.web.pages.site import Site
from jobserver.web.services import Services

_PAGE = 50


class Releases:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/<name>/releases/", self.index)
        site.add("/<name>/releases/<identifier>", self.show)
        site.add("/<name>/releases/<identifier>/<backend>/<path:path>", self.download)

    def index(self, context: PageContext, name: str) -> HTTPResponse:
        workspace, service = self._allowed(context, name)
        releases = service.store.of_workspace(name, self._services.visible.slugs())
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

    def show(self, context: PageContext, name: str, identifier: str) -> HTTPResponse:
        workspace, service = self._allowed(context, name)
        slugs = self._services.visible.slugs()
        releases = [release for slug in slugs if (release := self._find(service, name, slug, identifier))]
        if not releases:
            raise not_found(f"workspace {name} has no release {identifier!r}")
        return self._site.page(
            context,
            "releases/release.html",
            title=f"Release {identifier[:10]} · {name}",
            workspace=workspace,
            identifier=identifier,
            releases=releases,
        )

    def download(self, context: PageContext, name: str, identifier: str, backend: str, path: str) -> HTTPResponse:
        _, service = self._allowed(context, name)
        release = self._find(service, name, backend, identifier)
        if release is None:
            raise not_found(f"workspace {name} has no release {identifier!r} from backend {backend!r}")
        return download(service.store, release, path, self._site.render.headers() | {"Vary": "Cookie"})

    def _allowed(self, context: PageContext, name: str) -> tuple[Workspace, Service]:
        """Raises `Error`: not_found; unauthenticated, or forbidden for a person who cannot view these releases."""
        workspace = context.directory.workspace(name)
        if workspace is None:
            raise not_found(f"workspace {name!r} does not exist")
        actor = context.actor
        if not can_view(context, workspace):
            raise forbidden(f"{actor.name} cannot view the releases of {name}: that needs a role that checks output")
        if self._services.releases is None:
            raise not_found("this server does not store releases: RELEASE_STORAGE is not set")
        return workspace, self._services.releases

    def _find(self, service: Service, name: str, backend: str, identifier: str) -> StoredRelease | None:
        if not is_release_id(identifier) or backend not in self._services.visible.slugs():
            return None
        return service.store.find(name, backend, identifier)


def can_view(context: PageContext, workspace: Workspace) -> bool:
    return context.user is not None and may_view(context.directory, context.user, workspace)


def has_tab(services: Services, context: PageContext, workspace: Workspace | None) -> bool:
    """Whether the workspace's pages have a tab with its releases."""
    return services.releases is not None and workspace is not None and can_view(context, workspace)
