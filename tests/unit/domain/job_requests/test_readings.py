"""Which reports are events, and which only bring readings or repeat an end."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.domain.base.layout import Area
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import FailJob, Job
from jobserver.domain.job_requests.readings import RecordReadings, jobs_from_json, jobs_to_json
from jobserver.errors import Code
from tests.memory import ID, LATER, NOW, Memory, job
from tests.unit.domain.job_requests.requesting import GONE, ROOT, TPP, ask, jobs, prepared, refused, report

READINGS: dict[str, Any] = {
    "updated_at": NOW.replace(minute=7),
    "status_message": "Half of it is done",
    "metrics": {"cpu_now": 1.5},
    "trace_context": {"traceparent": "00-1"},
}
EVENTS: dict[str, Any] = {
    "status": "succeeded",
    "status_code": "executing",
    "action": "plot",
    "created_at": NOW.replace(second=30),
    "started_at": NOW.replace(minute=2),
    "completed_at": NOW.replace(minute=2),
    "run_command": "python:v2 a.py",
    "requires_db": True,
}


@pytest.fixture
def state() -> Memory:
    made = prepared()
    ask(made)
    return made


def test_each_field_of_a_job_is_of_one_kind() -> None:
    assert READINGS.keys() | EVENTS.keys() | {"version", "identifier"} == Job.model_fields.keys()


@pytest.mark.parametrize("status", ["pending", "running"])
@pytest.mark.parametrize("key", READINGS)
def test_a_reading_changes_nothing_and_the_report_has_it(state: Memory, status: str, key: str) -> None:
    before = job("a", status, 1)
    report(state, before, job("b", "running", 1))
    after = before.model_copy(update={key: READINGS[key]})
    changes = report(state, after, job("b", "running", 1))
    assert not changes
    assert changes.result == {"ignored": [], "readings": {ID: {"a": after}}}
    assert jobs(state)["a"] == before


@pytest.mark.parametrize("key", EVENTS)
def test_anything_else_is_an_event(state: Memory, key: str) -> None:
    before = job("a", "running", 1)
    report(state, before)
    after = before.model_copy(update={"updated_at": NOW.replace(minute=2), key: EVENTS[key]})
    assert report(state, after).result == {"ignored": []}
    assert (jobs(state) or jobs(state, GONE))["a"] == after


def test_an_event_takes_the_readings_of_its_request_along(state: Memory) -> None:
    report(state, job("a", "running", 1), job("b", "running", 1, "plot"))
    later, ended = job("a", "running", 5, metrics={"cpu": 2}), job("b", "succeeded", 5, "plot")
    changes = report(state, later, ended)
    assert changes.subject == "tpp reported plot succeeded"
    assert jobs(state) == {"a": later, "b": ended}
    assert changes.result == {"ignored": []}


@pytest.mark.parametrize("rest", [(), (job("a", "running", 5), job("c", "pending", 5, "plot"))])
def test_a_job_that_comes_or_goes_is_an_event(state: Memory, rest: tuple[Job, ...]) -> None:
    report(state, job("a", "running", 1), job("b", "running", 1, "analyse"))
    given_jobs = rest or (job("b", "running", 5, "analyse"),)
    assert report(state, *given_jobs)
    assert jobs(state) == {one.identifier: one for one in given_jobs}


@pytest.mark.parametrize("status", ["failed", "succeeded"])
def test_an_end_that_is_repeated_at_another_time_changes_nothing(state: Memory, status: str) -> None:
    """Found: 2025's runner moves both times of a cancelled job at every poll, while another job runs."""
    ended = job("a", status, 1)
    report(state, ended, job("b", "running", 1))
    for minute in (2, 3):
        changes = report(state, job("a", status, minute), job("b", "running", 1))
        assert (bool(changes), changes.result) == (False, {"ignored": []})
    report(state, job("a", status, 4), job("b", "succeeded", 4))
    assert jobs(state, GONE) == {"a": ended, "b": job("b", "succeeded", 4)}


@pytest.mark.parametrize(
    "more",
    [
        {"status_message": "Killed"},
        {"status_code": "nonzero_exit"},
        {"metrics": {"cpu": 1}},
        {"started_at": NOW},
        {"completed_at": None},
    ],
)
def test_what_else_changes_of_a_job_that_has_finished_is_an_event(state: Memory, more: dict[str, Any]) -> None:
    report(state, job("a", "failed", 1))
    corrected = job("a", "failed", 2, **more)
    assert report(state, corrected)
    assert jobs(state, GONE) == {"a": corrected}


def test_a_job_runs_again_after_its_end_was_repeated(state: Memory) -> None:
    report(state, job("a", "failed", 1))
    report(state, job("a", "failed", 5))
    assert report(state, job("a", "running", 6))
    assert jobs(state)["a"].status == "running"


def test_readings_of_many_requests_are_recorded_as_one_commit(state: Memory) -> None:
    other = "2" * 16
    ask(state, "plot", new_id=other)
    report(state, job("a", "running", 1), job("b", "running", 1, "plot"))
    report(state, job("c", "running", 1), to=other)
    heard = {
        ID: {"a": job("a", "running", 5), "b": job("b", "running", 4, "plot")},
        other: {"c": job("c", "running", 5)},
    }
    changes = state.do(TPP, RecordReadings("tpp", heard), LATER)
    assert (changes.event, changes.subject) == ("jobs.updated", "tpp reported readings of generate, generate, plot")
    assert changes.trailers == (("Job-Request", other), ("Job-Request", ID), ("Workspace", "trends"))
    assert jobs(state) == heard[ID]
    assert not state.do(TPP, RecordReadings("tpp", heard), LATER)


def test_readings_that_something_newer_was_recorded_of_are_left_out(state: Memory) -> None:
    after = [job("a", "succeeded", 9), job("b", "running", 9), job("c", "running", 2, status_code="finalizing")]
    report(state, *after)
    heard = {name: job(name, "running", 5) for name in "abcd"}
    assert not state.do(TPP, RecordReadings("tpp", {ID: heard, "2" * 16: heard}), LATER)
    assert list(jobs(state).values()) == after


def test_readings_of_a_job_that_was_marked_as_failed_are_not_recorded(state: Memory) -> None:
    report(state, job("a", "running", 1), job("b", "running", 1))
    state.do(ROOT, FailJob("a", ID, "tpp"), LATER)
    assert not state.do(TPP, RecordReadings("tpp", {ID: {"a": job("a", "running", 5)}}), LATER)


@pytest.mark.parametrize(
    ("minute", "more", "is_kept"), [(5, {}, True), (0, {}, False), (5, {"status_code": "finalizing"}, False)]
)
def test_a_job_that_is_marked_as_failed_keeps_its_readings(
    state: Memory, minute: int, more: dict[str, Any], is_kept: bool
) -> None:
    report(state, job("a", "running", 1), job("b", "running", 1))
    heard = job("a", "running", minute, metrics={"cpu": 3}, **more)
    state.do(ROOT, FailJob("a", ID, "tpp", heard), LATER)
    failed = jobs(state)["a"]
    assert (failed.status, failed.metrics) == ("failed", {"cpu": 3} if is_kept else None)


def test_only_the_backend_itself_reports_readings(state: Memory) -> None:
    report(state, job("a", "running", 1))
    command = RecordReadings("tpp", {ID: {"a": job("a", "running", 5)}})
    other = TPP.__class__(TPP.kind, "emis")
    assert refused(state, other, command).code is Code.FORBIDDEN


def test_jobs_come_back_from_json() -> None:
    given_jobs = {"a": job("a", "running", 1, metrics={"x": [1, None, "é"], "y": 2**63 - 1}), "b": job("b")}
    assert jobs_from_json(jobs_to_json(given_jobs)) == given_jobs
    for other in ("", "[]", '{"a": {}}', '{"a": null}'):
        assert jobs_from_json(other) == {}


polls = st.lists(
    st.tuples(
        st.sampled_from(["pending", "running", "failed", "succeeded"]),
        st.integers(0, 3),
        st.sampled_from(["", "half", "whole"]),
    ),
    min_size=1,
    max_size=12,
)


@given(polls)
def test_the_record_has_every_event_and_is_exact_at_the_end(reports: list[tuple[str, int, str]]) -> None:
    state = prepared()
    ask(state)
    last = None
    for minute, (status, cpu, message) in enumerate(reports):
        sent = job("a", status, minute, status_message=message, metrics={"cpu": cpu})
        was_area = GONE if last is not None and last.status in lifecycle.FINISHED else None
        before = jobs(state, was_area) if was_area else jobs(state)
        changes = report(state, sent)
        last = sent
        finished = status in lifecycle.FINISHED
        (recorded,) = (jobs(state, GONE) if finished else jobs(state)).values()
        assert recorded.status == status
        if finished:
            assert (recorded.status_message, recorded.metrics) == (message, {"cpu": cpu})
        elif not changes:
            assert before["a"].status == status
            assert changes.result["readings"][ID]["a"] == sent
    assert last is not None
    area = Area.ARCHIVE if last.status in lifecycle.FINISHED else Area.ACTIVE
    found = state.on("backends/tpp").find(ID)
    assert found is not None
    assert found.place.area is area
