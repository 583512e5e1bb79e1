"""Why a request or a job waits: one reason and one sentence for each situation."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobserver.domain.backends import Backend
from jobserver.domain.waiting.backend_status import BackendContact, BackendStatus, backend_status
from jobserver.domain.waiting.waiting import Reason, Waiting, WaitingRequest

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TPP = Backend(slug="tpp", name="TPP", created_at=NOW - timedelta(days=9))
NEEDS = {"generate": [], "model": ["generate"], "report": ["generate", "model"]}


@dataclass(frozen=True)
class Request:
    identifier: str
    workspace: str = "trends"
    actions: tuple[str, ...] = ("run_all",)
    created_by: str = "alice"


@dataclass(frozen=True)
class Job:
    action: str
    status: str = "pending"
    status_code: str = "created"
    more: dict[str, Any] = field(default_factory=dict)


def seen(ago: timedelta = timedelta(seconds=8), backend: Backend = TPP, **flags: Any) -> BackendStatus:
    raised = {name.replace("_", "-"): {"v": value, "ts": "2026-11-24T00:00:00Z"} for name, value in flags.items()}
    return backend_status(backend, BackendContact(NOW - ago, raised), NOW)


def request(backend: BackendStatus, *jobs: Job, ahead: int = 0, cancelled: tuple[str, ...] = ()) -> WaitingRequest:
    behind = [Request(f"r{number}", f"w{number}", ("a", "b", "c")[: number + 1]) for number in range(min(ahead, 10))]
    return WaitingRequest(
        identifier="me", jobs=jobs, needs=NEEDS, cancelled=cancelled, backend=backend, now=NOW, ahead=ahead,
        behind=behind,
    )  # fmt: skip


def explain(backend: BackendStatus, *jobs: Job, **more: Any) -> Waiting:
    waiting = request(backend, *jobs, **more).explain()
    assert waiting is not None
    return waiting


LOST = backend_status(TPP, None, NOW)
NO_CONTROLLER = backend_status(TPP, BackendContact(None, problem=("It is down.", NOW)), NOW)
OFF = backend_status(TPP.model_copy(update={"active": False}), BackendContact(NOW), NOW)


@pytest.mark.parametrize(
    ("backend", "reason", "text"),
    [
        (OFF, Reason.DEACTIVATED, "TPP is deactivated. Nothing can run there."),
        (
            NO_CONTROLLER,
            Reason.CONTROLLER,
            "The server can't have the controller of TPP run it. It goes on trying, and the request is not lost.",
        ),
        (LOST, Reason.NEVER_CONNECTED, "No runner of TPP has ever connected."),
        (seen(timedelta(hours=3)), Reason.OFFLINE, "TPP is offline. Its runner was last seen 3 hours ago."),
        (
            seen(timedelta(hours=3), paused=True),
            Reason.OFFLINE,
            "TPP is offline. Its runner was last seen 3 hours ago.",
        ),
        (seen(paused=True), Reason.PAUSED, "TPP has been paused for 12 hours. No new jobs will start."),
        (
            seen(mode="db-maintenance"),
            Reason.DATABASE_MAINTENANCE,
            "TPP has been in database maintenance for 12 hours. Jobs that need the database wait until it is over.",
        ),
        (
            seen(refusing="other me"),
            Reason.REFUSED,
            "The runner of TPP refuses this request because it does not trust the key that signed it.",
        ),
        (seen(), Reason.RUNNER, "Next in the queue of TPP, whose runner was last seen 8 seconds ago."),
    ],
)
def test_what_the_state_of_the_backend_explains(backend: BackendStatus, reason: Reason, text: str) -> None:
    waiting = explain(backend)
    assert (waiting.reason, waiting.text) == (reason, text)
    assert waiting.is_held is (reason is not Reason.RUNNER), "no start can be expected"


@pytest.mark.parametrize(
    ("ahead", "text"),
    [
        (1, "Number 2 in the queue of TPP, behind a on w0."),
        (2, "Number 3 in the queue of TPP, behind a on w0 and a, b on w1."),
        (1300, "Number 1,301 in the queue of TPP, behind a on w0, a, b on w1 and 1,298 more."),
    ],
)
def test_the_place_in_the_queue_and_who_is_before(ahead: int, text: str) -> None:
    waiting = explain(seen(), ahead=ahead)
    assert (waiting.reason, waiting.text, waiting.position) == (Reason.QUEUE, text, ahead + 1)
    assert [phrase.request for phrase in waiting.sentence if phrase.request] == ["r0", "r1"][:ahead]


def test_a_request_waits_for_what_its_first_job_waits_for() -> None:
    later = Job("model", status_code="waiting_on_dependencies")
    waiting = explain(seen(), later, Job("generate", status_code="waiting_on_workers"), ahead=1)
    assert waiting.reason is Reason.WORKERS
    assert waiting.text == "Waiting for a free worker on TPP. Number 2 in the queue, behind a on w0."
    database = explain(seen(), Job("generate", status_code="waiting_on_db_workers"))
    assert database.text == "Waiting for a free database worker on TPP."


@pytest.mark.parametrize("status", ["running", "succeeded", "failed"])
def test_a_request_does_not_wait_while_a_job_runs_or_when_all_have_finished(status: str) -> None:
    assert request(seen(paused=True), Job("generate", status)).explain() is None


def test_a_request_waits_again_when_nothing_runs_any_more() -> None:
    assert explain(seen(paused=True), Job("generate", "succeeded"), Job("model")).reason is Reason.PAUSED


def test_a_job_names_the_actions_that_it_waits_for() -> None:
    jobs = (Job("generate", "succeeded"), Job("model", "running"), Job("report"))
    waiting = request(seen(paused=True), *jobs).explain_jobs()[2]
    assert waiting is not None
    assert (waiting.reason, waiting.text, waiting.waits_for) == (Reason.ACTIONS, "Waiting for model.", ("model",))
    assert [phrase.action for phrase in waiting.sentence if phrase.action] == ["model"]
    both = request(seen(), Job("generate"), Job("model"), Job("report")).explain_jobs()[2]
    assert both is not None
    assert both.text == "Waiting for generate and model."
    assert request(seen(), *jobs).explain_jobs()[:2] == [None, None]


def test_a_job_with_many_needs_names_some() -> None:
    jobs = [Job(f"a{number}") for number in range(9)]
    known = replace(request(seen(), *jobs, Job("last")), needs={"last": [job.action for job in jobs]})
    waiting = known.explain_jobs()[-1]
    assert waiting is not None
    assert waiting.text == "Waiting for a0, a1, a2 and 6 more."
    assert len(waiting.waits_for) == 9


def test_a_job_that_needs_no_database_does_not_wait_for_it() -> None:
    backend = seen(manual_db_maintenance="on")
    assert explain(backend, Job("generate", more={"requires_db": False})).reason is Reason.QUEUE
    assert explain(backend, Job("generate", more={"requires_db": True})).reason is Reason.DATABASE_MAINTENANCE


def test_what_a_job_says_counts_where_the_flag_is_not_there() -> None:
    assert explain(seen(), Job("generate", status_code="paused")).text == "TPP is paused. No new jobs will start."
    assert explain(seen(), Job("generate", status_code="waiting_db_maintenance")).reason is Reason.DATABASE_MAINTENANCE


def test_a_cancelled_request_waits_for_its_runner() -> None:
    waiting = explain(seen(), cancelled=("generate", "model", "report"))
    assert waiting.reason is Reason.CANCELLING
    assert explain(seen(), Job("generate"), Job("model"), cancelled=("generate",)).reason is Reason.QUEUE


def test_a_job_of_a_runner_that_only_pushes_is_not_of_one_that_never_connected() -> None:
    assert explain(LOST, Job("generate")).text == "Next in the queue of TPP."


def test_a_sentence_gives_the_place_in_the_queue_or_a_fact_does() -> None:
    assert explain(seen()).gives_place
    assert explain(seen(), ahead=2).gives_place
    assert explain(seen(), Job("generate", status_code="waiting_on_workers"), ahead=2).gives_place
    assert not explain(seen(), Job("generate", status_code="waiting_on_workers")).gives_place
    assert not explain(seen(paused=True), ahead=2).gives_place


def test_thousands_of_jobs_that_need_thousands_are_explained_at_once() -> None:
    first = [Job(f"a{number}") for number in range(3000)]
    last = [Job(f"b{number}") for number in range(3000)]
    needs = {job.action: [first[0].action] for job in last}
    waiting = replace(request(seen(), *first, *last), needs=needs).explain_jobs()
    assert [why.reason for why in waiting if why is not None][2999:3001] == [Reason.QUEUE, Reason.ACTIONS]


def test_thousands_of_jobs_that_wait_for_the_same_have_one_answer() -> None:
    first, *last = jobs = [Job(f"a{number}") for number in range(3000)]
    whole = replace(request(seen(), *jobs), needs={job.action: [first.action] for job in last})
    waiting = whole.explain_jobs()
    assert len({id(why) for why in waiting}) == 2
    cancelled = replace(whole, cancelled=Counted(job.action for job in jobs)).explain_jobs()
    assert {why.reason for why in cancelled if why is not None} == {Reason.CANCELLING}
    assert Counted.looks == 0  # in each of thousands, for thousands of jobs


class Counted(list[str]):
    looks = 0

    def __contains__(self, action: object) -> bool:
        Counted.looks += 1
        return super().__contains__(action)
