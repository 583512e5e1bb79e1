"""What reporting and marking as failed change, and what is finished, through `plan` and `admit`, in memory."""

from datetime import timedelta
from typing import Any

import pytest

from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.base.state import Move
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import MAX_MESSAGE_BYTES, FailJob, Job, UpdateJobs
from jobserver.domain.job_requests.requests import ArchiveFinished
from jobserver.errors import Code
from tests.memory import ID, NOW, Memory, job
from tests.unit.domain.job_requests.requesting import (
    ALICE,
    GONE,
    OTHER,
    PLACE,
    ROOT,
    THIRD,
    TPP,
    area,
    ask,
    jobs,
    prepared,
    refused,
    report,
)

HOURS = timedelta(hours=2)


@pytest.fixture
def state() -> Memory:
    return prepared()


def test_a_report_says_what_it_changed(state: Memory) -> None:
    ask(state)
    ask(state, "generate", new_id=OTHER)
    given = ((ID, job("a", "running")), (OTHER, job("b")), (ID, job("c", action="plot")))
    changes = state.do(TPP, UpdateJobs("tpp", given))
    assert (changes.event, changes.branch) == ("jobs.updated", "backends/tpp")
    assert changes.subject == "tpp reported generate running, plot pending, generate pending"
    assert changes.trailers == (("Job-Request", ID), ("Job-Request", OTHER), ("Workspace", "trends"))
    assert changes.result == {"ignored": []}
    assert jobs(state) == {"a": given[0][1], "c": given[2][1]}
    assert jobs(state, Place(Area.ACTIVE, NOW.date(), OTHER)) == {"b": given[1][1]}
    again = state.do(TPP, UpdateJobs("tpp", given))
    assert (bool(again), again.trailers) == (False, ())


def test_a_long_report_is_counted_and_its_subject_is_short(state: Memory) -> None:
    ask(state)
    assert report(state, *(job(f"j{n}") for n in range(4))).subject == "tpp reported 4 jobs"
    assert report(state, *(job(f"j{n}") for n in range(3))).subject == "tpp reported generate removed"
    long = job("j0", "running", 1, action="x" * 500)
    assert report(state, long, job("j1"), job("j2")).subject == f"tpp reported {'x' * 187}"


def test_only_what_changed_is_in_it(state: Memory) -> None:
    ask(state)
    ask(state, new_id=OTHER)
    first, second = job("a"), job("b")
    state.do(TPP, UpdateJobs("tpp", ((ID, first), (OTHER, second))))
    changes = state.do(TPP, UpdateJobs("tpp", ((ID, first), (OTHER, job("b", "running", 1)))))
    assert changes.trailers == (("Job-Request", OTHER), ("Workspace", "trends"))
    assert [change.path for change in changes.changes] == [Place(Area.ACTIVE, NOW.date(), OTHER).job("b")]


def test_jobs_of_requests_that_can_not_be_found_are_ignored_and_named(state: Memory) -> None:
    ask(state)
    ask(state, new_id=OTHER)
    state.broken.add(Place(Area.ACTIVE, NOW.date(), OTHER).request)
    unknown = ["x", THIRD, OTHER, "../" + ID]
    given = [(name, job(f"j{at}")) for at, name in enumerate([*unknown, "x"])]
    changes = state.do(TPP, UpdateJobs("tpp", (*given, (ID, job("a")))))
    assert changes.result == {"ignored": unknown}
    assert changes.trailers == (("Job-Request", ID), ("Workspace", "trends"))
    assert list(jobs(state)) == ["a"]


def test_a_finished_request_goes_and_a_reopened_one_comes_back(state: Memory) -> None:
    ask(state)
    report(state, job("a", "succeeded", 1), job("b", "running", 1, action="plot"))
    changes = report(state, job("a", "succeeded", 1), job("b", "failed", 2, action="plot"))
    assert changes.moves == (Move(PLACE, Area.ARCHIVE),)
    assert [change.path for change in changes.changes] == [GONE.job("b")]
    assert area(state) is Area.ARCHIVE
    assert sorted(jobs(state, GONE)) == ["a", "b"]
    assert not report(state, job("a", "succeeded", 1), job("b", "failed", 2, action="plot"))
    changes = report(state, job("a", "succeeded", 1), job("b", "running", 3, action="plot"))
    assert changes.moves == (Move(GONE, Area.ACTIVE),)
    assert area(state) is Area.ACTIVE
    assert {one.identifier: one.status for one in jobs(state).values()} == {"a": "succeeded", "b": "running"}


def test_a_finished_request_that_changes_stays_where_it_is(state: Memory) -> None:
    ask(state, "generate")
    report(state, job("a", "succeeded", 1))
    changes = report(state, job("a", "failed", 2))
    assert (changes.moves, [change.path for change in changes.changes]) == ((), [GONE.job("a")])


def test_leaving_out_what_was_not_finished_finishes_a_request(state: Memory) -> None:
    ask(state)
    report(state, job("a", "succeeded", 1), job("b", "running", 1))
    changes = report(state, job("a", "succeeded", 1))
    assert [(change.path, change.after) for change in changes.changes] == [(GONE.job("b"), None)]
    assert list(jobs(state, GONE)) == ["a"]


@pytest.mark.parametrize(
    ("stored_at", "reported_at", "left"),
    [
        ((5, 5), (5, 5), ["a"]),
        ((5, 7), (6, 6), ["a", "b"]),  # an old report, late: it takes nothing away
        ((5, 7), (7, 7), ["a"]),
        ((None, None), (1, 1), ["a"]),
        ((5, 5), (None, None), ["a"]),  # who gives no time is not known to be late
        ((None, 5), (6, 6), ["a"]),
    ],
)
def test_jobs_that_are_left_out(
    state: Memory, stored_at: tuple[int, int], reported_at: tuple[int, int], left: list[str]
) -> None:
    ask(state)
    report(state, job("a", "running", stored_at[0]), job("b", "running", stored_at[1]))
    report(state, job("a", "running", reported_at[0]))
    assert list(jobs(state)) == left


def test_a_late_report_may_bring_a_job_that_nobody_knew(state: Memory) -> None:
    ask(state)
    report(state, job("a", "running", 5))
    report(state, job("b", "running", 4))
    assert sorted(jobs(state)) == ["a", "b"]


@pytest.mark.parametrize("size", [MAX_MESSAGE_BYTES // 4, MAX_MESSAGE_BYTES // 4 + 1, MAX_MESSAGE_BYTES])
@pytest.mark.parametrize("char", ["x", "😀"])
def test_a_long_message_is_cut_and_a_short_one_is_not(state: Memory, size: int, char: str) -> None:
    ask(state)
    sent = job("a", status_message=char * size)
    report(state, sent)
    kept = jobs(state)["a"].status_message
    if len((char * size).encode()) <= MAX_MESSAGE_BYTES:
        assert kept == char * size
    else:
        assert kept.endswith("[cut by the server at 8 KiB]")
    assert not report(state, sent)


def test_a_job_belongs_to_one_request(state: Memory) -> None:
    ask(state)
    ask(state, new_id=OTHER)
    report(state, job("a"))
    error = refused(state, TPP, UpdateJobs("tpp", ((OTHER, job("a")),)))
    assert (error.code, error.message.endswith(f"job a belongs to job request {ID}")) == (Code.INVALID, True)
    error = refused(state, TPP, UpdateJobs("tpp", ((ID, job("b")), (OTHER, job("b")))))
    assert str(error) == "identifier: job b is reported for two job requests"
    error = refused(state, TPP, UpdateJobs("tpp", (("x", job("b")), ("y", job("b")))))
    assert error.code is Code.INVALID


def test_a_request_does_not_come_back_with_a_job_that_another_one_has_now(state: Memory) -> None:
    ask(state, "generate")
    report(state, job("a", "succeeded", 1))
    ask(state, new_id=OTHER)
    state.put_job(Place(Area.ACTIVE, NOW.date(), OTHER), job("a"))
    error = refused(state, TPP, UpdateJobs("tpp", ((ID, job("a", "running", 2)),)))
    assert error.message.endswith(f"job a belongs to job request {OTHER}")


def test_the_last_of_two_reports_of_a_job_in_one_payload_counts(state: Memory) -> None:
    ask(state)
    report(state, job("a", "pending"), job("a", "running"))
    assert jobs(state)["a"].status == "running"


# Clocks


def test_a_time_in_the_future_counts_as_now_and_the_answer_says_so(state: Memory) -> None:
    """A runner's clock was two hours ahead and was set right: the end of its job was skipped for ever."""
    ask(state)
    now = NOW.replace(minute=10)
    ahead = job("a", "running", created_at=now + HOURS, updated_at=now + HOURS, started_at=now + HOURS)
    changes = report(state, ahead, now=now)
    assert changes.result == {"ignored": [], "ahead": HOURS}
    assert jobs(state)["a"] == job("a", "running", 10, created_at=now, started_at=now)
    right = job("a", "succeeded", 12, created_at=now + HOURS, started_at=now + HOURS)
    report(state, right, now=NOW.replace(minute=13))
    assert jobs(state, GONE)["a"] == job("a", "succeeded", 12, created_at=now, started_at=now)


def test_the_same_report_from_a_clock_that_is_ahead_changes_nothing(state: Memory) -> None:
    ask(state)
    sent = job("a", "failed", created_at=NOW + HOURS, updated_at=NOW + HOURS, completed_at=NOW + HOURS)
    report(state, sent, now=NOW)
    again = report(state, sent, now=NOW.replace(minute=1))
    assert (bool(again), again.result["ahead"]) == (False, HOURS - timedelta(minutes=1))


def test_a_job_whose_runner_is_ahead_goes_on(state: Memory) -> None:
    """Each state is of when it was told, and what was told before stays."""
    ask(state)
    for minute, status in enumerate(("pending", "running", "succeeded", "running")):
        then = NOW.replace(minute=minute)
        times = {"created_at": NOW + HOURS, "updated_at": then + HOURS}
        if status != "pending":
            times["started_at"] = NOW.replace(minute=1 if minute < 3 else 3) + HOURS
        if status == "succeeded":
            times["completed_at"] = then + HOURS
        assert report(state, job("a", status, **times), now=then)
    assert jobs(state)["a"] == job("a", "running", 3, started_at=NOW.replace(minute=3))


@pytest.mark.parametrize("seconds", [-1, 0, 5])
def test_clocks_that_agree_are_believed(state: Memory, seconds: int) -> None:
    ask(state)
    sent = job("a", "running", updated_at=NOW + timedelta(seconds=seconds))
    assert report(state, sent, now=NOW).result == {"ignored": []}
    assert jobs(state)["a"] == sent


def test_a_stored_time_in_the_future_hides_no_report(state: Memory) -> None:
    """A push can bring it, and older servers took it."""
    ask(state)
    state.put_job(PLACE, job("a", "running", updated_at=NOW + HOURS))
    state.put_job(PLACE, job("b", "running", 1, action="plot"))
    changes = report(state, job("a", "succeeded", 2), now=NOW.replace(minute=2))
    assert [change.path for change in changes.changes] == [GONE.job("a"), GONE.job("b")]
    assert list(jobs(state, GONE)) == ["a"]


def test_of_a_stored_and_a_reported_time_in_the_future_neither_stays(state: Memory) -> None:
    ask(state)
    state.put_job(PLACE, job("a", "running", created_at=NOW + HOURS, updated_at=NOW + HOURS))
    assert report(state, job("a", "running", created_at=NOW + HOURS, updated_at=NOW + HOURS), now=NOW)
    assert jobs(state)["a"] == job("a", "running")


def test_skipped_jobs_are_named(state: Memory) -> None:
    ask(state)
    report(state, job("a", "running", 5), job("b", "succeeded", 5, action="plot"))
    changes = report(state, job("a", "running", 4), job("b", "running", 5, action="plot"), job("c", action="plot"))
    assert changes.result == {"ignored": [], "skipped": ["a", "b"]}


# Two runners


def made(identifier: str, minute: int, last: int, status: str = "running", action: str = "generate") -> Any:
    return job(identifier, status, last, action, created_at=NOW.replace(minute=minute))


@pytest.mark.parametrize(
    ("reports", "noticed"),
    [
        ([made("a", 0, 0), made("b", 2, 2), made("a", 0, 4)], True),
        ([made("a", 0, 5, "succeeded"), made("b", 2, 6)], True),  # the second came after the first had ended
        ([made("a", 0, 0), made("a", 2, 2), made("a", 0, 4)], True),  # the 2021 runner makes an id from the action
        ([made("a", 0, 5), made("a", 2, 4), made("a", 0, 6)], False),  # an old report, late, of the same job
        ([made("a", 0, 5), made("b", 6, 6), made("b", 6, 7)], False),  # a runner that lost what it knew
        ([made("a", 0, 5), made("a", 6, 6), made("a", 6, 7)], False),
        ([made("a", 0, 5, "failed"), made("b", 6, 7)], False),  # run again
        ([made("a", 0, 0), made("b", 2, 2, action="plot"), made("a", 0, 4)], False),
    ],
)
def test_two_runners_at_one_request_are_noticed(state: Memory, reports: list[Job], noticed: bool) -> None:
    ask(state)
    results = [report(state, one).result.get("twice") for one in reports]
    assert ([ID] in results) is noticed


def test_jobs_of_one_action_in_one_report_are_of_one_runner(state: Memory) -> None:
    ask(state)
    report(state, made("a", 0, 5), made("b", 2, 2))
    assert "twice" not in report(state, made("a", 0, 7), made("b", 2, 6)).result


def test_a_job_that_was_marked_as_failed_is_no_other_runners(state: Memory) -> None:
    ask(state)
    report(state, made("a", 0, 1))
    state.do(ROOT, FailJob("a", ID, "tpp"), NOW.replace(minute=10))
    assert "twice" not in report(state, made("b", 5, 11)).result


# Marking as failed


def test_a_lost_job_is_marked_as_failed_until_its_runner_knows_better(state: Memory) -> None:
    ask(state)
    report(state, job("a", "succeeded", 1), job("b", "running", 2, action="plot"))
    later = NOW.replace(minute=10)
    changes = state.do(ROOT, FailJob("b", ID, "tpp"), later)
    assert (changes.event, changes.branch) == ("jobs.updated", "backends/tpp")
    assert changes.subject == "root marked plot as failed"
    assert changes.trailers == (("Job-Request", ID), ("Workspace", "trends"))
    assert changes.result == {"identifier": ID}
    assert changes.moves == (Move(PLACE, Area.ARCHIVE),)
    (change,) = changes.changes
    assert (change.path, change.before) == (GONE.job("b"), job("b", "running", 2, action="plot"))
    assert change.after == job(
        "b",
        "failed",
        10,
        action="plot",
        status_code=lifecycle.MARKED_FAILED,
        status_message="Marked as failed by root: its runner lost it",
    )
    assert not report(state, job("a", "succeeded", 1), job("b", "running", 11, action="plot"))
    assert report(state, job("a", "succeeded", 1), job("b", "succeeded", 12, action="plot"))
    assert jobs(state, GONE)["b"].status == "succeeded"


def test_a_lost_job_of_several_does_not_move_the_request(state: Memory) -> None:
    ask(state)
    report(state, job("a", "running"), job("b", "running"))
    changes = state.do(ROOT, FailJob("b", ID, "tpp"))
    assert (changes.moves, changes.changes[0].path) == ((), PLACE.job("b"))


@pytest.mark.parametrize(("minute", "expected"), [(None, 600), (9, 600), (30, 600)])
def test_a_lost_job_ended_when_it_was_marked_whatever_its_runners_clock_says(
    state: Memory, minute: int | None, expected: int
) -> None:
    ask(state)
    state.put_job(PLACE, job("a", "running", minute))  # as it was stored once
    state.do(ROOT, FailJob("a", ID, "tpp"), NOW.replace(minute=10))
    kept = jobs(state, GONE)["a"]
    assert kept.updated_at == kept.completed_at == NOW + timedelta(seconds=expected)
    assert report(state, job("a", "succeeded", 11), now=NOW.replace(minute=12))
    assert jobs(state, GONE)["a"].status == "succeeded"


def test_how_a_lost_job_ended_counts_though_its_runners_clock_is_behind(state: Memory) -> None:
    ask(state)
    report(state, job("a", "running", 1))
    state.do(ROOT, FailJob("a", ID, "tpp"), NOW.replace(minute=30))
    assert report(state, job("a", "succeeded", 2))
    assert jobs(state, GONE)["a"].status == "succeeded"


def test_the_time_of_a_lost_job_is_never_before_its_runners(state: Memory) -> None:
    ask(state)
    seconds = NOW + timedelta(seconds=3)
    state.put_job(PLACE, job("a", "running", updated_at=seconds))
    state.do(ROOT, FailJob("a", ID, "tpp"), NOW)
    assert jobs(state, GONE)["a"].updated_at == seconds


def test_these_jobs_can_not_be_marked_as_failed(state: Memory) -> None:
    assert str(refused(state, ROOT, FailJob("a", ID, "tpp"))) == "job 'a' does not exist"
    ask(state)
    report(state, job("a", "succeeded"), job("b", "running"))
    assert refused(state, ROOT, FailJob("x", ID, "tpp")).code is Code.NOT_FOUND
    error = refused(state, ROOT, FailJob("a", ID, "tpp"))
    assert (error.code, str(error)) == (Code.CONFLICT, "job a has already succeeded")
    assert refused(state, ALICE, FailJob("b", ID, "tpp")).code is Code.FORBIDDEN


# What a push finished


@pytest.mark.parametrize(("count", "said"), [(1, OTHER), (3, None), (4, "4 job requests")])
def test_finished_requests_are_archived(state: Memory, count: int, said: str | None) -> None:
    finished = [OTHER, THIRD, "4" * 16, "5" * 16][:count]
    ask(state, "generate")
    state.put_job(PLACE, job("open", "running"))
    ask(state, "generate", new_id="6" * 16)
    for at, identifier in enumerate(finished):
        ask(state, "generate", new_id=identifier)
        state.put_job(Place(Area.ACTIVE, NOW.date(), identifier), job(f"j{at}", "succeeded"))
    changes = state.do(SERVER, ArchiveFinished("tpp"))
    assert (changes.event, changes.branch, changes.changes) == ("job-requests.archived", "backends/tpp", ())
    assert changes.subject == f"jobserver archived {said or ', '.join(finished)}"
    assert changes.trailers == tuple(("Job-Request", identifier) for identifier in finished)
    assert {area(state, identifier) for identifier in finished} == {Area.ARCHIVE}
    assert {area(state), area(state, "6" * 16)} == {Area.ACTIVE}
    assert not state.do(SERVER, ArchiveFinished("tpp"))
