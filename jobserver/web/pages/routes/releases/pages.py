"""Adds the pages of releases to the site."""

from jobserver.web.pages.routes.releases.checked import ReleasePages
from jobserver.web.pages.routes.releases.files import ReleasedFiles
from jobserver.web.pages.routes.releases.lists import ReleaseLists
from jobserver.web.pages.routes.releases.published import PublishedFiles
from jobserver.web.pages.routes.releases.vouched import VouchedReleases
from jobserver.web.pages.site import Site


def add_release_pages(site: Site) -> None:
    vouched = VouchedReleases(site)
    ReleaseLists(site)
    ReleasePages(site, vouched)
    ReleasedFiles(site, vouched)
    PublishedFiles(site)
