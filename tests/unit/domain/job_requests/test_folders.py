"""Each invariant of a backend's branch broken by hand-made changes, and beside it what is legal."""

import pytest

from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.state import Changes, Move
from tests.memory import Memory, job
from tests.unit.domain.admitting import BESIDE, GONE, OTHER, PLACE, REQUEST, SECOND, edited, faults, prepared, tpp


@pytest.fixture
def state() -> Memory:
    return prepared()


def misplaced(place: Place) -> str:
    return f"{place.folder}/: a request belongs in archive/ if all of its jobs are finished, and in active/ if not"


RUNNING, DONE = job("a", "running"), job("a", "succeeded", 1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # a request stands once, on its own backend's branch
        (tpp((PLACE.request, None, REQUEST)), []),
        (
            tpp((PLACE.request, None, edited(REQUEST, backend="emis"))),
            [f"{PLACE.request}: backend: is 'emis', but the branch is backends/tpp"],
        ),
        (
            tpp((BESIDE.moved(Area.ARCHIVE).request, None, SECOND)),
            [
                f"{BESIDE.moved(Area.ARCHIVE).request}: this job request already exists in {BESIDE.folder}",
                f"{BESIDE.moved(Area.ARCHIVE).folder}/: a request in archive/ must have jobs, and all of them must be "
                "finished",
            ],
        ),
        (
            tpp((PLACE.request, None, REQUEST), (GONE.request, None, REQUEST), (GONE.job("a"), None, DONE)),
            [f"{GONE.request}: this job request already exists in {PLACE.folder}"],
        ),
        # what was asked for stays
        (
            tpp((BESIDE.request, SECOND, edited(SECOND, sha="1" * 40, will_notify=True))),
            [
                f"{BESIDE.request}: {key}: a job request cannot be changed, only cancelled"
                for key in ("sha", "will_notify")
            ],
        ),
        (tpp((BESIDE.request, SECOND, edited(SECOND, cancelled_actions=("generate", "x")))), []),
        (
            tpp((BESIDE.request, SECOND, edited(SECOND, cancelled_actions=()))),
            [f"{BESIDE.request}: cancelled_actions: a cancelled action stays cancelled"],
        ),
        (
            tpp((BESIDE.request, SECOND, edited(SECOND, cancelled_actions=("x", "generate")))),
            [f"{BESIDE.request}: cancelled_actions: a cancelled action stays cancelled"],
        ),
        # jobs are beside a request
        (tpp((BESIDE.job("a"), None, RUNNING)), []),
        (tpp((PLACE.request, None, REQUEST), (PLACE.job("a"), None, RUNNING)), []),
        (
            tpp((PLACE.job("a"), None, RUNNING)),
            [f"{PLACE.job('a')}: the folder has no readable request.yaml"],
        ),
        (
            tpp((BESIDE.moved(Area.ARCHIVE).job("a"), None, DONE)),
            [f"{BESIDE.moved(Area.ARCHIVE).job('a')}: the folder has no readable request.yaml"],
        ),
        (
            tpp((BESIDE.request, SECOND, None), (BESIDE.job("a"), None, RUNNING)),
            [f"{BESIDE.job('a')}: the folder has no readable request.yaml"],
        ),
        (tpp((BESIDE.request, SECOND, None)), []),
        # a job is one request's
        (
            tpp((PLACE.request, None, REQUEST), (PLACE.job("a"), None, RUNNING), (BESIDE.job("a"), None, RUNNING)),
            [f"{BESIDE.job('a')}: job a is in two job requests"],
        ),
        # archive/ holds what is finished
        (tpp((GONE.request, None, REQUEST), (GONE.job("a"), None, DONE)), []),
        (
            tpp((GONE.request, None, REQUEST)),
            [f"{GONE.folder}/: a request in archive/ must have jobs, and all of them must be finished"],
        ),
        (
            tpp((GONE.request, None, REQUEST), (GONE.job("a"), None, DONE), (GONE.job("b"), None, job("b"))),
            [f"{GONE.folder}/: a request in archive/ must have jobs, and all of them must be finished"],
        ),
        # moves
        (
            tpp(moves=(Move(BESIDE, Area.ARCHIVE),)),
            [misplaced(BESIDE.moved(Area.ARCHIVE))],
        ),
        (tpp((BESIDE.moved(Area.ARCHIVE).job("a"), None, DONE), moves=(Move(BESIDE, Area.ARCHIVE),)), []),
        (
            tpp((BESIDE.moved(Area.ARCHIVE).job("a"), None, RUNNING), moves=(Move(BESIDE, Area.ARCHIVE),)),
            [misplaced(BESIDE.moved(Area.ARCHIVE))],
        ),
    ],
)
def test_a_change_of_a_backends_branch_has_these_faults(state: Memory, changes: Changes, expected: list[str]) -> None:
    assert faults(state, changes) == expected


@pytest.fixture
def busy(state: Memory) -> Memory:
    """One request that is active, with two jobs of which one runs; one that is archived."""
    state.put(REQUEST, Area.ARCHIVE)
    state.put_job(GONE, DONE)
    state.put_job(BESIDE, job("b", "running", 5))
    state.put_job(BESIDE, job("c", "succeeded", 5))
    return state


B_RUNNING, C_DONE = job("b", "running", 5), job("c", "succeeded", 5)
BACK = PLACE.job("a")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # the lifecycle
        (tpp((BESIDE.job("b"), B_RUNNING, job("b", "pending", 6))), []),
        (
            tpp((BESIDE.job("b"), B_RUNNING, job("b", "pending", 4))),
            [f"{BESIDE.job('b')}: updated_at: running -> pending needs a later time than the stored job has"],
        ),
        (
            tpp((BESIDE.job("c"), C_DONE, job("c", "running", 5))),
            [f"{BESIDE.job('c')}: updated_at: succeeded -> running needs a later time than the stored job has"],
        ),
        (tpp((BESIDE.job("b"), B_RUNNING, None)), []),
        # owners
        (
            tpp((PLACE.request, REQUEST, None), (BESIDE.job("a"), None, RUNNING)),
            [],  # whose other request is archived, that one may come again
        ),
        (
            tpp((GONE.job("b"), None, job("b", "succeeded"))),
            [f"{GONE.job('b')}: job b belongs to job request {OTHER}"],
        ),
        # jobs go with their request
        (tpp((GONE.request, REQUEST, None)), [f"{GONE.job('a')}: its request.yaml is deleted"]),
        (tpp((GONE.request, REQUEST, None), (GONE.job("a"), DONE, None)), []),
        (
            tpp((BESIDE.request, SECOND, None), (BESIDE.job("b"), B_RUNNING, None)),
            [f"{BESIDE.job('c')}: its request.yaml is deleted"],
        ),
        # archive/ holds what is finished
        (tpp((GONE.job("a"), DONE, job("a", "failed", 2))), []),
        (
            tpp((GONE.job("a"), DONE, job("a", "running", 2))),
            [f"{GONE.folder}/: a request in archive/ must have jobs, and all of them must be finished"],
        ),
        (
            tpp((GONE.job("a"), DONE, None)),
            [f"{GONE.folder}/: a request in archive/ must have jobs, and all of them must be finished"],
        ),
        (tpp((GONE.job("d"), None, job("d", "failed")), (GONE.job("a"), DONE, None)), []),
        (tpp((GONE.request, REQUEST, REQUEST)), []),
        # moves
        (
            tpp(moves=(Move(BESIDE, Area.ARCHIVE),)),
            [misplaced(BESIDE.moved(Area.ARCHIVE))],
        ),
        (tpp((BESIDE.moved(Area.ARCHIVE).job("b"), B_RUNNING, None), moves=(Move(BESIDE, Area.ARCHIVE),)), []),
        (
            tpp(
                (BESIDE.moved(Area.ARCHIVE).job("b"), B_RUNNING, None),
                (BESIDE.moved(Area.ARCHIVE).job("c"), C_DONE, None),
                moves=(Move(BESIDE, Area.ARCHIVE),),
            ),
            [misplaced(BESIDE.moved(Area.ARCHIVE))],
        ),
        (
            tpp(
                (BESIDE.moved(Area.ARCHIVE).job("b"), B_RUNNING, job("b", "failed", 6)),
                moves=(Move(BESIDE, Area.ARCHIVE),),
            ),
            [],
        ),
        (
            tpp(moves=(Move(GONE, Area.ACTIVE),)),
            [misplaced(PLACE)],
        ),
        (tpp((BACK, DONE, job("a", "running", 2)), moves=(Move(GONE, Area.ACTIVE),)), []),
        (tpp((BACK, DONE, None), moves=(Move(GONE, Area.ACTIVE),)), []),
        (
            tpp(
                (BACK, DONE, job("a", "running", 2)), (BESIDE.job("a"), None, RUNNING), moves=(Move(GONE, Area.ACTIVE),)
            ),
            [f"{BESIDE.job('a')}: job a is in two job requests"],
        ),
        (
            tpp((BESIDE.job("a"), None, RUNNING), moves=(Move(GONE, Area.ACTIVE),)),
            [
                misplaced(PLACE),
                f"{BACK}: job a is in two job requests",
            ],
        ),
        (tpp((BACK, DONE, None), (BESIDE.job("a"), None, RUNNING), moves=(Move(GONE, Area.ACTIVE),)), []),
    ],
)
def test_a_change_of_a_running_request_has_these_faults(busy: Memory, changes: Changes, expected: list[str]) -> None:
    assert faults(busy, changes) == expected


def test_a_request_comes_back_only_with_jobs_that_nobody_else_has(busy: Memory) -> None:
    busy.put_job(BESIDE, RUNNING)
    changes = tpp((PLACE.job("d"), None, job("d", "running")), moves=(Move(GONE, Area.ACTIVE),))
    assert faults(busy, changes) == [f"{BACK}: job a belongs to job request {OTHER}"]


def test_a_request_that_cannot_be_read_can_be_mended(busy: Memory) -> None:
    """It once could not: the state was asked for what stood there, and that was the fault."""
    for place, request in ((BESIDE, SECOND), (GONE, REQUEST)):
        busy.broken = {place.request}
        assert faults(busy, tpp((place.request, None, request))) == []
    assert faults(busy, tpp((GONE.job("b"), None, DONE.model_copy(update={"identifier": "b"})))) == [
        f"{GONE.job('b')}: the folder has no readable request.yaml",
        f"{GONE.job('b')}: job b belongs to job request {OTHER}",
    ]
