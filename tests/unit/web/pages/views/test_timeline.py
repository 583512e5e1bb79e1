"""The bars of a request's jobs: over an axis that begins where running begins."""

from dataclasses import replace

import pytest

from jobserver.index.queries.jobs import JobRow
from jobserver.web.pages.views.timeline import Bar, timeline

S = 1_000_000
NOW = 1_000 * S


def job(action: str, status: str, started: int | None = None, completed: int | None = None) -> JobRow:
    return JobRow(action, "r", action, status, "", "", 500 * S, None, started, completed, {})


def parts(jobs: list[JobRow], created_at: int = 500 * S) -> list[tuple[float, float, float]]:
    whole = timeline(jobs, created_at, NOW)
    assert whole is not None
    bars: list[Bar] = [whole.bar(one, NOW) for one in jobs]
    return [(bar.start, bar.waiting, bar.running) for bar in bars]


def test_a_timeline_begins_where_running_begins_and_has_the_queue_as_a_number() -> None:
    jobs = [job("a", "succeeded", 900 * S, 950 * S), job("b", "running", 950 * S), job("c", "pending")]
    whole = timeline(jobs, 500 * S, NOW)
    assert whole is not None
    assert (whole.begins, whole.length, whole.queued) == (900 * S, 100 * S, 400 * S)
    assert parts(jobs) == [(0, 0, 50), (0, 50, 50), (0, 100, 0)]


def test_nothing_is_drawn_before_a_job_has_started() -> None:
    assert timeline([job("a", "pending")], 500 * S, NOW) is None
    assert timeline([], 500 * S, NOW) is None


def test_a_job_that_never_started_has_no_bar() -> None:
    jobs = [job("a", "failed", 900 * S, 1_000 * S), job("b", "failed", None, 1_000 * S)]
    assert parts(jobs) == [(0, 0, 100), (0, 0, 0)]


def test_a_job_that_is_created_late_waits_from_then() -> None:
    late = replace(job("b", "succeeded", 980 * S, 1_000 * S), created_at=950 * S)
    assert parts([job("a", "succeeded", 900 * S, 940 * S), late]) == [(0, 0, 40), (50, 30, 20)]


def test_a_runner_whose_clock_differs() -> None:
    """Behind the server's, and with jobs that end before they start: nothing leaves the picture."""
    done = replace(job("a", "succeeded", 500 * S, 600 * S), created_at=400 * S)
    assert parts([done], 900 * S) == [(0, 0, 100)]
    assert timeline([done], 900 * S, NOW).queued == 0  # type: ignore[union-attr]
    odd = [job("a", "succeeded", 900 * S, 800 * S), job("b", "running", 1_200 * S)]
    assert all(0 <= part <= 100 for bar in parts(odd) for part in bar)


@pytest.mark.parametrize(
    ("seconds", "marks"),
    [
        (1, ["0s", "1s"]),
        (47, ["0s", "10s", "20s", "30s", "40s"]),
        (60 * 16, ["0s", "5m", "10m", "15m"]),
        (3600 * 2 + 60, ["0s", "30m", "1h", "1h 30m", "2h"]),
        (86400 * 3, ["0s", "1d", "2d", "3d"]),
        (86400 * 700, ["0s", "140d", "280d", "420d", "560d", "700d"]),
    ],
)
def test_marks_are_at_times_that_people_count_in(seconds: int, marks: list[str]) -> None:
    whole = timeline([job("a", "running", NOW - seconds * S)], 0, NOW)
    assert whole is not None
    assert [text for _, text in whole.marks] == marks
    assert whole.marks[0][0] == 0
    assert all(place <= 100 for place, _ in whole.marks)
