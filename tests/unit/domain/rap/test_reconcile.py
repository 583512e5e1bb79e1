"""What is left to do, by the record and by what a controller answers."""

from typing import Any

import pytest

from jobserver.domain.rap.answers import ControllerBackends, RapRefusal, RapStatus, read_answer
from jobserver.domain.rap.reconcile import ActiveRap, RapSteps, next_pause, reconcile
from jobserver.errors import Code, Error

A, B, C = ("2" * 16, "3" * 16, "4" * 16)


def job(rap: str, action: str, status: str = "running", backend: str = "tpp") -> dict[str, Any]:
    return {"rap_id": rap, "action": action, "status": status, "backend": backend}


def status(*jobs: dict[str, Any], unknown: tuple[str, ...] = ()) -> RapStatus:
    return RapStatus(jobs=jobs, unrecognised_rap_ids=unknown)


def active(identifier: str, *cancelled: str, actions: tuple[str, ...] = (), has_jobs: bool = False) -> ActiveRap:
    return ActiveRap(identifier, "tpp", frozenset(cancelled), frozenset(actions), has_jobs)


def test_what_the_controller_does_not_know_is_created_there_oldest_first() -> None:
    steps = reconcile([active(B), active(A)], status(unknown=(A, B)))
    assert steps == RapSteps(create=[B, A])


def test_what_it_knows_is_reported_whether_or_not_the_record_has_jobs() -> None:
    jobs = [job(A, "x"), job(A, "y", "failed"), job(B, "x")]
    steps = reconcile([active(A), active(B, has_jobs=True)], status(*jobs))
    assert steps == RapSteps(report={A: jobs[:2], B: jobs[2:]})


def test_a_cancellation_is_sent_until_the_controller_has_it_and_names_what_is_not_finished() -> None:
    request = active(A, "x", "y", "gone", actions=("x", "y", "z"), has_jobs=True)
    answer = status(job(A, "x"), job(A, "y", "succeeded"), job(A, "z", "pending"))
    assert reconcile([request], answer).cancel == {A: ("x",)}
    assert reconcile([request], answer, {A: {"x"}}).cancel == {}
    assert reconcile([request], status(job(A, "x"), job(A, "y", "pending")), {A: {"x"}}).cancel == {A: ("y",)}


@pytest.mark.parametrize("value", [["running"], {}, None, 1])
def test_a_status_that_is_no_text_is_left_to_the_report(value: Any) -> None:
    odd = job(A, "x") | {"status": value}
    assert reconcile([active(A, "x", has_jobs=True)], status(odd)).report == {A: [odd]}


def test_what_was_cancelled_before_it_was_created_never_is() -> None:
    whole = active(A, "x", "y", actions=("x", "y"))
    part = active(B, "x", actions=("x", "y"))
    assert reconcile([whole, part], status(unknown=(A, B))) == RapSteps(end=[A], create=[B])


def test_what_the_controller_has_forgotten_does_not_run_twice() -> None:
    assert reconcile([active(A, has_jobs=True)], status(unknown=(A,))) == RapSteps(lost=[A])


def test_an_answer_that_contradicts_itself_costs_its_own_request_only() -> None:
    answer = status(job(A, "x"), job(C, "x", backend="emis"), job("5" * 16, "x"), unknown=(A, B))
    steps = reconcile([active(A), active(B), active(C), active("6" * 16)], answer)
    assert (steps.create, steps.report) == ([B], {})
    assert steps.wrong == {
        A: "the answer names its jobs and does not recognise it",
        C: "its jobs are of backend emis",
        "6" * 16: "no answer",
    }


def test_questions_are_frequent_while_there_is_news() -> None:
    pauses = [2.0]
    while pauses[-1] < 60:
        pauses.append(next_pause(pauses[-1], is_news=False))
    assert len(pauses) < 12
    assert next_pause(60, is_news=False) == 60
    assert next_pause(60, is_news=True) == 2


FLAG = b'{"status": "off", "since": null}'
MAINTENANCE = b'{"status": "on", "since": "2026-11-24T09:00:00Z", "type": "%s"}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "is not JSON"),
        (b"<html>", "is not JSON"),
        (b"[]", "the answer"),
        (b"{}", "backends required, and missing"),
        (b'{"backends": {}}', "backends"),
        (b'{"backends": [{"slug": 1}]}', "backends.0.slug"),
        (
            b'{"backends": [{"slug": "tpp", "last_seen": "yesterday", "paused": {}, "db_maintenance": {}}]}',
            "backends.0.last_seen",
        ),
    ],
)
def test_an_answer_of_another_shape_is_named_with_its_place(body: bytes, expected: str) -> None:
    with pytest.raises(Error, match="not as expected") as error:
        read_answer(ControllerBackends, body)
    assert error.value.code is Code.UNAVAILABLE
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("kind", "raised"), [(b"scheduled", {"mode": "db-maintenance"}), (b"manual", {"manual-db-maintenance": "on"})]
)
def test_the_state_of_a_backend_is_what_a_runners_flags_say(kind: bytes, raised: dict[str, str]) -> None:
    paused = FLAG.replace(b"off", b"on")
    body = (
        b'{"backends": [{"slug": "tpp", "last_seen": "2026-11-24T09:00:00.123456Z", "new": 1, "paused": '
        + paused
        + b', "db_maintenance": '
        + MAINTENANCE % kind
        + b"}]}"
    )
    (backend,) = read_answer(ControllerBackends, body).backends
    flags = backend.flags()
    assert {name: flag["v"] for name, flag in flags.items() if flag["v"]} == {"paused": "true"} | raised
    assert flags["mode"]["ts"] == "2026-11-24T09:00:00+00:00"


def test_a_refusal_says_why_and_not_at_any_length() -> None:
    refusal = read_answer(RapRefusal, b'{"error": "Error creating jobs", "details": "no project.yaml"}')
    assert refusal.text == "Error creating jobs: no project.yaml"
    assert len(RapRefusal(error="x", details="y" * 100_000).text) == 2000
