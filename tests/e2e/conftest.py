"""One server for the tests of a module that only read and write through it."""

from collections.abc import Iterator

import pytest

from tests.e2e.harness import Client, Site, serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    with serving(made):
        yield made


@pytest.fixture
def tpp(site: Site) -> Iterator[Client]:
    with site.client("tpp") as client:
        yield client


@pytest.fixture
def alice(site: Site) -> Iterator[Client]:
    with site.client("alice") as client:
        yield client
