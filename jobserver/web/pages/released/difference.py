"""How a released file differs from its last version. Pure."""

import difflib
from collections.abc import Sequence
from itertools import islice

MAX_COMPARED = 256 * 1024
"""Bytes of each version; comparing longer texts takes too long."""
_MOST_LINES = 400
_MOST_COMPARED = 5000


def difference(before: str, after: str) -> tuple[Sequence[str], bool]:
    """(lines as `diff -u` has them, without its first two; whether there are more)."""
    old, new = before.split("\n"), after.split("\n")
    if len(old) > _MOST_COMPARED or len(new) > _MOST_COMPARED:
        return (), True
    lines = list(islice(difflib.unified_diff(old, new, lineterm="", n=2), 2, _MOST_LINES + 3))
    return lines[:_MOST_LINES], len(lines) > _MOST_LINES
