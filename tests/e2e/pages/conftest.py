"""The browsers of somebody and of an admin."""

from collections.abc import Iterator

import pytest

from tests.e2e.harness import Site
from tests.e2e.pages.browser import Browser


@pytest.fixture
def alice(site: Site) -> Iterator[Browser]:
    with Browser(site, "alice") as browser:
        yield browser


@pytest.fixture
def root(site: Site) -> Iterator[Browser]:
    with Browser(site, "root") as browser:
        yield browser
