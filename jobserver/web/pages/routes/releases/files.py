"""A released file: shown with what differs from its last version, by itself, or downloaded; all files as one zip."""

from bottle import HTTPResponse, request

from jobserver.domain.outputs.documents import CheckedFile, CheckedRelease
from jobserver.errors import not_found
from jobserver.index.queries.releases import versions_of
from jobserver.service.releases.checked import CheckedReleaseService, ReleaseName
from jobserver.web.downloads import file_answer, zip_answer
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.released.difference import MAX_COMPARED, difference
from jobserver.web.pages.released.viewer import MAX_SHOWN, as_text, content_type, shown_file
from jobserver.web.pages.render import CSP
from jobserver.web.pages.routes.releases.access import viewed_workspace
from jobserver.web.pages.routes.releases.checked import find_release
from jobserver.web.pages.routes.releases.vouched import VouchedReleases
from jobserver.web.pages.site import Site


class ReleasedFiles:
    def __init__(self, site: Site, vouched: VouchedReleases) -> None:
        self._site, self._services, self._vouched = site, site.services, vouched
        site.add("/<name>/releases/<identifier>/zip", self.zip)
        site.add("/<name>/releases/<identifier>/<backend>/<path:path>", self.show)

    def show(self, context: PageContext, name: str, identifier: str, backend: str, path: str) -> HTTPResponse:
        """The download; with ``?view`` the page of the file, and with ``?raw`` what that page shows in a frame."""
        workspace = viewed_workspace(self._services, context, name)
        release, service = find_release(self._services, name, identifier), self._services.checked_releases
        if release is None or service is None:
            vouched = self._vouched.release_with(name, identifier, backend, path)
            self._services.views.record(context.actor, name, backend, identifier, "web")
            return self._vouched.download(vouched, path)
        file = release.file(path) if release.backend == backend else None
        if file is None or file not in release.live_files():  # before the record names who looks at it
            raise not_found(f"release {identifier} has no file {path!r}")
        self._services.views.record(context.actor, name, backend, identifier, "web")
        if "view" not in request.query:
            shown_as = content_type(path) if "raw" in request.query else ""
            return file_answer(service.open(release, path), file, self._headers(), shown_as)
        with service.open(release, path) as content:
            shown = shown_file(path, file.size, content.read(MAX_SHOWN))
        previous = self._previous(service, release, file)
        if previous is not None:  # what changed shows its contents, too
            self._services.views.record(context.actor, name, previous[0].backend, previous[0].identifier, "web")
        reply = self._site.page(
            context,
            "releases/file.html",
            title=f"{path.rpartition('/')[2]} · {name}",
            workspace=workspace,
            release=release,
            file=file,
            shown=shown,
            previous=previous,
            changes=self._changes(service, (release, file), previous) if previous else None,
        )
        reply.headers["Content-Security-Policy"] = f"{CSP}; frame-src 'self'"
        return reply

    def zip(self, context: PageContext, name: str, identifier: str) -> HTTPResponse:
        viewed_workspace(self._services, context, name)
        release, service = find_release(self._services, name, identifier), self._services.checked_releases
        if release is None or service is None or not release.live_files():
            raise not_found(f"workspace {name} has no release {identifier!r} with files")
        self._services.views.record(context.actor, name, release.backend, identifier, "web")
        return zip_answer(service, release, f"{name}-{identifier}.zip", self._headers())

    def _headers(self) -> dict[str, str]:
        return self._site.render.headers() | {"Vary": "Cookie"}

    def _previous(
        self, service: CheckedReleaseService, release: CheckedRelease, file: CheckedFile
    ) -> tuple[CheckedRelease, CheckedFile] | None:
        """The version of the file that was released last before this one, unless it was withdrawn."""
        assert file.uploaded is not None
        slugs = self._services.visible.slugs()
        with self._services.index.view() as sql:
            versions = versions_of(sql, release.workspace, file.path, slugs)
        own = (release.backend, release.identifier)
        older = [old for old in versions if old.uploaded_at <= file.uploaded.at and (old.backend, old.release) != own]
        if not older or older[0].is_gone:
            return None
        previous = service.find(ReleaseName(older[0].backend, release.workspace, older[0].release))
        old_file = previous.file(file.path) if previous is not None else None
        return (previous, old_file) if previous is not None and old_file is not None else None

    def _changes(
        self,
        service: CheckedReleaseService,
        new: tuple[CheckedRelease, CheckedFile],
        old: tuple[CheckedRelease, CheckedFile],
    ) -> tuple[list[str], bool] | None:
        """As `difference`; None where the versions can't be compared line by line."""
        texts = []
        for release, file in (old, new):
            if file.size > MAX_COMPARED:
                return None
            with service.open(release, file.path) as content:
                text = as_text(content.read(MAX_COMPARED), False)
            if text is None:
                return None
            texts.append(text)
        lines, is_cut = difference(*texts)
        return list(lines), is_cut
