"""The life of a job and of its request, as tables and as properties."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import Job

START = datetime(2026, 11, 24, 9, tzinfo=UTC)


def job(status: str, at: int | None = 0, started: int | None = None, completed: int | None = None) -> Job:
    def moment(minute: int | None) -> datetime | None:
        return None if minute is None else START + timedelta(minutes=minute)

    return Job.model_validate(
        {
            "identifier": "j",
            "action": "a",
            "status": status,
            "status_code": "",
            "status_message": "",
            "created_at": START,
            "updated_at": moment(at),
            "started_at": moment(started),
            "completed_at": moment(completed),
        }
    )


@pytest.mark.parametrize(
    ("stored", "reported", "expected"),
    [
        (("pending", 1), ("running", 2), True),
        (("running", 2), ("pending", 3), True),  # a reboot
        (("running", 2), ("running", 1), False),  # stale
        (("succeeded", 2), ("running", 2), False),  # only news reopens what is finished
        (("succeeded", 2), ("running", 3), True),
        (("succeeded", 2), ("failed", 2), True),
        (("failed", 2), ("pending", None), False),
        (("failed", None), ("pending", None), True),
        (("failed", None), ("pending", 1), True),
        (("failed", 2), ("succeeded", None), True),
        (("running", 2), ("pending", None), True),
        (("running", 2), ("pending", 2), True),
    ],
)
def test_a_report_replaces_an_older_one(
    stored: tuple[str, int | None], reported: tuple[str, int | None], expected: bool
) -> None:
    assert lifecycle.takes(job(*stored), job(*reported)) is expected


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], "unknown"),
        (["succeeded", "succeeded"], "succeeded"),
        (["failed", "succeeded"], "failed"),
        (["failed", "pending"], "running"),
        (["failed", "pending", "running"], "running"),
        (["pending", "succeeded"], "running"),
    ],
)
def test_a_requests_status_follows_from_its_jobs(statuses: list[str], expected: str) -> None:
    assert lifecycle.request_status(statuses) == expected


minutes = st.one_of(st.none(), st.integers(0, 20))
jobs = st.builds(job, st.sampled_from(lifecycle.STATUSES), minutes)


def settled(reports: list[Job]) -> Job:
    """What is stored after these reports, in this order."""
    stored, *later = reports
    for reported in later:
        if lifecycle.takes(stored, reported):
            stored = reported
    return stored


@given(jobs, jobs)
def test_of_two_reports_the_same_one_always_wins(one: Job, other: Job) -> None:
    """Whichever comes first, neither order loses both; and two different times are decided alike in both orders."""
    assert lifecycle.takes(one, other) or lifecycle.takes(other, one)
    if one.updated_at is not None and other.updated_at is not None and one.updated_at != other.updated_at:
        assert lifecycle.takes(one, other) is not lifecycle.takes(other, one)


@given(st.data(), st.lists(st.sampled_from(lifecycle.STATUSES), min_size=1, max_size=8))
def test_reports_in_any_order_end_in_the_newest(data: st.DataObject, statuses: list[str]) -> None:
    """Any life of a job, each report of it once or more often, in any order of arrival."""
    life = [job(status, minute) for minute, status in enumerate(statuses)]
    arrived = data.draw(st.permutations(life)) + data.draw(st.lists(st.sampled_from(life), max_size=8))
    assert settled(arrived) == life[-1]


@given(st.lists(st.builds(job, st.sampled_from(lifecycle.STATUSES), st.integers(0, 5)), min_size=1, max_size=8))
def test_an_older_report_never_wins(reports: list[Job]) -> None:
    """Also where several carry the same time; and of those, one that is finished stands."""
    times = [report.updated_at for report in reports if report.updated_at]
    newest = [report for report in reports if report.updated_at == max(times)]
    stored = settled(reports)
    assert stored in newest
    assert (stored.status in lifecycle.FINISHED) is any(report.status in lifecycle.FINISHED for report in newest)


@given(st.lists(jobs, min_size=1, max_size=8))
def test_the_same_report_again_changes_nothing(reports: list[Job]) -> None:
    stored = settled(reports)
    assert settled([stored, stored]) == stored
    assert not lifecycle.takes(stored, stored) or settled([*reports, stored]) == stored


@given(st.sampled_from(["pending", "running"]), minutes, st.sampled_from(["failed", "succeeded"]), st.integers(1, 20))
def test_an_administrators_mark_stays_until_the_runner_reports_an_end(
    status: str, minute: int | None, end: str, later: int
) -> None:
    marked = job("failed", 0).model_copy(update={"status_code": lifecycle.MARKED_FAILED})
    assert not lifecycle.takes(marked, job(status, minute))
    assert lifecycle.takes(marked, job(end, later))


def test_a_job_that_the_runners_own_operator_killed_can_be_run_again() -> None:
    """It once could not: the runner's code was taken for the server's."""
    killed = job("failed", 1).model_copy(update={"status_code": "killed_by_admin"})
    assert lifecycle.takes(killed, job("pending", 2))


def reference(statuses: list[str]) -> str:
    """Reference, section 1, word for word."""
    if statuses and all(status == statuses[0] for status in statuses):
        return statuses[0]
    if "running" in statuses:
        return "running"
    if "pending" in statuses:
        return "running"
    if "failed" in statuses:
        return "failed"
    return "unknown"


@given(st.lists(st.sampled_from(lifecycle.STATUSES), max_size=6))
def test_a_requests_status_is_what_job_server_said(statuses: list[str]) -> None:
    assert lifecycle.request_status(statuses) == reference(statuses)


@given(st.lists(st.sampled_from(lifecycle.STATUSES), max_size=6))
def test_finished_is_what_no_job_can_change(statuses: list[str]) -> None:
    done = lifecycle.finished([job(status) for status in statuses])
    assert done is (bool(statuses) and not {"pending", "running"} & set(statuses))
    assert done is (lifecycle.request_status(statuses) in lifecycle.FINISHED)


def test_the_newest_update_is_that_of_any_job() -> None:
    assert lifecycle.newest([]) is None
    assert lifecycle.newest([job("running", None)]) is None
    assert lifecycle.newest([job("running", 3), job("running", None), job("running", 5)]) == START + timedelta(
        minutes=5
    )
