"""How jobs and requests ended: the rule, for every combination of statuses and codes, and in SQL as in Python."""

import sqlite3
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.domain.job_requests import lifecycle, outcomes
from jobserver.domain.job_requests.jobs import Job
from jobserver.index.sqlite import rows, schema
from jobserver.runner import plan
from jobserver.web.pages.format import labels
from tests.unit.domain.job_requests.test_lifecycle import START, job


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("failed", "cancelled_by_user", "cancelled"),
        ("failed", "killed_by_admin", "cancelled"),
        ("failed", "dependency_failed", "skipped"),
        ("failed", "nonzero_exit", "failed"),
        ("failed", "marked_as_failed", "failed"),
        ("failed", "", "failed"),
        ("failed", "a code of a newer runner", "failed"),
        ("running", "cancelled_by_user", "running"),  # a runner can say so before the job has stopped
        ("pending", "waiting_on_dependencies", "pending"),
        ("succeeded", "succeeded", "succeeded"),
    ],
)
def test_the_outcome_of_a_job(status: str, code: str, expected: str) -> None:
    assert outcomes.outcome(status, code) == expected


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ([], "unknown"),
        (["succeeded", "succeeded"], "succeeded"),
        (["failed", "skipped", "skipped", "skipped"], "failed"),
        (["failed", "cancelled"], "failed"),
        (["cancelled"], "cancelled"),
        (["cancelled", "skipped", "succeeded"], "cancelled"),
        (["skipped", "succeeded"], "failed"),  # it waited for a job of another request
        (["skipped"], "failed"),
        (["cancelled", "running"], "running"),
        (["cancelled", "pending"], "running"),
        (["pending"], "pending"),
    ],
)
def test_the_outcome_of_a_request(jobs: list[str], expected: str) -> None:
    assert outcomes.request_outcome(jobs) == expected


def test_the_reference_runners_words_for_a_cancellation_and_a_skipped_job() -> None:
    assert outcomes.outcome(*plan.CANCELLED[:2]) == "cancelled"
    assert set(outcomes.CODES) <= set(labels.CODES)


CODES = st.sampled_from([*outcomes.CODES, "nonzero_exit", "succeeded", ""])
JOBS = st.lists(st.tuples(st.sampled_from(lifecycle.STATUSES), CODES), max_size=6)


@given(JOBS)
def test_the_outcome_refines_the_status(jobs: list[tuple[str, str]]) -> None:
    """Runners and scripts get the same status as before."""
    for status, code in jobs:
        assert outcomes.reported_status(outcomes.outcome(status, code)) == status
    found = outcomes.request_outcome([outcomes.outcome(*pair) for pair in jobs])
    assert found in outcomes.REQUEST_OUTCOMES
    assert outcomes.reported_status(found) == lifecycle.request_status([status for status, _ in jobs])


@given(JOBS)
def test_the_index_summarises_as_the_domain_does(jobs: list[tuple[str, str]]) -> None:
    sql = sqlite3.connect(":memory:")
    sql.executescript(schema.TABLES)
    sql.execute(
        f"INSERT INTO requests ({rows.REQUEST_COLUMNS}, {rows.SUMMARY_COLUMNS})"
        " VALUES (1,'r','active','2026-11-24','w',NULL,'alice',0,'','','{}', 0,'',0,0,NULL,NULL,NULL)"
    )
    for number, (status, code) in enumerate(jobs):
        sql.execute(
            f"INSERT INTO jobs ({rows.JOB_COLUMNS}) VALUES (1,'r',?,'w','a',?,?,'',0,?,NULL,?,NULL)",
            (f"j{number}", status, code, number, number),
        )
    sql.execute(rows.SUMMARISE, (1, '["r"]'))
    facts = [(status, code, None, number, number) for number, (status, code) in enumerate(jobs)]
    assert sql.execute(f"SELECT {rows.SUMMARY_COLUMNS} FROM requests").fetchone() == rows.summary("active", facts)


def test_a_cancellation_names_those_who_asked_for_it() -> None:
    assert outcomes.in_words("cancelled", ("cara",)) == "cancelled by cara"
    assert outcomes.in_words("cancelled", ("cara", "dan")) == "cancelled by cara and dan"
    assert outcomes.in_words("cancelled") == "cancelled"
    assert outcomes.in_words("failed", ("cara",)) == "failed"


def summary(*jobs: Job) -> outcomes.Summary[datetime]:
    return outcomes.summarise(
        [(job.status, job.status_code, job.started_at, job.completed_at, job.updated_at) for job in jobs]
    )


def test_a_request_runs_from_its_first_start_to_its_last_end() -> None:
    jobs = [job("succeeded", 5, 1, 3), job("failed", 6, 2, 6), job("failed", 6)]
    assert summary(*jobs).started_at == START + timedelta(minutes=1)
    assert summary(*jobs).completed_at == START + timedelta(minutes=6)
    assert (summary(*jobs).jobs, summary(*jobs).succeeded, summary(*jobs).is_finished) == (3, 1, True)
    assert summary(*jobs, job("running")).completed_at is None
    assert summary().started_at is summary().completed_at is None
    assert summary(job("failed")).completed_at is None  # of a runner that does not say
