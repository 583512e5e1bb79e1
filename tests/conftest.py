"""For all tests: where their files are, no limits of time, and a small state repository.

How fast the machine is, and what else it does meanwhile, is nothing that a property may fail for.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.samples import size

if TYPE_CHECKING:
    from tests.site import Site

_MEMORY = Path("/dev/shm")
_ROOM = 2 * 1024**3  # a run leaves some 200 MB

settings.register_profile(
    "no-hurry", deadline=None, max_examples=size(30, 100), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no-hurry")

# A test that waits for a disk proves nothing more: what is durable after a power loss, tests/faults shows.
if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
    os.environ["TMPDIR"], tempfile.tempdir = str(_MEMORY), None


# Each search for cycles visits thousands of collected tests, which stay: a tenth of the processor time of a run.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


@pytest.fixture
def site(tmp_path: Path) -> Iterator["Site"]:
    from tests.site import Site  # the process that hands out the tests starts sooner without our code

    made = Site(tmp_path)
    yield made
    made.close()
