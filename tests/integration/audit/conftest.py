"""A small repository that was checkpointed once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.domain.backends import AddBackend
from tests.integration.audit.tampering import checkpoint
from tests.site import ADMIN, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.do(ADMIN, AddBackend("emis", "b" * 64))
    checkpoint(made)
    yield made
    made.close()
