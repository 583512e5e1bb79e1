"""The list of a request's jobs, and the sentence above it: what failed comes first."""

import pytest

from jobserver.domain.job_requests.outcomes import OUTCOMES
from jobserver.errors import Error
from jobserver.index.queries.jobs import JobRow
from jobserver.index.queries.requests import JobRequestRow
from jobserver.web.pages.format import labels
from jobserver.web.pages.views.request_jobs import JobFilter, JobList, job_filter, job_list
from jobserver.web.pages.views.request_summary import outcome_sentence
from jobserver.web.pages.views.timeline import timeline

SECOND = 1_000_000
CODES = {"cancelled": "cancelled_by_user", "skipped": "dependency_failed"}


def job(action: str, outcome: str, code: str = "", message: str = "", ran: bool = True) -> JobRow:
    status = "failed" if outcome in CODES else outcome
    started = SECOND if ran and outcome not in ("skipped", "pending") else None
    completed = 9 * SECOND if status in ("failed", "succeeded") else None
    return JobRow(action, "r", action, status, CODES.get(outcome, code), message, 0, 9 * SECOND, started, completed, {})


def row(outcome: str, cancelled_by: tuple[str, ...] = (), started: bool = True) -> JobRequestRow:
    return JobRequestRow(
        identifier="r",
        backend="tpp",
        workspace="w",
        project=None,
        created_by="alice",
        created_at=0,
        outcome=outcome,
        jobs=0,
        succeeded=0,
        started_at=SECOND if started else None,
        completed_at=9 * SECOND if outcome in ("failed", "succeeded", "cancelled") else None,
        updated_at=None,
        cancelled_by=cancelled_by,
        actions=("run_all",),
        cancelled=(),
        sha="0" * 40,
    )


def listed(jobs: list[JobRow], chosen: JobFilter | None = None) -> JobList:
    now = 10 * SECOND
    return job_list(jobs, chosen or JobFilter(), timeline(jobs, 0, now), now)


def test_failures_come_first_and_successes_are_folded() -> None:
    jobs = [job(f"{outcome}_{n}", outcome) for outcome in reversed(OUTCOMES) for n in range(2)]
    groups = listed(jobs).groups
    assert [group.outcome for group in groups] == ["failed", "running", "pending", "cancelled", "skipped", "succeeded"]
    assert [group.outcome for group in groups if not group.is_open] == ["succeeded"]
    assert [job.action for job, _ in groups[0].listed] == ["failed_0", "failed_1"]
    assert [group.count for group in groups] == [2] * 6


def test_a_request_of_a_few_successes_shows_them() -> None:
    assert listed([job(str(n), "succeeded") for n in range(20)]).groups[0].is_open
    assert not listed([job(str(n), "succeeded") for n in range(21)]).groups[0].is_open


def test_of_many_jobs_the_failures_are_among_those_that_are_shown_whole() -> None:
    jobs = [job(str(n), "failed" if n == 2000 else "succeeded") for n in range(2500)]
    failed, succeeded = listed(jobs).groups
    assert [job.action for job, _ in failed.listed] == ["2000"]
    assert (len(succeeded.listed), len(succeeded.short), succeeded.count) == (99, 2400, 2499)


def test_thousands_that_wait_are_folded_and_what_fails_or_runs_is_not() -> None:
    """Of their names alone, the page would be forty windows high."""
    jobs = [job(f"{outcome}_{n}", outcome) for outcome in ("failed", "running", "pending") for n in range(300)]
    assert {group.outcome: group.is_open for group in listed(jobs).groups} == {
        "failed": True,
        "running": True,
        "pending": False,
    }
    assert all(group.is_open for group in listed(jobs, JobFilter("_1")).groups)
    assert listed([job(str(n), "pending") for n in range(200)]).groups[0].is_open
    assert not listed([job(str(n), "pending") for n in range(201)]).groups[0].is_open


@pytest.mark.parametrize(
    ("name", "outcome", "expected"),
    [
        ("", "", ["model_a", "model_b", "report"]),
        ("MODEL", "", ["model_a", "model_b"]),
        ("", "failed", ["model_a"]),
        ("report", "failed", []),
        (" model_b ", "succeeded", ["model_b"]),
    ],
)
def test_jobs_are_filtered_by_name_and_status(name: str, outcome: str, expected: list[str]) -> None:
    jobs = [job("model_a", "failed"), job("model_b", "succeeded"), job("report", "succeeded")]
    chosen = job_filter(name, outcome)
    assert [one.action for one in jobs if chosen.matches(one)] == expected
    shown = listed(jobs, chosen)
    assert shown.matching == len(expected)
    assert all(group.is_open for group in shown.groups if chosen)


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(Error, match="expected one of: pending, running, failed, cancelled, skipped, succeeded"):
        job_filter("", "unknown")


def test_few_jobs_need_no_filter() -> None:
    few = [job(str(n), "succeeded") for n in range(4)]
    assert not listed(few).has_filter
    assert listed(few, JobFilter("x")).has_filter
    assert listed([*few, job("5", "running")]).has_filter


F, S, C, OK, RUN, WAIT = "failed", "skipped", "cancelled", "succeeded", "running", "pending"


@pytest.mark.parametrize(
    ("outcome", "jobs", "style", "sentence"),
    [
        (F, [F], F, "a failed."),
        (F, [F, S, S, S], F, "a failed, and 3 jobs that need it did not run."),
        (F, [F, F, S, OK], F, "2 of 4 jobs failed, and 1 job that needs them did not run."),
        (RUN, [F, RUN, WAIT], F, "a failed. 2 jobs still to finish."),
        (F, [S, OK], F, "1 of 2 jobs did not run: an action that they need failed in another request."),
        (C, [C, S, OK], C, "Cancelled by cara. 1 job of 3 had succeeded before."),
        (C, [C], C, "Cancelled by cara."),
        (OK, [OK, OK], OK, "Both jobs succeeded."),
        (OK, [OK, OK, OK], OK, "All 3 jobs succeeded."),
        (OK, [OK], OK, "a succeeded."),
        (RUN, [RUN, OK, OK, WAIT], RUN, "1 of 4 jobs is running, and 2 have succeeded."),
        (RUN, [OK, WAIT], WAIT, "1 job of 2 succeeded. The others wait."),
    ],
)
def test_the_sentence_on_top(outcome: str, jobs: list[str], style: str, sentence: str) -> None:
    rows = [job("abcd"[number], one) for number, one in enumerate(jobs)]
    assert outcome_sentence(row(outcome, ("cara",)), rows) == (style, sentence)


def test_a_request_that_waits_has_another_sentence() -> None:
    assert outcome_sentence(row("unknown", started=False), []) is None
    assert outcome_sentence(row("pending", started=False), [job("a", "pending")]) is None


def test_nothing_to_do_is_no_run() -> None:
    """Of a runner of 2025, and of one of 2021, which reports a start at the moment of the creation."""
    rows = [job("a", "succeeded", ran=False)], [JobRow("a", "r", "a", "succeeded", "", "", 7, 7, 7, 7, {})]
    for jobs in rows:
        sentence = outcome_sentence(row("succeeded"), jobs)
        assert sentence == ("unknown", "Nothing had to run: all these actions had succeeded before.")
        assert labels.explained(jobs[0])[0] == "Nothing had to run: this action had succeeded before."


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("Job exited with an error: Job ran out of memory (limit was 4.00GB)", "ran out of memory"),
        ("The container was OOM killed", "ran out of memory"),
        ("A bedroom in Oomen", "failed with an error"),
        ("MemoryError", "ran out of memory"),
        ("Error: cannot allocate vector of size 2.0 Gb", "ran out of memory"),
        ("Exited with code 137", "was killed"),
        ("exit status: 137", "was killed"),
        ("Killed by signal 9", "was killed"),
        ("Exited with code 1", "failed with an error"),
        ("Exited with code 1370", "failed with an error"),
    ],
)
def test_out_of_memory_says_so(message: str, word: str) -> None:
    explanation, advice = labels.explained(job("a", "failed", "nonzero_exit", message))
    assert word in explanation
    assert ("memory" in advice) is (word != "failed with an error")
