"""One folder for the workers of a run, and one server for the tests of a module that only read and write through it."""

import os
from collections.abc import Iterator

import pytest

from tests.e2e import harness
from tests.e2e.harness import Client, Site, serving


@pytest.fixture(scope="session", autouse=True)
def shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Between the workers that pytest-xdist starts, whose own folders are beside each other."""
    own = tmp_path_factory.getbasetemp()
    harness.shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    harness.shared.mkdir(exist_ok=True)


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
