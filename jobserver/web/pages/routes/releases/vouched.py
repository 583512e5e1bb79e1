"""A release that one backend vouches for: its files were uploaded at once, as a zip. Reads the storage, never git.

Files are downloaded and never shown: nobody but the backend's own people has checked them.
"""

from bottle import HTTPResponse

from jobserver.domain.releases import is_release_id
from jobserver.domain.workspaces import Workspace
from jobserver.errors import not_found
from jobserver.store.release_record import StoredRelease
from jobserver.web.downloads import download
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.site import Site


class VouchedReleases:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services

    def show(self, context: PageContext, workspace: Workspace, identifier: str) -> HTTPResponse:
        slugs = self._services.visible.slugs()
        releases = [release for slug in slugs if (release := self._find(workspace.name, slug, identifier))]
        if not releases:
            raise not_found(f"workspace {workspace.name} has no release {identifier!r}")
        return self._site.page(
            context,
            "releases/vouched.html",
            title=f"Release {identifier[:10]} · {workspace.name}",
            workspace=workspace,
            identifier=identifier,
            releases=releases,
        )

    def release_with(self, name: str, identifier: str, backend: str, path: str) -> StoredRelease:
        """The release that has this file. Raises `Error` (not_found)."""
        release = self._find(name, backend, identifier)
        if release is None:
            raise not_found(f"workspace {name} has no release {identifier!r} from backend {backend!r}")
        if not release.has_file(path):
            raise not_found(f"this release has no file {path!r}")
        return release

    def download(self, release: StoredRelease, path: str) -> HTTPResponse:
        service = self._services.releases
        assert service is not None
        return download(service.store, release, path, self._site.render.headers() | {"Vary": "Cookie"})

    def _find(self, name: str, backend: str, identifier: str) -> StoredRelease | None:
        service = self._services.releases
        if service is None or not is_release_id(identifier) or backend not in self._services.visible.slugs():
            return None
        return service.store.find(name, backend, identifier)
