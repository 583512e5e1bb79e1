"""A small repository that was checkpointed once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.domain.backends import AddBackend
from tests.integration.audit.tampering import checkpoint
from tests.site import ADMIN, Site


@pytest.fixture(scope="session")
def checkpointed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("checkpointed"))
    made.do(ADMIN, AddBackend("emis", "b" * 64))
    checkpoint(made)
    made.close()
    return made


@pytest.fixture
def site(tmp_path: Path, checkpointed: Site) -> Iterator[Site]:
    made = Site(tmp_path, copy_of=checkpointed)
    yield made
    made.close()
