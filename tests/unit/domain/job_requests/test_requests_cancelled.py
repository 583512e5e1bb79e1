"""What cancelling changes, and what it leaves alone, through `plan` and `admit`, in memory."""

import pytest

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import CancelJobs, JobRequest, RequestJobs
from jobserver.domain.users import User
from jobserver.domain.workspaces import ChangeWorkspace
from jobserver.errors import Code
from tests.memory import ID, Memory, job
from tests.unit.domain.job_requests.requesting import ALICE, PIPELINE, ask, prepared, refused, report, stored


@pytest.fixture
def state() -> Memory:
    return prepared()


@pytest.mark.parametrize(
    ("actions", "cancelled"),
    [
        ((), ("generate", "analyse", "plot")),
        (("run_all",), ("generate", "analyse", "plot")),
        (("plot",), ("plot",)),
        (("plot", "run_all"), ("plot", "generate", "analyse")),
        (("analyse", "plot", "analyse"), ("analyse", "plot")),
    ],
)
def test_cancelling_before_the_runner_saw_it(
    state: Memory, actions: tuple[str, ...], cancelled: tuple[str, ...]
) -> None:
    """`run_all` stands for all that it would have run: a runner compares job by job."""
    ask(state)
    changes = state.do(ALICE, CancelJobs(ID, "tpp", actions))
    assert stored(state).cancelled_actions == cancelled
    assert (changes.branch, changes.event, changes.result) == (
        "backends/tpp",
        "job-request.cancelled",
        {"identifier": ID},
    )
    assert changes.subject == f"alice cancelled {', '.join(cancelled)} on trends"
    assert changes.trailers == (("Job-Request", ID), ("Workspace", "trends"))
    again = state.do(ALICE, CancelJobs(ID, "tpp", actions))
    assert (bool(again), again.event, again.result) == (False, "job-request.cancelled", {"identifier": ID})


def test_many_cancelled_actions_are_counted(state: Memory) -> None:
    pipeline = {f"a{n}": PipelineAction(run="x") for n in range(4)}
    state.do(ALICE, RequestJobs("trends", "tpp", tuple(pipeline), "0" * 40, pipeline))
    assert state.do(ALICE, CancelJobs(ID, "tpp")).subject == "alice cancelled 4 actions on trends"


def test_a_finished_request_is_not_cancelled(state: Memory) -> None:
    ask(state)
    report(
        state,
        job("a", "succeeded"),
        job("b", "failed", action="analyse"),
        job("c", "running", action="analyse"),
        job("d", "failed", action="plot"),
    )
    state.do(ALICE, CancelJobs(ID, "tpp"))
    assert stored(state).cancelled_actions == ("analyse",)  # it was run again, and that is not finished
    assert not state.do(ALICE, CancelJobs(ID, "tpp", ("plot", "generate")))


def test_an_action_that_the_runner_added_can_be_cancelled(state: Memory) -> None:
    ask(state, "generate")
    report(state, job("a"), job("b", action="extra"))
    state.do(ALICE, CancelJobs(ID, "tpp", ("extra",)))
    state.do(ALICE, CancelJobs(ID, "tpp"))
    assert stored(state).cancelled_actions == ("extra", "generate")


@pytest.mark.parametrize("action", ["", "a b", "-", "x" * 129])
def test_no_action_name_of_a_runner_makes_the_request_invalid(state: Memory, action: str) -> None:
    """The name of a job is any text; a cancel once wrote it where only names of actions can be read."""
    ask(state, "generate")
    report(state, job("a"), job("b", action=action))
    state.do(ALICE, CancelJobs(ID, "tpp"))
    assert stored(state).cancelled_actions == ("generate",)
    JobRequest.model_validate(stored(state).model_dump())
    assert refused(state, ALICE, CancelJobs(ID, "tpp", (action,))).code is Code.INVALID


def test_a_job_called_run_all_stands_for_the_whole_request(state: Memory) -> None:
    pipeline = {"generate": PIPELINE["generate"]}
    state.do(ALICE, RequestJobs("trends", "tpp", ("generate",), "0" * 40, pipeline))
    report(state, job("a", action="run_all"))
    state.do(ALICE, CancelJobs(ID, "tpp", ("run_all",)))
    assert stored(state).cancelled_actions == ("generate",)


def test_a_finished_request_is_left_alone(state: Memory) -> None:
    ask(state, "generate")
    report(state, job("a", "succeeded"))
    for actions in ((), ("generate",)):
        changes = state.do(ALICE, CancelJobs(ID, "tpp", actions))
        assert (bool(changes), changes.result) == (False, {"identifier": ID})


def test_a_command_without_changes_needs_the_same_rights(state: Memory) -> None:
    """Found: a cancel with nothing left to cancel, or an archiving twice, was taken from people without the right."""
    state.put(User(username="eve"))
    ask(state, "generate")
    state.do(ALICE, CancelJobs(ID, "tpp"))
    error = refused(state, Actor(ActorKind.USER, "eve"), CancelJobs(ID, "tpp"))
    assert (error.code, str(error)) == (Code.FORBIDDEN, f"eve cannot update the job-request {ID}")
    error = refused(state, Actor(ActorKind.USER, "eve"), ChangeWorkspace("past", archived=True))
    assert (error.code, str(error)) == (Code.FORBIDDEN, "eve cannot update the workspace past")


def test_these_cancellations_are_refused(state: Memory) -> None:
    assert str(refused(state, ALICE, CancelJobs(ID, "tpp"))) == f"job request '{ID}' does not exist"
    ask(state, "analyse")
    error = refused(state, ALICE, CancelJobs(ID, "tpp", ("plot", "generate", "run_all")))
    assert (error.code, str(error)) == (Code.INVALID, "actions: not part of this job request: plot, run_all")
