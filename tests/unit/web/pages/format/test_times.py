"""Durations that still run: seconds up to a minute, then steps that a person can read."""

import pytest

from jobserver.web.pages.format import times
from jobserver.web.pages.render import so_far

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0, "0s"),
        (29.9, "29s"),
        (59, "59s"),
        (MINUTE, "1m"),
        (MINUTE + 59, "1m"),
        (HOUR - 1, "59m"),
        (HOUR, "1h 0m"),
        (2 * HOUR + 5 * MINUTE, "2h 5m"),
        (3 * DAY + 4 * HOUR, "3d 4h"),
    ],
)
def test_what_still_runs_has_steps_that_a_person_reads(seconds: float, text: str) -> None:
    assert times.running(seconds) == text


def test_the_page_keeps_only_what_still_runs_up_to_date() -> None:
    start = 1_764_200_000_000_000
    now = start + 29_000_000
    assert so_far(start, now) == '<span data-since="2025-11-26T23:33:20+00:00">29s</span>'
    assert so_far(start, now, runs=False) == "29s"
