"""One server for the tests of a module, and a backend's clone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.git.clone import Clone
from tests.e2e.harness import Site, serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With ann, an auditor."""
    made = Site(tmp_path_factory.mktemp("site"))
    made.run("user", "add", "ann", "--role", "Auditor")
    made.tokens["ann"] = made.run("user", "token", "ann")
    with serving(made):
        yield made


@pytest.fixture
def tpp(site: Site, tmp_path: Path) -> Clone:
    return Clone(site, tmp_path / "tpp", "tpp", "backends/tpp", "--single-branch")
