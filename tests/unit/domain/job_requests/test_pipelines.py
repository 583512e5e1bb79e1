"""A request's pipeline stands beside it: it comes with the request, never changes, and goes with it."""

import pytest

from jobserver.domain.admit import admit
from jobserver.domain.base.layout import Area
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.base.state import Changes, Move
from jobserver.domain.job_requests import pipelines
from jobserver.domain.job_requests.pipelines import PipelineAction, StoredPipeline
from jobserver.domain.job_requests.requests import CancelJobs, JobRequest
from jobserver.errors import Code, Error
from tests.memory import NOW, Memory, job
from tests.unit.domain.admitting import GONE, PLACE, REQUEST, ROOT, TPP, edited, faults, prepared, tpp

ASKED = JobRequest.model_validate(edited(REQUEST, version=2, pipeline=None, cancelled_actions=()).__dict__)
PIPELINE = StoredPipeline(actions={"generate": PipelineAction(run="x")})
OTHER = StoredPipeline(actions={"generate": PipelineAction(run="y")})
BOTH = ((PLACE.request, None, ASKED), (PLACE.pipeline, None, PIPELINE))


@pytest.fixture
def state() -> Memory:
    """The request with its pipeline stands."""
    found = prepared()
    found.put(ASKED)
    found.put_pipeline(PLACE, PIPELINE)
    return found


def test_a_pipeline_comes_with_its_request() -> None:
    assert faults(prepared(), tpp(*BOTH)) == []
    assert faults(prepared(), tpp(BOTH[0])) == [f"{PLACE.request}: its pipeline.yaml is missing"]
    alone = "the folder has no readable request.yaml"
    assert faults(prepared(), tpp(BOTH[1])) == [f"{PLACE.pipeline}: {alone}"]


def test_a_request_of_version_1_has_it_within() -> None:
    assert faults(prepared(), tpp((PLACE.request, None, REQUEST))) == []
    both = tpp((PLACE.request, None, REQUEST), BOTH[1])
    assert faults(prepared(), both) == [f"{PLACE.pipeline}: its request.yaml has the pipeline already"]
    later = prepared()
    later.put(REQUEST)
    assert faults(later, tpp(BOTH[1])) == [f"{PLACE.pipeline}: its request.yaml has the pipeline already"]


def test_requested_actions_are_in_the_pipeline() -> None:
    strange = edited(ASKED, requested_actions=("generate", "run_all", "else"))
    told = faults(prepared(), tpp((PLACE.request, None, strange), BOTH[1]))
    assert told == [f"{PLACE.request}: requested_actions: not in pipeline.yaml: else"]


def test_nobody_changes_it_later(state: Memory) -> None:
    told = faults(state, tpp((PLACE.pipeline, PIPELINE, OTHER)))
    assert told == [f"{PLACE.pipeline}: a job request cannot be changed, only cancelled"]
    assert faults(state, tpp((PLACE.pipeline, PIPELINE, None))) == [f"{PLACE.request}: its pipeline.yaml is missing"]
    swapped = tpp((PLACE.request, ASKED, REQUEST), (PLACE.pipeline, PIPELINE, None))
    assert "a job request cannot be changed, only cancelled" in " ".join(faults(state, swapped))


def test_a_cancel_leaves_it_alone(state: Memory) -> None:
    assert faults(state, tpp((PLACE.request, ASKED, edited(ASKED, cancelled_actions=("generate",))))) == []


def test_a_pipeline_is_deleted_with_its_request(state: Memory) -> None:
    gone = tpp((PLACE.request, ASKED, None))
    assert faults(state, gone) == [f"{PLACE.pipeline}: the folder has no readable request.yaml"]
    assert faults(state, tpp((PLACE.request, ASKED, None), (PLACE.pipeline, PIPELINE, None))) == []


def test_a_pipeline_that_can_not_be_read_may_be_replaced(state: Memory) -> None:
    state.broken.add(PLACE.pipeline)
    assert faults(state, tpp((PLACE.pipeline, None, PIPELINE))) == []
    state.broken = {PLACE.request}
    assert faults(state, tpp((PLACE.request, None, ASKED))) == []


def test_a_pipeline_moves_with_its_request(state: Memory) -> None:
    state.put_job(PLACE, job("j", "succeeded"))
    move = (Move(PLACE, Area.ARCHIVE),)
    assert faults(state, tpp(moves=move)) == []
    left = tpp((GONE.pipeline, PIPELINE, None), moves=move)
    assert faults(state, left) == [f"{GONE.request}: its pipeline.yaml is missing"]
    assert faults(state, tpp((GONE.pipeline, PIPELINE, OTHER), moves=move)) == [
        f"{GONE.pipeline}: a job request cannot be changed, only cancelled"
    ]


@pytest.mark.parametrize("actor", [TPP, Actor(ActorKind.USER, "nobody")])
def test_a_pipeline_needs_the_right_to_request_jobs(actor: Actor) -> None:
    for changes in (tpp(*BOTH), tpp(BOTH[1])):
        assert _code(changes, actor) is Code.FORBIDDEN


def _code(changes: Changes, actor: Actor) -> Code | None:
    try:
        admit(prepared().on(changes.branch), changes, actor, NOW)
    except Error as error:
        return error.code
    return None


def test_a_superuser_may_push_both() -> None:
    assert _code(tpp(*BOTH), ROOT) is None


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        ({"generate": PipelineAction(needs=("else",), run="x")}, "generate needs else, which does not exist"),
        ({"generate": PipelineAction(needs=("generate",), run="x")}, "need each other: generate -> generate"),
        ({"generate": PipelineAction(run="x"), "run_all": PipelineAction(run="")}, "`run_all` is not an action"),
    ],
)
def test_a_pipeline_that_could_not_run_is_refused(actions: dict[str, PipelineAction], said: str) -> None:
    [told] = faults(prepared(), tpp(BOTH[0], (PLACE.pipeline, None, StoredPipeline(actions=actions))))
    assert told.startswith(f"{PLACE.pipeline}: actions: {said}")


def test_more_actions_than_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "MAX_ACTIONS", 1)
    two = StoredPipeline(actions={name: PipelineAction(run=name) for name in ("generate", "more")})
    told = faults(prepared(), tpp(BOTH[0], (PLACE.pipeline, None, two)))
    assert told == [f"{PLACE.pipeline}: actions: more than 1 actions"]


def test_beside_a_request_that_can_not_be_read(state: Memory) -> None:
    state.broken = {PLACE.request, PLACE.pipeline}
    told = faults(state, tpp((PLACE.pipeline, None, PIPELINE)))
    assert told == [f"{PLACE.pipeline}: the folder has no readable request.yaml"]
    assert faults(state, tpp((PLACE.request, None, ASKED))) == [f"{PLACE.request}: its pipeline.yaml is missing"]


def test_cancelling_reads_it_wherever_it_stands(state: Memory) -> None:
    within = {"generate": PipelineAction(run="x"), "run_all": PipelineAction(needs=("else",), run="")}
    older = edited(REQUEST, cancelled_actions=(), requested_actions=("run_all",), pipeline=within)
    state.files["backends/tpp"].pop(PLACE.pipeline)
    state.put(older)
    changes = state.do(ROOT, CancelJobs(PLACE.identifier, "tpp"))
    assert changes.changes[0].after == edited(older, cancelled_actions=("generate",))
    state.put(ASKED)
    with pytest.raises(Error, match=r"pipeline\.yaml: is missing"):
        state.do(ROOT, CancelJobs(PLACE.identifier, "tpp"))
