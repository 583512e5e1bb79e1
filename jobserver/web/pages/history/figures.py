"""What the pages about the past show of rows: columns of charts, weeks and days. Pure; times are microseconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobserver.domain.waiting import words
from jobserver.index.queries.history import ActionRun, JobDay, RequestDay
from jobserver.index.sqlite.days import DAY
from jobserver.web.pages.format import labels, times
from jobserver.web.pages.history.chart import COUNTS, SECONDS, Chart, Column, Part, chart

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Week:
    """The requests of a week that begins on a Monday. ``duration``: the mean of the successful ones, or None."""

    start: datetime
    outcomes: Mapping[str, int]
    duration: int | None

    @property
    def requests(self) -> int:
        return sum(self.outcomes.values())

    @property
    def rate(self) -> str:
        return success_rate(self.outcomes.get("succeeded", 0), self.outcomes.get("failed", 0))


@dataclass(frozen=True, slots=True)
class Day:
    """``wait``: the mean time that its requests waited, or None; ``late``: those that waited for more than an hour.
    ``ran``: how long all jobs ran together; ``length``: of the part of the day that has passed."""

    start: datetime
    requests: int
    wait: int | None
    late: int
    jobs: int
    ran: int
    length: int

    @property
    def at_once(self) -> float:
        """Jobs that ran at once, on average."""
        return self.ran / self.length if self.length else 0.0


def success_rate(succeeded: int, failed: int) -> str:
    """``93%``, of those that succeeded or failed; a dash where none did."""
    return f"{100 * succeeded // (succeeded + failed)}%" if succeeded + failed else "–"


def monday(now: datetime, weeks_ago: int) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday(), weeks=weeks_ago)


def weeks(rows: Sequence[RequestDay], first: datetime, now: datetime) -> list[Week]:
    """Every week from ``first``, a Monday, oldest first."""
    by_week: dict[int, list[RequestDay]] = {}
    start = day_of(first)
    for row in rows:
        by_week.setdefault((row.day - start) // 7, []).append(row)
    count = (day_of(now) - start) // 7 + 1
    return [_week(first + timedelta(weeks=number), by_week.get(number, ())) for number in range(count)]


def _week(start: datetime, rows: Sequence[RequestDay]) -> Week:
    outcomes: dict[str, int] = {}
    for row in rows:
        outcomes[row.outcome] = outcomes.get(row.outcome, 0) + row.requests
    succeeded = [row for row in rows if row.outcome == "succeeded"]
    timed = sum(row.timed for row in succeeded)
    return Week(start, outcomes, sum(row.ran for row in succeeded) // timed if timed else None)


def day_of(moment: datetime) -> int:
    """Since 1970."""
    return times.micros(moment) // DAY


def weeks_chart(shown: Sequence[Week]) -> Chart:
    columns = []
    for week in shown:
        succeeded, failed = week.outcomes.get("succeeded", 0), week.outcomes.get("failed", 0)
        others = week.requests - succeeded - failed
        parts = (Part(failed, "failed"), Part(succeeded, "succeeded"), Part(others, "other"))
        columns.append(Column(f"Week of {week.start:%Y-%m-%d}: {week.requests} requests, {failed} failed", parts))
    return chart(columns, COUNTS, _number)


def runs_chart(runs: Sequence[ActionRun], usual: tuple[int, int] | None) -> Chart:
    """Oldest first. ``usual``: the range to mark."""
    columns = [
        Column(_run_label(run), (Part(max((run.duration or 0) / _SECOND, 0.001), _style(run.outcome)),))
        for run in reversed(runs)
    ]
    band = (usual[0] / _SECOND, usual[1] / _SECOND) if usual else None
    return chart(columns, SECONDS, _brief, band)


def _run_label(run: ActionRun) -> str:
    moment = times.moment(run.created_at)
    took = f", {times.took(run.duration / _SECOND)}" if run.duration is not None else ""
    return f"{moment:%Y-%m-%d %H:%M}: {labels.status(run.outcome)}{took}, on {run.backend} at {run.sha[:7]}"


def _style(outcome: str) -> str:
    return outcome if outcome in ("succeeded", "failed") else "other"


def days(jobs: Mapping[int, JobDay], requests: Sequence[RequestDay], first: datetime, now: datetime) -> list[Day]:
    """Every day from ``first``, a midnight, oldest first."""
    by_day: dict[int, list[RequestDay]] = {}
    for row in requests:
        by_day.setdefault(row.day, []).append(row)
    begins = day_of(first)
    shown = []
    for day in range(begins, day_of(now) + 1):
        rows, known = by_day.get(day, []), jobs.get(day, JobDay(day, 0, 0))
        started = sum(row.started for row in rows)
        wait = sum(row.waited for row in rows) // started if started else None
        count, late = sum(row.requests for row in rows), sum(row.late for row in rows)
        start, length = first + timedelta(days=day - begins), min(times.micros(now) - day * DAY, DAY)
        shown.append(Day(start, count, wait, late, known.jobs, known.ran, length))
    return shown


def busy_chart(shown: Sequence[Day]) -> Chart:
    columns = [
        Column(f"{day.start:%Y-%m-%d}: {day.at_once:.1f} jobs at once", (Part(day.at_once, "running"),))
        for day in shown
    ]
    return chart(columns, COUNTS, _number)


def waits_chart(shown: Sequence[Day]) -> Chart:
    columns = []
    for day in shown:
        mean = day.wait / _SECOND if day.wait is not None else 0
        text = f"waited {times.duration(mean)}" if day.wait is not None else "no request started"
        columns.append(Column(f"{day.start:%Y-%m-%d}: {text}", (Part(mean, "other"),)))
    return chart(columns, SECONDS, _brief)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _brief(seconds: float) -> str:
    return words.span(seconds, seconds)
