"""For all tests: where their files are, and no limits of time.

How fast the machine is, and what else it does meanwhile, is nothing that a property may fail for.
"""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

_MEMORY = Path("/dev/shm")
_ROOM = 2 * 1024**3  # a run leaves some 200 MB

settings.register_profile("no-hurry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-hurry")

# A test that waits for a disk proves nothing more: what is durable after a power loss, tests/faults shows.
if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
    os.environ["TMPDIR"], tempfile.tempdir = str(_MEMORY), None
