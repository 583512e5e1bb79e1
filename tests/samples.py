"""What is tried each time, and what by `make test-whole` only: large samples, and tests that take long.

A test is of the second kind if it takes over five seconds, and shorter ones show most of what it shows.
"""

import os

import pytest

IS_WHOLE = bool(os.environ.get("WHOLE_SAMPLES"))
only_whole = pytest.mark.skipif(not IS_WHOLE, reason="takes long: `make test-whole` runs it")


def size(small: int, whole: int) -> int:
    return whole if IS_WHOLE else small
