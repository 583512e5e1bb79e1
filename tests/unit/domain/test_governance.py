"""What projects and people may use, and until when: refused when jobs are requested, by every way to request them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from jobserver.domain.admit import admit
from jobserver.domain.backends import Backend
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.governance.analysis_scope import KNOWN, AnalysisScope, scope_json
from jobserver.domain.governance.endings import Ending, endings
from jobserver.domain.governance.project_limits import LIMITS, ChangeProject, ProjectStatus
from jobserver.domain.governance.refusals import refusals
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import JobRequest, RequestJobs
from jobserver.domain.members import Member
from jobserver.domain.orgs import Org
from jobserver.domain.plan import Command
from jobserver.domain.projects import Project
from jobserver.domain.users import ChangeUser, User
from jobserver.errors import Code, Error
from jobserver.index.items import request_item
from tests.memory import ID, NOW, Memory
from tests.unit.domain.job_requests.requesting import OTHER, TRENDS, asked

ROOT, ALICE = Actor(ActorKind.USER, "root"), Actor(ActorKind.USER, "alice")
TODAY = NOW.date().isoformat()
YESTERDAY = (NOW - timedelta(days=1)).date().isoformat()
P = Project(slug="p", name="P", org="lab", members=(Member(username="alice", roles=(Role.PROJECT_DEVELOPER,)),))


def lab(user: dict[str, Any] | None = None, **project: Any) -> Memory:
    return Memory(
        User(username="root", roles=(Role.SUPER_USER,)),
        User(username="alice", **(user or {})),
        Backend(slug="tpp", name="TPP", created_at=NOW),
        Backend(slug="emis", name="EMIS", created_at=NOW),
        Org(slug="lab", name="Lab"),
        Project(**{**dict(P), **project}),
        Project(slug="q", name="Q", org="lab", number="42"),
        TRENDS.model_copy(update={"project": "lab/p"}),
    )


def refused(state: Memory, command: Command, actor: Actor = ALICE, now: datetime = NOW) -> Error:
    with pytest.raises(Error) as caught:
        state.do(actor, command, now)
    return caught.value


LIMITED: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    (
        {},
        {"status": "completed"},
        [
            "projects/lab/p.yaml:10: status: the project is completed: "
            "people can request jobs for an ongoing project only"
        ],
    ),
    (
        {},
        {"status": "postponed", "end_date": YESTERDAY},
        [
            "projects/lab/p.yaml:10: status: the project is postponed: "
            "people can request jobs for an ongoing project only",
            f"projects/lab/p.yaml:11: end_date: the project ended on {YESTERDAY}",
        ],
    ),
    (
        {},
        {"backends": ["emis"]},
        ["projects/lab/p.yaml:10: backends: the project may not use backend tpp: expected emis"],
    ),
    (
        {"backends": ["emis"]},
        {},
        ["users/alice.yaml:7: backends: alice may not use backend tpp: expected emis"],
    ),
    (
        {"trained_until": YESTERDAY},
        {"requires_training": True},
        [f"users/alice.yaml:7: trained_until: the training of alice ended on {YESTERDAY}"],
    ),
    (
        {},
        {"requires_training": True},
        [
            "projects/lab/p.yaml:10: requires_training: the project requires training, "
            "and no training of alice is recorded"
        ],
    ),
]


@pytest.mark.parametrize(("user", "project", "expected"), LIMITED)
def test_what_is_over_or_lacking_is_refused_with_the_document_and_line_that_says_so(
    user: dict[str, Any], project: dict[str, Any], expected: list[str]
) -> None:
    error = refused(lab(user, **project), asked())
    assert error.code is Code.FORBIDDEN
    assert [str(fault) for fault in error.faults] == expected
    assert str(error) == "; ".join(expected)


@pytest.mark.parametrize(
    ("user", "project"),
    [
        ({}, {}),
        ({}, {"status": "ongoing", "end_date": TODAY, "backends": ["emis", "tpp"], "requires_training": False}),
        ({"backends": ["tpp"], "trained_until": TODAY}, {"requires_training": True}),
    ],
)
def test_what_is_within_the_limits_is_requested(user: dict[str, Any], project: dict[str, Any]) -> None:
    assert lab(user, **project).do(ALICE, asked())


def test_the_last_day_counts_whole_and_not_a_moment_more() -> None:
    last = datetime.fromisoformat(f"{TODAY}T23:59:59.999999+00:00")
    assert lab(end_date=TODAY).do(ALICE, asked(), last)
    assert refused(lab(end_date=TODAY), asked(), now=last + timedelta(microseconds=1))


def test_without_a_project_only_the_persons_own_limits_count() -> None:
    state = lab({"backends": ["emis"]}, status="retired", requires_training=True)
    state.put(TRENDS.model_copy(update={"project": None}))
    state.put(User(username="alice", roles=(Role.CORE_DEVELOPER,), backends=("emis",)))
    assert [fault.key for fault in refused(state, asked()).faults] == ["backends"]
    assert state.do(ALICE, asked(backend="emis"))


def pushed(state: Memory, **values: Any) -> Changes:
    """A request as somebody could push it, without the gate's plan."""
    free = lab()
    free.do(ROOT, asked())
    place = free.on("backends/tpp").active()[0]
    request = place.request.model_copy(update=values)
    pipeline = free.on("backends/tpp").pipeline(place.place)
    changes = Change(place.place.request, None, request), Change(place.place.pipeline, None, pipeline)
    return Changes("backends/tpp", "pushed", "", changes)


def push(state: Memory, changes: Changes, policy: int = 4) -> list[str]:
    try:
        admit(state.on("backends/tpp"), changes, ROOT, NOW, policy)
    except Error as error:
        return [f"{fault.path} {fault.key}" for fault in error.faults]
    return []


def test_a_superusers_push_is_judged_by_the_same_rule() -> None:
    state = lab(status="retired")
    assert push(state, pushed(state)) == ["projects/lab/p.yaml status"]
    # nor does it help to name no project, or another one
    assert push(state, pushed(state, project=None)) == ["projects/lab/p.yaml status"]
    assert push(state, pushed(state, project="lab/q")) == ["projects/lab/p.yaml status"]
    assert push(lab(), pushed(state)) == []


def test_old_commits_are_judged_by_the_rules_of_their_time() -> None:
    state = lab(status="retired")
    assert push(state, pushed(state), policy=3) == []


def test_what_was_requested_goes_on_when_the_project_ends() -> None:
    state = lab()
    state.do(ALICE, asked())
    state.do(ROOT, ChangeProject("lab/p", {"status": "retired"}))
    assert [stored.request.identifier for stored in state.on("backends/tpp").active()] == [ID]
    assert refused(state, asked(), now=NOW).faults


SCOPE = {"dataset_permissions": ["icnarc"], "component_access": ["event_level_data"]}


def test_a_request_keeps_the_scope_that_its_project_had_and_runners_get_it() -> None:
    state = lab(analysis_scope=AnalysisScope.model_validate(SCOPE))
    state.do(ALICE, asked())
    state.do(ROOT, ChangeProject("lab/p", {"analysis_scope": None}))
    (stored,) = state.on("backends/tpp").active()
    assert scope_json(stored.request.analysis_scope) == SCOPE
    assert request_item(stored.request)["analysis_scope"] == SCOPE
    state.do(ALICE, asked(), new_id=OTHER)
    later = state.on("backends/tpp").find(OTHER)
    assert later is not None
    assert scope_json(later.request.analysis_scope) == {}
    assert "analysis_scope" not in request_item(later.request)


def test_nobody_pushes_a_request_with_a_scope_of_their_own() -> None:
    state, scope = lab(), AnalysisScope.model_validate(SCOPE)
    assert [line.split()[1] for line in push(state, pushed(state, analysis_scope=scope))] == ["analysis_scope"]


def change(state: Memory, actor: Actor = ROOT, **values: Any) -> Project:
    (written,) = state.do(actor, ChangeProject("lab/p", values)).changes
    assert isinstance(written.after, Project)
    return written.after


def test_a_change_leaves_what_it_does_not_name() -> None:
    state = lab()
    change(state, number="POS-2025-2001", status="postponed", backends=["tpp"])
    after = change(state, analysis_scope=SCOPE)
    assert (after.number, after.status, after.backends) == ("POS-2025-2001", ProjectStatus.POSTPONED, ("tpp",))
    after = change(state, analysis_scope={"dataset_permissions": []}, number=None)
    assert after.analysis_scope == AnalysisScope(component_access=("event_level_data",))
    assert after.number is None
    assert change(state, analysis_scope={"component_access": []}).analysis_scope is None


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        ({}, "", "expected at least one of"),
        ({"number": "42"}, "number", "42 already belongs to project lab/q"),
        ({"backends": ["nowhere"]}, "backends", "backend 'nowhere' does not exist"),
        ({"backends": []}, "backends", "expected at least 1"),
        ({"status": "done"}, "status", "'done' is not a status: expected one of ongoing, completed,"),
        ({"end_date": "tomorrow"}, "end_date", "expected a day such as 2026-11-23"),
        (
            {"analysis_scope": {"dataset_permissions": ["icnark"]}},
            "analysis_scope.dataset_permissions",
            "'icnark' is not known: did you mean icnarc?",
        ),
        (
            {"analysis_scope": {"population_permissions": ["everyone"]}},
            "analysis_scope.population_permissions",
            "'everyone' is not known: expected one of: include_gp_unactivated, include_ndoo, include_t1oo",
        ),
    ],
)
def test_a_change_that_is_wrong_says_so_at_its_key(values: dict[str, Any], key: str, message: str) -> None:
    error = refused(lab(), ChangeProject("lab/p", values), ROOT)
    fault = error.faults[0] if error.faults else error
    assert message in fault.message
    assert getattr(fault, "key", "") == key


def test_a_name_that_is_no_longer_known_stays_readable() -> None:
    old = AnalysisScope(dataset_permissions=("icnarc", "long_gone"))
    state = lab(analysis_scope=old)
    assert change(state, status="retired").analysis_scope == old
    assert refused(state, ChangeProject("lab/q", {"analysis_scope": dict(old)}), ROOT)


def test_two_projects_of_one_push_cannot_have_one_number() -> None:
    state = lab()
    q = Project(slug="q", name="Q", org="lab", number="42")
    both = (
        Change("projects/lab/p.yaml", P, P.model_copy(update={"number": "pos-1"})),
        Change("projects/lab/q.yaml", q, q.model_copy(update={"number": "POS-1"})),
    )
    with pytest.raises(Error, match="already belongs to project") as caught:
        admit(state, Changes("main", "pushed", "", both), ROOT, NOW)
    assert [fault.path for fault in caught.value.faults] == ["projects/lab/p.yaml", "projects/lab/q.yaml"]
    moved = (Change("projects/lab/p.yaml", P, P.model_copy(update={"number": "42"})), both[1])
    assert admit(state, Changes("main", "pushed", "", moved), ROOT, NOW)


def test_a_persons_limits_change_and_end() -> None:
    state = lab()
    state.do(ROOT, ChangeUser("alice", {"backends": ["emis"], "trained_until": TODAY}))
    user = state.user("alice")
    assert user is not None
    assert (user.backends, user.trained_until) == (("emis",), TODAY)
    state.do(ROOT, ChangeUser("alice", {"backends": None}))
    user = state.user("alice")
    assert user is not None
    assert (user.backends, user.trained_until) == (None, TODAY)
    assert refused(state, ChangeUser("alice", {"backends": ["nowhere"]}), ROOT).faults[0].key == "backends"
    assert refused(state, ChangeUser("alice", {}), ROOT).code is Code.INVALID
    assert refused(state, ChangeUser("alice", {"backends": ["tpp"]}), ALICE).code is Code.FORBIDDEN  # nobody their own


@pytest.mark.parametrize("key", sorted(LIMITS))
def test_a_projects_own_coordinators_cannot_change_its_limits(key: str) -> None:
    values = {
        "number": "1",
        "status": "retired",
        "end_date": TODAY,
        "backends": ["tpp"],
        "analysis_scope": SCOPE,
        "requires_training": True,
        "runner_types": ["r"],
    }
    lead = Member(username="alice", roles=(Role.PROJECT_COORDINATOR,))
    state = lab(members=(lead,))
    assert refused(state, ChangeProject("lab/p", {key: values[key]})).code is Code.FORBIDDEN


def test_pages_can_ask_beforehand() -> None:
    state = lab({"backends": ["emis"]}, end_date=YESTERDAY)
    assert [reason.key for reason in refusals(state, "alice", "lab/p", "tpp", NOW.date())] == ["end_date", "backends"]
    assert refusals(state, "alice", None, "emis", NOW.date()) == []
    assert refusals(state, "nobody", "lab/gone", "tpp", NOW.date()) == []


def test_the_known_names_are_those_of_the_controllers() -> None:
    assert {key: len(names) for key, names in KNOWN.items()} == {
        "dataset_permissions": 9,
        "population_permissions": 3,
        "component_access": 1,
    }
    assert list(KNOWN) == list(AnalysisScope.model_fields)
    assert isinstance(JobRequest.model_fields["analysis_scope"].default, type(None))


RUNS = {
    "extract": PipelineAction(run="ehrql:v1 generate-dataset d.py"),
    "model": PipelineAction(run="stata-mp:latest 'm.do", needs=("extract",)),
    "plot": PipelineAction(run="r:v2 p.R", needs=("extract",)),
    "query": PipelineAction(run="sqlrunner:v1 q.sql"),
}


def runs(*actions: str) -> RequestJobs:
    lines = {name: 3 * number for number, name in enumerate(RUNS, 1)}
    return replace(asked(*actions), pipeline=RUNS, lines=lines)


def test_a_project_runs_the_types_that_it_may() -> None:
    """A command that can't be read has no type that anybody may."""
    assert lab().do(ALICE, runs("run_all")).event == "job-request.created"
    limited = lab(runner_types=["ehrql", "r"])
    assert limited.do(ALICE, runs("plot")).event == "job-request.created"
    error = refused(lab(runner_types=["ehrql", "r"]), runs("run_all"))
    assert error.code is Code.FORBIDDEN
    assert [str(fault) for fault in error.faults] == [
        "project.yaml:6: actions.model.run: the project may not use the runner type '' (model): expected ehrql or r",
        "project.yaml:12: actions.query.run: the project may not use the runner type 'sqlrunner' (query): "
        "expected ehrql or r",
    ]
    needed = refused(lab(runner_types=["r"]), runs("plot"))
    assert [(fault.line, fault.key) for fault in needed.faults] == [(3, "actions.extract.run")]


def test_a_request_that_is_pushed_keeps_to_the_types_too() -> None:
    changes = lab().do(ALICE, runs("query"))
    with pytest.raises(Error) as caught:
        admit(lab(runner_types=["r"]), changes, ALICE, NOW)
    assert [str(fault) for fault in caught.value.faults] == [
        "projects/lab/p.yaml:10: runner_types: the project may not use the runner type 'sqlrunner' (query): expected r"
    ]
    assert admit(lab(runner_types=["r"]), changes, ALICE, NOW, policy=3).changes == changes


def test_what_ends_within_30_days_is_said() -> None:
    today = NOW.date()

    def day(after: int) -> str:
        return (today + timedelta(days=after)).isoformat()

    state = lab({"trained_until": day(-1)}, end_date=day(30))
    project = state.project("lab/p")
    assert project is not None
    assert endings(state, project, today) == [Ending(day(-1), True, "alice"), Ending(day(30), False)]
    assert endings(state, project, today - timedelta(days=1)) == [Ending(day(-1), False, "alice")]
    state.put(User(username="alice", trained_until=day(0), active=False))
    assert endings(state, project, today) == [Ending(day(30), False)]


@pytest.mark.parametrize("days", [-400, -2, 2])
def test_a_pushed_request_is_of_the_day_of_its_push(days: int) -> None:
    state = lab(end_date=YESTERDAY)
    assert "created_at" in str(push(state, pushed(state, created_at=NOW + timedelta(days=days))))


def test_whoever_pushes_a_request_in_anothers_name_is_within_their_own_limits() -> None:
    state = lab()
    state.put(User(username="root", roles=(Role.SUPER_USER,), trained_until=YESTERDAY))
    assert push(state, pushed(state, created_by="alice")) == ["users/root.yaml trained_until"]
