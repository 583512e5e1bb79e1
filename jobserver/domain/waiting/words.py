"""Lengths of time, counts and lists in words."""

from collections.abc import Sequence

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def length(seconds: float) -> str:
    """``45 seconds``, ``2 minutes``, ``3 hours``, ``4 days``: whole units, the largest that fits."""
    size, unit = next((pair for pair in _UNITS if seconds >= pair[0]), _UNITS[-1])
    return count(int(seconds // size), unit)


def count(number: int, noun: str) -> str:
    """``1 request``, ``1,200 requests``."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def names(values: Sequence[str], most: int = 2) -> str:
    """``a, b and 3 more``."""
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(values[:most]) + more


def span(low: float, high: float) -> str:
    """A range of seconds: ``12–19 min``, ``45 s to 2 min``, ``8 s``."""
    (first, unit), (last, other) = _amount(low), _amount(high)
    if (last, other) == ("0", "s"):
        return "under 1 s" if high > 0 else "0 s"
    if (first, unit) == (last, other):
        return f"{first} {unit}"
    return f"{first}–{last} {unit}" if unit == other else f"{first} {unit} to {last} {other}"


def _amount(seconds: float) -> tuple[str, str]:
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and unit == "min"):
            return f"{round(seconds / size)}", unit
    return f"{round(max(seconds, 0))}", "s"
