"""Weeks, days and charts from rows."""

from datetime import UTC, datetime

from jobserver.index.queries.history import ActionRun, JobDay, RequestDay
from jobserver.web.pages.format import times
from jobserver.web.pages.history import figures
from jobserver.web.pages.history.chart import COUNTS, HEIGHT, SECONDS, Column, Part, chart

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday
AT = times.micros(NOW)
HOUR = 3_600_000_000


TODAY = AT // (24 * HOUR)


def test_weeks_begin_on_mondays_and_have_no_gaps() -> None:
    first = figures.monday(NOW, 2)
    assert first == datetime(2026, 11, 9, tzinfo=UTC)
    rows = [
        RequestDay(TODAY, "succeeded", 3, 2, 8 * HOUR, 3, HOUR, 0),
        RequestDay(TODAY - 1, "failed", 1, 1, 99 * HOUR, 1, 0, 0),
        RequestDay(TODAY - 1, "cancelled", 1, 0, 0, 0, 0, 0),
        RequestDay(TODAY - 14, "succeeded", 1, 1, 3 * HOUR, 1, 0, 0),
    ]
    oldest, middle, newest = figures.weeks(rows, first, NOW)
    assert (oldest.requests, middle.requests, newest.requests) == (1, 0, 5)
    assert (newest.rate, middle.rate) == ("75%", "–")
    assert (oldest.duration, newest.duration, middle.duration) == (3 * HOUR, 4 * HOUR, None)
    assert newest.start == datetime(2026, 11, 23, tzinfo=UTC)


def test_a_day_counts_jobs_at_once_over_the_time_that_has_passed() -> None:
    first = datetime(2026, 11, 24, tzinfo=UTC)
    jobs = {TODAY - 1: JobDay(TODAY - 1, 9, 48 * HOUR), TODAY: JobDay(TODAY, 2, 24 * HOUR)}
    rows = [
        RequestDay(TODAY - 1, "succeeded", 2, 2, HOUR, 2, 5 * HOUR, 1),
        RequestDay(TODAY - 1, "pending", 1, 0, 0, 0, 0, 0),
        RequestDay(TODAY - 1, "failed", 1, 1, HOUR, 1, HOUR, 0),
    ]
    yesterday, now = figures.days(jobs, rows, first, NOW)
    assert (yesterday.at_once, now.at_once) == (2, 2)
    assert (yesterday.requests, yesterday.wait, yesterday.late, now.wait) == (4, 2 * HOUR, 1, None)


def test_a_chart_has_round_heights_and_shows_even_the_smallest() -> None:
    drawn = chart(
        [Column("a", (Part(1, "failed"), Part(2, "succeeded"))), Column("b", ()), Column("c", (Part(0.001, "other"),))],
        COUNTS,
        str,
    )
    assert list(drawn.scale) == ["4", "2.0", "0"]
    failed, succeeded, small = drawn.boxes
    assert (failed.y + failed.height, succeeded.y + succeeded.height) == (HEIGHT, failed.y)
    assert succeeded.height == 2 * failed.height
    assert small.height == 2
    empty = chart([], SECONDS, str)
    assert (empty.boxes, empty.scale[0]) == ([], "2")


def test_few_columns_stand_apart_and_are_no_wider() -> None:
    def drawn(count: int) -> list[tuple[int, int]]:
        return [(box.x, box.width) for box in chart([Column("", (Part(1, "other"),))] * count, COUNTS, str).boxes]

    assert drawn(1) == [(116, 8)]  # in the middle of 240
    assert drawn(2) == [(56, 8), (176, 8)]
    assert drawn(40) == [(10 * number + 1, 8) for number in range(40)]


def test_runs_of_less_than_a_second_have_an_axis_of_two_seconds() -> None:
    run = ActionRun("r", "j", "tpp", "succeeded", AT, AT, 400_000, "c" * 40, "alice")
    assert list(figures.runs_chart([run], None).scale) == ["2 s", "1 s", "0"]


def test_a_chart_grows_beyond_its_steps() -> None:
    drawn = chart([Column("a", (Part(3_000_000, "other"),))], SECONDS, str, (0, 10))
    assert drawn.boxes[0].height <= HEIGHT
    assert drawn.band is not None
    assert drawn.band[1] >= 1


def test_a_run_without_an_end_is_on_the_chart() -> None:
    run = ActionRun("r", "j", "tpp", "running", AT, AT, None, "c" * 40, "alice")
    drawn = figures.runs_chart([run, run], None)
    assert [box.style for box in drawn.boxes] == ["other", "other"]
    assert drawn.boxes[0].label == "2026-11-25 12:00: Running, on tpp at ccccccc"
