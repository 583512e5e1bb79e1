"""The bars of a request's jobs."""

from dataclasses import replace

from jobserver.index.queries.jobs import JobRow
from jobserver.web.pages.views import estimate

S = 1_000_000
NOW = 1_000 * S


def job(action: str, status: str, started: int | None = None, completed: int | None = None) -> JobRow:
    return JobRow(action, "r", action, status, "", "", 900 * S, None, started, completed, {})


def test_a_timeline_covers_the_whole() -> None:
    jobs = [job("a", "succeeded", 920 * S, 960 * S), job("b", "running", 960 * S), job("c", "pending")]
    bars = estimate.timeline(jobs, *estimate.stretch(jobs, 900 * S, NOW), NOW)
    assert [(bar.start, bar.waiting, bar.running) for bar in bars] == [(0, 20, 40), (0, 60, 40), (0, 100, 0)]


def test_a_timeline_of_a_runner_whose_clock_is_behind() -> None:
    done = replace(job("a", "succeeded", 500 * S, 600 * S), created_at=400 * S)
    assert estimate.stretch([done], 900 * S, NOW) == (400 * S, 200 * S)
    (bar,) = estimate.timeline([done], *estimate.stretch([done], 900 * S, NOW), NOW)
    assert (bar.start, bar.waiting, bar.running) == (0, 50, 50)
