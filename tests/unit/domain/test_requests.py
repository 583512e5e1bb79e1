"""What asking, cancelling, reporting and marking as failed change, through `plan` and `admit`, in memory."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.domain import commands as c
from jobserver.domain import lifecycle
from jobserver.domain.documents import MAX_MESSAGE_BYTES, Backend, Job, JobRequest, PipelineAction, User, Workspace
from jobserver.domain.names import Area, Place
from jobserver.domain.permissions import SERVER, Actor, ActorKind, Role
from jobserver.domain.plan_requests import expand
from jobserver.domain.state import Move
from jobserver.errors import Code, Error
from tests.memory import ID, NOW, Memory, job

ALICE = Actor(ActorKind.USER, "alice")
ROOT = Actor(ActorKind.USER, "root")
TPP = Actor(ActorKind.BACKEND, "tpp")
OTHER, THIRD = "2" * 16, "3" * 16
PLACE = Place(Area.ACTIVE, NOW.date(), ID)
GONE = PLACE.moved(Area.ARCHIVE)
PIPELINE = {
    "generate": PipelineAction(run="python g.py"),
    "analyse": PipelineAction(needs=("generate",), run="python a.py"),
    "plot": PipelineAction(needs=("generate",), run="python p.py"),
    "run_all": PipelineAction(needs=("analyse", "plot"), run=""),
}
TRENDS = Workspace(
    name="trends",
    project=None,
    repo="study",
    branch="dev",
    db="slice",
    created_by="bob",
    created_at=NOW - timedelta(days=9),
)


@pytest.fixture
def state() -> Memory:
    return Memory(
        User(username="root", roles=(Role.SUPER_USER,)),
        User(username="alice", roles=(Role.CORE_DEVELOPER,)),
        Backend(slug="tpp", name="TPP", databases=("full", "slice"), created_at=NOW),
        Backend(slug="emis", name="EMIS", created_at=NOW),
        Backend(slug="old", name="Old", active=False, created_at=NOW),
        TRENDS,
        TRENDS.model_copy(update={"name": "past", "archived": True}),
        TRENDS.model_copy(update={"name": "told", "should_notify": True}),
    )


def asked(*actions: str, workspace: str = "trends", backend: str = "tpp", **more: Any) -> c.RequestJobs:
    return c.RequestJobs(workspace, backend, actions or ("run_all",), "0" * 40, PIPELINE, **more)


def ask(state: Memory, *actions: str, new_id: str = ID) -> None:
    state.do(ALICE, asked(*actions), new_id=new_id)


def report(state: Memory, *jobs: Job, to: str = ID) -> Any:
    return state.do(TPP, c.UpdateJobs("tpp", tuple((to, one) for one in jobs)))


def stored(state: Memory, identifier: str = ID) -> JobRequest:
    found = state.on("backends/tpp").find(identifier)
    assert found is not None
    return found.request


def area(state: Memory, identifier: str = ID) -> Area:
    found = state.on("backends/tpp").find(identifier)
    assert found is not None
    return found.place.area


def jobs(state: Memory, place: Place = PLACE) -> dict[str, Job]:
    return state.on("backends/tpp").jobs(place)


def refused(state: Memory, actor: Actor, command: c.Command) -> Error:
    before = {branch: dict(files) for branch, files in state.files.items()}
    with pytest.raises(Error) as caught:
        state.do(actor, command)
    assert state.files == before
    return caught.value


# Asking


def test_a_request_holds_all_that_a_runner_needs(state: Memory) -> None:
    changes = state.do(ALICE, asked("analyse", "generate", "analyse"))
    (change,) = changes.changes
    assert (changes.branch, changes.event, changes.moves) == ("backends/tpp", "job-request.created", ())
    assert changes.subject == "alice requested analyse, generate on trends"
    assert changes.trailers == (("Job-Request", ID), ("Workspace", "trends"))
    assert changes.result == {"identifier": ID}
    assert (change.path, change.before) == (f"active/2026-11-24/{ID}/request.yaml", None)
    assert isinstance(change.after, JobRequest)
    assert change.after.model_dump(mode="python") == {
        "version": 1,
        "identifier": ID,
        "backend": "tpp",
        "created_by": "alice",
        "created_at": NOW,
        "sha": "0" * 40,
        "requested_actions": ("analyse", "generate"),
        "cancelled_actions": (),
        "force_run_dependencies": False,
        "database_name": "slice",
        "codelists_ok": True,
        "will_notify": False,
        "workspace": {
            "name": "trends",
            "repo": "study",
            "branch": "dev",
            "db": "slice",
            "created_by": "bob",
            "created_at": NOW - timedelta(days=9),
        },
        "project": None,
        "pipeline": {name: action.model_dump() for name, action in PIPELINE.items()},
    }


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        (("generate",), "generate"),
        (("generate", "analyse", "plot"), "generate, analyse, plot"),
        (("generate", "analyse", "plot", "run_all"), "4 actions"),
    ],
)
def test_a_long_list_of_actions_is_counted(state: Memory, actions: tuple[str, ...], said: str) -> None:
    assert state.do(ALICE, asked(*actions)).subject == f"alice requested {said} on trends"
    cancelled = state.do(ALICE, c.CancelJobs(ID, "tpp", actions)).subject
    expected = {"4 actions": "generate, analyse, plot"}.get(said, said)
    assert cancelled == f"alice cancelled {expected} on trends"


@pytest.mark.parametrize(
    ("more", "key", "value"),
    [
        ({"force_run_dependencies": True}, "force_run_dependencies", True),
        ({"codelists_ok": False}, "codelists_ok", False),
        ({"database_name": "full"}, "database_name", "full"),
        ({"will_notify": True}, "will_notify", True),
        ({"workspace": "told"}, "will_notify", True),
        ({"workspace": "told", "will_notify": False}, "will_notify", False),
    ],
)
def test_what_may_be_chosen(state: Memory, more: dict[str, Any], key: str, value: Any) -> None:
    state.do(ALICE, asked(**more))
    assert getattr(stored(state), key) == value


def test_a_backend_that_names_no_databases_has_any(state: Memory) -> None:
    (change,) = state.do(ALICE, asked(backend="emis", database_name="anything")).changes
    assert isinstance(change.after, JobRequest)
    assert change.after.database_name == "anything"


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (asked(workspace="none"), Code.NOT_FOUND, "there is no workspace 'none'"),
        (asked(workspace="past"), Code.CONFLICT, "workspace past is archived"),
        (asked(backend="none"), Code.INVALID, "backend: there is no backend 'none'"),
        (asked(backend="old"), Code.CONFLICT, "backend: backend old is not active"),
        (
            c.RequestJobs("trends", "tpp", (), "0" * 40, PIPELINE),
            Code.INVALID,
            "requested_actions: name at least one action",
        ),
        (asked("generate", "x", "y"), Code.INVALID, "requested_actions: not in project.yaml: x, y"),
        (
            asked(database_name="other"),
            Code.INVALID,
            "database_name: backend tpp has full, slice, not 'other'",
        ),
        (c.RequestJobs("trends", "tpp", ("generate",), "main", PIPELINE), Code.INVALID, "sha: 'main' does not match"),
    ],
)
def test_what_may_not_be_asked_for(state: Memory, command: c.Command, code: Code, message: str) -> None:
    error = refused(state, ALICE, command)
    assert (error.code, str(error)[: len(message)]) == (code, message)


# Cancelling


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
    changes = state.do(ALICE, c.CancelJobs(ID, "tpp", actions))
    assert stored(state).cancelled_actions == cancelled
    assert (changes.branch, changes.event, changes.result) == (
        "backends/tpp",
        "job-request.cancelled",
        {"identifier": ID},
    )
    assert changes.subject == f"alice cancelled {', '.join(cancelled)} on trends"
    assert changes.trailers == (("Job-Request", ID), ("Workspace", "trends"))
    again = state.do(ALICE, c.CancelJobs(ID, "tpp", actions))
    assert (bool(again), again.event, again.result) == (False, "job-request.cancelled", {"identifier": ID})


def test_many_cancelled_actions_are_counted(state: Memory) -> None:
    pipeline = {f"a{n}": PipelineAction(run="x") for n in range(4)}
    state.do(ALICE, c.RequestJobs("trends", "tpp", tuple(pipeline), "0" * 40, pipeline))
    assert state.do(ALICE, c.CancelJobs(ID, "tpp")).subject == "alice cancelled 4 actions on trends"


def test_what_is_finished_is_left_alone(state: Memory) -> None:
    ask(state)
    report(
        state,
        job("a", "succeeded"),
        job("b", "failed", action="analyse"),
        job("c", "running", action="analyse"),
        job("d", "failed", action="plot"),
    )
    state.do(ALICE, c.CancelJobs(ID, "tpp"))
    assert stored(state).cancelled_actions == ("analyse",)  # it was run again, and that is not finished
    assert not state.do(ALICE, c.CancelJobs(ID, "tpp", ("plot", "generate")))


def test_what_the_runner_added_can_be_cancelled(state: Memory) -> None:
    ask(state, "generate")
    report(state, job("a"), job("b", action="extra"))
    state.do(ALICE, c.CancelJobs(ID, "tpp", ("extra",)))
    state.do(ALICE, c.CancelJobs(ID, "tpp"))
    assert stored(state).cancelled_actions == ("extra", "generate")


@pytest.mark.parametrize("action", ["", "a b", "-", "x" * 129])
def test_what_a_runner_calls_a_job_never_spoils_the_request(state: Memory, action: str) -> None:
    """The name of a job is any text; a cancel once wrote it where only names of actions can be read."""
    ask(state, "generate")
    report(state, job("a"), job("b", action=action))
    state.do(ALICE, c.CancelJobs(ID, "tpp"))
    assert stored(state).cancelled_actions == ("generate",)
    JobRequest.model_validate(stored(state).model_dump())
    assert refused(state, ALICE, c.CancelJobs(ID, "tpp", (action,))).code is Code.INVALID


def test_a_job_called_run_all_where_the_pipeline_has_none(state: Memory) -> None:
    pipeline = {"generate": PIPELINE["generate"]}
    state.do(ALICE, c.RequestJobs("trends", "tpp", ("generate",), "0" * 40, pipeline))
    report(state, job("a", action="run_all"))
    assert not state.do(ALICE, c.CancelJobs(ID, "tpp", ("run_all",)))


def test_a_finished_request_is_left_alone(state: Memory) -> None:
    ask(state, "generate")
    report(state, job("a", "succeeded"))
    for actions in ((), ("generate",)):
        changes = state.do(ALICE, c.CancelJobs(ID, "tpp", actions))
        assert (bool(changes), changes.result) == (False, {"identifier": ID})


def test_what_is_so_already_may_not_be_asked_for_by_everybody(state: Memory) -> None:
    """Found: a cancel with nothing left to cancel, or an archiving twice, was taken from people without the right."""
    state.put(User(username="eve"))
    ask(state, "generate")
    state.do(ALICE, c.CancelJobs(ID, "tpp"))
    error = refused(state, Actor(ActorKind.USER, "eve"), c.CancelJobs(ID, "tpp"))
    assert (error.code, str(error)) == (Code.FORBIDDEN, f"eve may not update the job-request {ID}")
    error = refused(state, Actor(ActorKind.USER, "eve"), c.ChangeWorkspace("past", archived=True))
    assert (error.code, str(error)) == (Code.FORBIDDEN, "eve may not update the workspace past")


def test_what_can_not_be_cancelled(state: Memory) -> None:
    assert str(refused(state, ALICE, c.CancelJobs(ID, "tpp"))) == f"there is no job request '{ID}'"
    ask(state, "analyse")
    error = refused(state, ALICE, c.CancelJobs(ID, "tpp", ("plot", "generate", "run_all")))
    assert (error.code, str(error)) == (Code.INVALID, "actions: not part of this job request: plot, run_all")


# Reporting


def test_a_report_says_what_it_changed(state: Memory) -> None:
    ask(state)
    ask(state, "generate", new_id=OTHER)
    given = ((ID, job("a", "running")), (OTHER, job("b")), (ID, job("c", action="plot")))
    changes = state.do(TPP, c.UpdateJobs("tpp", given))
    assert (changes.event, changes.branch) == ("jobs.updated", "backends/tpp")
    assert changes.subject == "tpp reported generate running, plot pending, generate pending"
    assert changes.trailers == (("Job-Request", ID), ("Job-Request", OTHER), ("Workspace", "trends"))
    assert changes.result == {"ignored": []}
    assert jobs(state) == {"a": given[0][1], "c": given[2][1]}
    assert jobs(state, Place(Area.ACTIVE, NOW.date(), OTHER)) == {"b": given[1][1]}
    again = state.do(TPP, c.UpdateJobs("tpp", given))
    assert (bool(again), again.trailers) == (False, ())


def test_a_long_report_is_counted_and_its_subject_is_short(state: Memory) -> None:
    ask(state)
    assert report(state, *(job(f"j{n}") for n in range(4))).subject == "tpp reported 4 jobs"
    assert report(state, *(job(f"j{n}") for n in range(3))).subject == "tpp reported generate left out"
    long = job("j0", "running", 1, action="x" * 500)
    assert report(state, long, job("j1"), job("j2")).subject == f"tpp reported {'x' * 187}"


def test_only_what_changed_is_in_it(state: Memory) -> None:
    ask(state)
    ask(state, new_id=OTHER)
    first, second = job("a"), job("b")
    state.do(TPP, c.UpdateJobs("tpp", ((ID, first), (OTHER, second))))
    changes = state.do(TPP, c.UpdateJobs("tpp", ((ID, first), (OTHER, job("b", "running", 1)))))
    assert changes.trailers == (("Job-Request", OTHER), ("Workspace", "trends"))
    assert [change.path for change in changes.changes] == [Place(Area.ACTIVE, NOW.date(), OTHER).job("b")]


def test_what_is_not_this_backends_is_ignored_and_named(state: Memory) -> None:
    ask(state)
    ask(state, new_id=OTHER)
    state.broken.add(Place(Area.ACTIVE, NOW.date(), OTHER).request)
    unknown = ["x", THIRD, OTHER, "../" + ID]
    given = [(name, job(f"j{at}")) for at, name in enumerate([*unknown, "x"])]
    changes = state.do(TPP, c.UpdateJobs("tpp", (*given, (ID, job("a")))))
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
    error = refused(state, TPP, c.UpdateJobs("tpp", ((OTHER, job("a")),)))
    assert (error.code, error.message.endswith(f"job a belongs to job request {ID}")) == (Code.INVALID, True)
    error = refused(state, TPP, c.UpdateJobs("tpp", ((ID, job("b")), (OTHER, job("b")))))
    assert str(error) == "identifier: job b is reported under two job requests"
    error = refused(state, TPP, c.UpdateJobs("tpp", (("x", job("b")), ("y", job("b")))))
    assert error.code is Code.INVALID


def test_a_request_does_not_come_back_with_a_job_that_another_one_has_now(state: Memory) -> None:
    ask(state, "generate")
    report(state, job("a", "succeeded", 1))
    ask(state, new_id=OTHER)
    state.put_job(Place(Area.ACTIVE, NOW.date(), OTHER), job("a"))
    error = refused(state, TPP, c.UpdateJobs("tpp", ((ID, job("a", "running", 2)),)))
    assert error.message.endswith(f"job a belongs to job request {OTHER}")


def test_the_last_of_two_reports_of_a_job_in_one_payload_counts(state: Memory) -> None:
    ask(state)
    report(state, job("a", "pending"), job("a", "running"))
    assert jobs(state)["a"].status == "running"


# Marking as failed


def test_a_lost_job_is_marked_as_failed_until_its_runner_knows_better(state: Memory) -> None:
    ask(state)
    report(state, job("a", "succeeded", 1), job("b", "running", 2, action="plot"))
    later = NOW.replace(minute=10)
    changes = state.do(ROOT, c.FailJob("b", ID, "tpp"), later)
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


def test_one_lost_job_of_several_leaves_the_request_where_it_is(state: Memory) -> None:
    ask(state)
    report(state, job("a", "running"), job("b", "running"))
    changes = state.do(ROOT, c.FailJob("b", ID, "tpp"))
    assert (changes.moves, changes.changes[0].path) == ((), PLACE.job("b"))


@pytest.mark.parametrize("minute", [None, 30])
def test_the_time_of_a_lost_job_is_never_before_its_runners(state: Memory, minute: int | None) -> None:
    ask(state)
    report(state, job("a", "running", minute))
    state.do(ROOT, c.FailJob("a", ID, "tpp"), NOW.replace(minute=10))
    kept = jobs(state, GONE)["a"]
    assert kept.updated_at == kept.completed_at == NOW.replace(minute=minute or 10)


def test_what_can_not_be_marked(state: Memory) -> None:
    assert str(refused(state, ROOT, c.FailJob("a", ID, "tpp"))) == "there is no job 'a'"
    ask(state)
    report(state, job("a", "succeeded"), job("b", "running"))
    assert refused(state, ROOT, c.FailJob("x", ID, "tpp")).code is Code.NOT_FOUND
    error = refused(state, ROOT, c.FailJob("a", ID, "tpp"))
    assert (error.code, str(error)) == (Code.CONFLICT, "job a has succeeded already")
    assert refused(state, ALICE, c.FailJob("b", ID, "tpp")).code is Code.FORBIDDEN


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
    changes = state.do(SERVER, c.ArchiveFinished("tpp"))
    assert (changes.event, changes.branch, changes.changes) == ("job-requests.archived", "backends/tpp", ())
    assert changes.subject == f"jobserver archived {said or ', '.join(finished)}"
    assert changes.trailers == tuple(("Job-Request", identifier) for identifier in finished)
    assert {area(state, identifier) for identifier in finished} == {Area.ARCHIVE}
    assert {area(state), area(state, "6" * 16)} == {Area.ACTIVE}
    assert not state.do(SERVER, c.ArchiveFinished("tpp"))


# What actions need


@pytest.mark.parametrize(
    ("needs", "actions", "expected"),
    [
        ({"a": []}, ["a"], ["a"]),
        ({"a": ["b"], "b": []}, ["a"], ["b", "a"]),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, ["a"], ["c", "b", "a"]),
        ({"a": ["c", "b"], "b": ["c"], "c": []}, ["a"], ["c", "b", "a"]),
        ({"a": ["b"], "b": ["a"]}, ["a"], ["b", "a"]),
        ({"a": ["a"]}, ["a"], ["a"]),
        ({"a": []}, ["x", "a"], ["x", "a"]),
        ({"run_all": ["a", "b"], "a": [], "b": []}, ["run_all"], ["a", "b"]),
        ({"a": [], "b": []}, ["b", "a", "b"], ["b", "a"]),
        ({}, [], []),
    ],
)
def test_actions_and_what_they_need(needs: dict[str, list[str]], actions: list[str], expected: list[str]) -> None:
    assert expand(actions, {name: PipelineAction(needs=tuple(of), run="x") for name, of in needs.items()}) == expected


@given(st.integers(1, 8).flatmap(lambda n: st.lists(st.sets(st.integers(0, n - 1)), min_size=n, max_size=n)))
def test_each_action_comes_after_what_it_needs(graph: list[set[int]]) -> None:
    """Of any pipeline without cycles: an action needs only those before it."""
    needs = {f"a{at}": [f"a{to}" for to in sorted(some) if to < at] for at, some in enumerate(graph)}
    pipeline = {name: PipelineAction(needs=tuple(of), run="x") for name, of in needs.items()}
    last = f"a{len(graph) - 1}"
    order = expand([last], pipeline)
    reached, waiting = set[str](), [last]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += needs[name]
    assert set(order) == reached
    assert len(order) == len(reached)
    assert all(order.index(need) < order.index(name) for name in order for need in needs[name])
