"""Published files, for anybody, without a login. Their address stays the same; after the publication it says when and
why it ended.
"""

from bottle import HTTPResponse

from jobserver.domain.outputs.documents import CheckedRelease
from jobserver.errors import not_found
from jobserver.index import reader
from jobserver.service.releases.checked import CheckedReleaseService
from jobserver.web.downloads import file_answer
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.routes.releases.checked import find_release
from jobserver.web.pages.site import Site


class PublishedFiles:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/<name>/published/<identifier>/", self.show, is_open=True)
        site.add("/<name>/published/<identifier>/<path:path>", self.download, is_open=True)

    def show(self, context: PageContext, name: str, identifier: str) -> HTTPResponse:
        release, _ = self._find(name, identifier)
        public = release.public_paths()
        was_public = [publication for publication in release.publications if publication.approved is not None]
        if not was_public:
            raise not_found("nothing is published at this address")
        return self._site.page(
            context,
            "releases/published.html",
            200 if public else 410,
            title=f"Published files · {name}",
            release=release,
            publication=was_public[-1],
            files=[file for file in release.files if file.path in public],
        )

    def download(self, context: PageContext, name: str, identifier: str, path: str) -> HTTPResponse:
        release, service = self._find(name, identifier)
        file = release.file(path) if path in release.public_paths() else None
        if file is None:
            raise not_found("no published file has this address")
        return file_answer(service.open(release, path), file, self._site.render.headers())

    def _find(self, name: str, identifier: str) -> tuple[CheckedRelease, CheckedReleaseService]:
        """Raises `Error` (not_found)."""
        with reader.of_everything():  # what is published is for anybody
            release = find_release(self._services, name, identifier)
        service = self._services.checked_releases
        if release is None or service is None:
            raise not_found("nothing is published at this address")
        return release, service
