"""What is tried each time, and what by `make test-whole` only: large samples, and tests that take long.

A test is of the second kind if it takes over a second, and shorter ones show most of what it shows.
"""

import os
from collections.abc import Iterable
from typing import Any

import pytest

IS_WHOLE = bool(os.environ.get("WHOLE_SAMPLES"))
only_whole = pytest.mark.skipif(not IS_WHOLE, reason="takes long: `make test-whole` runs it")


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """Values of a parametrized test: the others are tried by `make test-whole` only."""
    return [
        value if at < count else pytest.param(*_several(value), marks=only_whole) for at, value in enumerate(values)
    ]


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, tuple) else (value,)


def size(small: int, whole: int) -> int:
    return whole if IS_WHOLE else small
