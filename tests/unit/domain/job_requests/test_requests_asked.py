"""What asking for jobs changes, and what the actions that are asked for need, through `plan` and `admit`, in memory."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.domain.base.state import Change
from jobserver.domain.job_requests.pipelines import PipelineAction, StoredPipeline
from jobserver.domain.job_requests.requests import CancelJobs, JobRequest, RequestJobs
from jobserver.domain.pipeline.graph import closure
from jobserver.domain.plan import Command
from jobserver.errors import Code
from tests.memory import ID, NOW, Memory
from tests.unit.domain.job_requests.requesting import ALICE, OTHER, PIPELINE, THIRD, asked, prepared, refused, stored


@pytest.fixture
def state() -> Memory:
    return prepared()


def test_a_request_holds_all_that_a_runner_needs(state: Memory) -> None:
    changes = state.do(ALICE, asked("analyse", "generate", "analyse"))
    change, beside = changes.changes
    assert beside == Change(
        f"active/2026-11-24/{ID}/pipeline.yaml",
        None,
        StoredPipeline(actions={name: action for name, action in PIPELINE.items() if name != "run_all"}),
    )
    assert (changes.branch, changes.event, changes.moves) == ("backends/tpp", "job-request.created", ())
    assert changes.subject == "alice requested analyse, generate on trends"
    assert changes.trailers == (("Job-Request", ID), ("Workspace", "trends"))
    assert changes.result == {"identifier": ID}
    assert (change.path, change.before) == (f"active/2026-11-24/{ID}/request.yaml", None)
    assert isinstance(change.after, JobRequest)
    assert change.after.model_dump(mode="python") == {
        "version": 2,
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
        "rerun_of": None,
        "note": None,
        "commit_subject": None,
        "ref": None,
        "analysis_scope": None,
        "pipeline": None,
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
    cancelled = state.do(ALICE, CancelJobs(ID, "tpp", actions)).subject
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
def test_a_request_stores_the_options_that_were_chosen(
    state: Memory, more: dict[str, Any], key: str, value: Any
) -> None:
    state.do(ALICE, asked(**more))
    assert getattr(stored(state), key) == value


def test_a_backend_that_names_no_databases_has_any(state: Memory) -> None:
    change, _ = state.do(ALICE, asked(backend="emis", database_name="anything")).changes
    assert isinstance(change.after, JobRequest)
    assert change.after.database_name == "anything"


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (asked(workspace="none"), Code.NOT_FOUND, "workspace 'none' does not exist"),
        (asked(workspace="past"), Code.CONFLICT, "workspace past is archived"),
        (asked(backend="none"), Code.INVALID, "backend: backend 'none' does not exist"),
        (asked(backend="paused"), Code.CONFLICT, "backend: backend paused is paused and takes no new requests"),
        (asked(backend="old"), Code.CONFLICT, "backend: backend old is not active"),
        (
            RequestJobs("trends", "tpp", (), "0" * 40, PIPELINE),
            Code.INVALID,
            "requested_actions: name at least one action",
        ),
        (asked("generate", "x", "y"), Code.INVALID, "requested_actions: not in project.yaml: x, y"),
        (  # 8 MB once, of 20,000 long names
            asked("x" * 4000, *(f"x{n}" for n in range(20_000))),
            Code.INVALID,
            f"requested_actions: not in project.yaml: {'x' * 125}..., {', '.join(f'x{n}' for n in range(19))}, "
            "and 19981 more",
        ),
        (
            asked(database_name="other"),
            Code.INVALID,
            "database_name: backend tpp has no database 'other': expected one of full, slice",
        ),
        (RequestJobs("trends", "tpp", ("generate",), "main", PIPELINE), Code.INVALID, "sha: 'main' is not valid"),
    ],
)
def test_these_requests_are_refused(state: Memory, command: Command, code: Code, message: str) -> None:
    error = refused(state, ALICE, command)
    assert (error.code, str(error)[: len(message)]) == (code, message)


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
    assert closure(actions, {name: PipelineAction(needs=tuple(of), run="x") for name, of in needs.items()}) == expected


@given(st.integers(1, 8).flatmap(lambda n: st.lists(st.sets(st.integers(0, n - 1)), min_size=n, max_size=n)))
def test_each_action_comes_after_what_it_needs(graph: list[set[int]]) -> None:
    """Of any pipeline without cycles: an action needs only those before it."""
    needs = {f"a{at}": [f"a{to}" for to in sorted(some) if to < at] for at, some in enumerate(graph)}
    pipeline = {name: PipelineAction(needs=tuple(of), run="x") for name, of in needs.items()}
    last = f"a{len(graph) - 1}"
    order = closure([last], pipeline)
    reached, waiting = set[str](), [last]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += needs[name]
    assert set(order) == reached
    assert len(order) == len(reached)
    assert all(order.index(need) < order.index(name) for name in order for need in needs[name])


def test_a_rerun_names_an_earlier_request_of_its_workspace_on_its_backend(state: Memory) -> None:
    state.do(ALICE, asked("analyse"))
    changes = state.do(ALICE, asked("analyse", rerun_of=ID), new_id=OTHER)
    request = changes.changes[0].after
    assert isinstance(request, JobRequest)
    assert request.rerun_of == ID
    for more in ({"rerun_of": THIRD}, {"rerun_of": ID, "backend": "emis"}, {"rerun_of": ID, "workspace": "told"}):
        error = refused(state, ALICE, asked("analyse", **more))
        assert "is not a job request of" in str(error), more


def test_a_note_is_one_line_of_the_record(state: Memory) -> None:
    command = asked("analyse", note="  With new\n codelists \x00", commit_subject="Fix the model")
    request = state.do(ALICE, command).changes[0].after
    assert isinstance(request, JobRequest)
    assert (request.note, request.commit_subject) == ("With new codelists", "Fix the model")
    empty = state.do(ALICE, asked("analyse", note=" \n "), new_id=OTHER).changes[0].after
    assert isinstance(empty, JobRequest)
    assert empty.note is None
    assert "at most 200 characters, found 201" in str(refused(state, ALICE, asked("analyse", note="x" * 201)))


@pytest.mark.parametrize(
    ("ref", "branch", "words"),
    [
        ("refs/heads/trial", "trial", "branch trial"),
        ("refs/tags/v1.0", "main", "tag v1.0"),
        ("0" * 40, "old", "commit 0000000000"),
    ],
)
def test_a_request_names_what_the_person_chose(state: Memory, ref: str, branch: str, words: str) -> None:
    """Its branch is one that contains the commit, because runners refuse a commit that is not on it."""
    changes = state.do(ALICE, asked("analyse", ref=ref, branch=branch))
    request = changes.changes[0].after
    assert isinstance(request, JobRequest)
    assert (request.ref, request.workspace.branch) == (ref, branch)
    assert changes.subject == f"alice requested analyse on trends at {words}"


@pytest.mark.parametrize("ref", ["refs/heads/other", "refs/tags/a..b", "refs/pull/1/head", "v1.0", "1" * 40, ""])
def test_a_request_has_no_ref_but_one_that_leads_to_its_commit(ref: str) -> None:
    values = {"version": 2, "identifier": ID, "backend": "tpp", "created_by": "alice", "created_at": NOW}
    values |= {"sha": "0" * 40, "requested_actions": ("a",), "database_name": "full", "ref": ref}
    values["workspace"] = {"name": "trends", "repo": "study", "branch": "dev", "db": "full"} | {
        "created_by": "bob",
        "created_at": NOW,
    }
    with pytest.raises(ValueError, match="expected `ref` to be a tag"):
        JobRequest.model_validate(values)
