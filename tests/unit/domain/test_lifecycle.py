"""The life of a job and of its request, as tables and as properties."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.domain import lifecycle
from jobserver.domain.documents import Job

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
    ],
)
def test_what_replaces_what(stored: tuple[str, int], reported: tuple[str, int], expected: bool) -> None:
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
def test_a_requests_status(statuses: list[str], expected: str) -> None:
    assert lifecycle.request_status(statuses) == expected


def test_times() -> None:
    jobs = [job("succeeded", 5, 1, 3), job("failed", 6, 2, 6), job("failed", 6)]
    assert lifecycle.started_at(jobs) == START + timedelta(minutes=1)
    assert lifecycle.completed_at(jobs) == START + timedelta(minutes=6)
    assert lifecycle.runtime(jobs) == timedelta(minutes=6)
    assert lifecycle.completed_at([*jobs, job("running")]) is None


jobs = st.builds(job, st.sampled_from(lifecycle.STATUSES), st.one_of(st.none(), st.integers(0, 20)))


@given(jobs, jobs)
def test_of_two_reports_one_always_stands(one: Job, other: Job) -> None:
    """Whichever comes first, neither order loses both; and two different times are decided alike in both orders."""
    assert lifecycle.takes(one, other) or lifecycle.takes(other, one)
    if one.updated_at is not None and other.updated_at is not None and one.updated_at != other.updated_at:
        assert lifecycle.takes(one, other) is not lifecycle.takes(other, one)


@given(
    st.permutations([job("pending", 1), job("running", 2), job("failed", 3), job("running", 4), job("succeeded", 5)])
)
def test_reports_in_any_order_end_in_the_newest(order: list[Job]) -> None:
    stored = order[0]
    for reported in order[1:]:
        if lifecycle.takes(stored, reported):
            stored = reported
    assert stored.status == "succeeded"


@given(st.lists(st.sampled_from(lifecycle.STATUSES), max_size=6))
def test_finished_is_what_no_job_can_change(statuses: list[str]) -> None:
    done = lifecycle.finished([job(status) for status in statuses])
    assert done is (bool(statuses) and not {"pending", "running"} & set(statuses))
    if done:
        assert lifecycle.request_status(statuses) in lifecycle.FINISHED
