"""How long something usually takes, and what is slower than that."""

import pytest

from jobserver.domain.waiting import words
from jobserver.domain.waiting.usual import usual

MINUTE = 60_000_000


def test_the_middle_half_of_past_runs_is_usual() -> None:
    known = usual([minutes * MINUTE for minutes in (10, 12, 15, 19, 60)])
    assert known is not None
    assert (known.low, known.middle, known.high, known.runs) == (12 * MINUTE, 15 * MINUTE, 19 * MINUTE, 5)
    assert not known.is_exceeded(28 * MINUTE)
    assert known.is_exceeded(29 * MINUTE)


def test_a_few_runs_make_nothing_slow_and_seconds_do_not_count() -> None:
    known = usual([MINUTE, 2 * MINUTE])
    assert known is not None
    assert not known.is_exceeded(1000 * MINUTE)
    quick = usual([1_000_000] * 9)
    assert quick is not None
    assert not quick.is_exceeded(40_000_000)
    assert usual([]) is None
    one = usual([MINUTE])
    assert one is not None
    assert (one.low, one.high) == (MINUTE, MINUTE)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (12 * 60, 19 * 60 + 20, "12–19 min"),
        (45, 50, "45–50 s"),
        (0.1, 0.3, "under 1 s"),
        (45, 125, "45 s to 2 min"),
        (8, 8.2, "8 s"),
        (3600, 7300, "60 min to 2 h"),
        (3 * 3600, 5 * 3600, "3–5 h"),
        (90_000, 300_000, "25 h to 3 days"),
    ],
)
def test_a_range_is_in_the_units_of_a_person(low: float, high: float, text: str) -> None:
    assert words.span(low, high) == text
