"""What was released of a workspace: a list, each release's files, and their downloads. Reads the storage, never git.

For those who check or publish output (domain/base/permissions.py), also where pages are public; a file is only ever
handed over to be saved, because it is somebody else's HTML as likely as not.
"""

from urllib.parse import quote

from bottle import HTTPResponse

from jobserver.domain.base.permissions import SEE_RELEASES
from jobserver.domain.releases import is_release_id
from jobserver.domain.workspaces import Workspace
from jobserver.errors import forbidden, not_found
from jobserver.service.releases.upload import ReleaseService as Service
from jobserver.store.release_record import StoredRelease
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text
from jobserver.web.pages.site import Site
from jobserver.web.services import Services

_PAGE = 50
_FILE_CSP = "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


class Releases:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/<name>/releases/", self.listed)
        site.add("/<name>/releases/<identifier>", self.one)
        site.add("/<name>/releases/<identifier>/<backend>/<path:path>", self.download)

    def listed(self, context: PageContext, name: str) -> HTTPResponse:
        workspace, service = self._allowed(context, name)
        found = service.store.of_workspace(name, self._services.visible.slugs())
        number = text("page", 6)
        page = int(number) if number.isascii() and number.isdecimal() and int(number) > 0 else 1
        return self._site.page(
            context,
            "releases.html",
            title=f"Releases of {name}",
            workspace=workspace,
            releases=found[(page - 1) * _PAGE : page * _PAGE],
            page_number=page,
            has_more=len(found) > page * _PAGE,
        )

    def one(self, context: PageContext, name: str, identifier: str) -> HTTPResponse:
        workspace, service = self._allowed(context, name)
        found = [
            kept for slug in self._services.visible.slugs() if (kept := self._find(service, name, slug, identifier))
        ]
        if not found:
            raise not_found(f"there is no release {identifier!r} of {name}")
        return self._site.page(
            context,
            "release.html",
            title=f"Release {identifier[:10]} of {name}",
            workspace=workspace,
            identifier=identifier,
            releases=found,
        )

    def download(self, context: PageContext, name: str, identifier: str, backend: str, path: str) -> HTTPResponse:
        _, service = self._allowed(context, name)
        kept = self._find(service, name, backend, identifier)
        if kept is None:
            raise not_found(f"there is no release {identifier!r} of {name} by {backend!r}")
        file = service.store.open(kept, path)
        size = next(one.size for one in kept.files if one.path == path)
        headers = self._site.render.headers() | {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": _attachment(path.rpartition("/")[2]),
            "Content-Length": str(size),
            "Content-Security-Policy": _FILE_CSP,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Vary": "Cookie",
        }
        return HTTPResponse(file, 200, headers)

    def _allowed(self, context: PageContext, name: str) -> tuple[Workspace, Service]:
        """Raises `Error`: not_found; unauthenticated or forbidden for who may not see releases of this workspace."""
        workspace = context.directory.workspace(name)
        if workspace is None:
            raise not_found(f"there is no workspace {name!r}, and no other page at this address")
        actor = context.actor
        if not may_see(context, workspace):
            raise forbidden(
                f"{actor.name} may not see what was released of {name}: that needs a role that checks output"
            )
        if self._services.releases is None:
            raise not_found("this server stores no releases: RELEASE_STORAGE is not set")
        return workspace, self._services.releases

    def _find(self, service: Service, name: str, backend: str, identifier: str) -> StoredRelease | None:
        if not is_release_id(identifier) or backend not in self._services.visible.slugs():
            return None
        return service.store.find(name, backend, identifier)


def may_see(context: PageContext, workspace: Workspace) -> bool:
    return any(context.may(permission, workspace.project) for permission in SEE_RELEASES)


def has_tab(services: Services, context: PageContext, workspace: Workspace | None) -> bool:
    """Whether this workspace's pages lead to its releases."""
    return services.releases is not None and workspace is not None and may_see(context, workspace)


def _attachment(name: str) -> str:
    """For old browsers in ASCII, for others as it is."""
    plain = "".join(char if (char.isascii() and char.isalnum()) or char in "._-" else "_" for char in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
