"""Each invariant broken by hand-made changes, as a push could bring them, and beside it what is legal."""

from typing import Any

import pytest

from jobserver.domain.admit import POLICY, admit, permissions_of, review
from jobserver.domain.documents import (
    AnyDocument,
    Backend,
    Invitation,
    JobRequest,
    Member,
    Org,
    PipelineAction,
    Project,
    RequestedWorkspace,
    User,
    Workspace,
)
from jobserver.domain.names import Area, Place
from jobserver.domain.permissions import GRANTS, Actor, ActorKind, Permission, Role
from jobserver.domain.state import Change, Changes, Move
from jobserver.errors import Code, Error
from tests.memory import ID, NOW, Memory, job

ROOT = Actor(ActorKind.USER, "root")
TPP = Actor(ActorKind.BACKEND, "tpp")
OTHER = "2" * 16
PLACE = Place(Area.ACTIVE, NOW.date(), ID)
GONE = PLACE.moved(Area.ARCHIVE)
BESIDE = Place(Area.ACTIVE, NOW.date(), OTHER)
LAB = Org(slug="lab", name="Lab")
P = Project(slug="p", name="P", org="lab")
TRENDS = Workspace(
    name="trends", project="lab/p", repo="study", branch="main", db="full", created_by="root", created_at=NOW
)
REQUEST = JobRequest(
    identifier=ID,
    backend="tpp",
    created_by="root",
    created_at=NOW,
    sha="0" * 40,
    requested_actions=("generate",),
    cancelled_actions=("generate",),
    database_name="full",
    workspace=RequestedWorkspace.model_validate(
        TRENDS.model_dump(exclude={"version", "project", "archived", "should_notify"})
    ),
    pipeline={"generate": PipelineAction(run="x")},
)
SECOND = REQUEST.model_copy(update={"identifier": OTHER})


@pytest.fixture
def state() -> Memory:
    return Memory(
        User(username="root", roles=(Role.SUPER_USER,)),
        Backend(slug="tpp", name="TPP", created_at=NOW),
        LAB,
        P,
        TRENDS,
        SECOND,
    )


def misplaced(place: Place) -> str:
    return f"{place.folder}/: a request is in archive/ when all of its jobs are finished, and only then"


def main(*changes: tuple[str, AnyDocument | None, AnyDocument | None]) -> Changes:
    return Changes("main", "pushed", "", tuple(Change(*change) for change in changes))


def tpp(*changes: tuple[str, AnyDocument | None, AnyDocument | None], moves: tuple[Move, ...] = ()) -> Changes:
    return Changes("backends/tpp", "pushed", "", tuple(Change(*change) for change in changes), moves)


def faults(state: Memory, changes: Changes, actor: Actor = ROOT) -> list[str]:
    """As `admit` tells them; `review` tells the same, whoever asks."""
    seen = state.on(changes.branch)
    told = [str(fault) for fault in review(seen, changes)]
    try:
        admitted = admit(seen, changes, actor, NOW)
    except Error as error:
        assert error.code is Code.INVALID, error
        assert [str(fault) for fault in error.faults] == told
        assert str(error) == told[0]
        return told
    assert told == []
    assert (admitted.tip, admitted.changes, admitted.actor, admitted.now) == (seen.tip, changes, actor, NOW)
    return []


def edited(document: Any, **values: Any) -> Any:
    return document.model_copy(update=values)


W, ORG, PP, B = "workspaces/trends.yaml", "orgs/lab.yaml", "projects/lab/p.yaml", "backends/tpp.yaml"
U, AL = "users/al.yaml", Member(username="al", roles=(Role.ORG_COORDINATOR,))
INVITED = Invitation(username="al", roles=(Role.PROJECT_DEVELOPER,), invited_by="root", created_at=NOW)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # where documents stand, and the names in them
        (main(("README.md", None, LAB)), ["README.md: no document may stand here on main"]),
        (main((PLACE.request, None, REQUEST)), [f"{PLACE.request}: no document may stand here on main"]),
        (tpp((ORG, None, LAB)), [f"{ORG}: no document may stand here on backends/tpp"]),
        (main(("orgs/a.yaml", None, LAB)), ["orgs/a.yaml: slug: is 'lab', but the path says 'a'"]),
        (main(("orgs/a.yaml", LAB, None)), ["orgs/a.yaml: slug: is 'lab', but the path says 'a'"]),
        # what documents refer to
        (main(("workspaces/w.yaml", None, edited(TRENDS, name="w"))), []),
        (main(("workspaces/w.yaml", None, edited(TRENDS, name="w", project=None))), []),
        (
            main(("workspaces/w.yaml", None, edited(TRENDS, name="w", project="lab/q"))),
            ["workspaces/w.yaml: project: there is no project 'lab/q'"],
        ),
        (main((W, TRENDS, edited(TRENDS, project="lab/q"))), [f"{W}: project: there is no project 'lab/q'"]),
        (
            main(
                ("projects/lab/q.yaml", None, edited(P, slug="q")),
                ("workspaces/w.yaml", None, edited(TRENDS, name="w", project="lab/q")),
            ),
            [],
        ),
        (
            main((PP, P, None), (W, TRENDS, TRENDS)),
            [f"{W}: project: there is no project 'lab/p'"],
        ),
        (main(("projects/x/p.yaml", None, edited(P, org="x"))), ["projects/x/p.yaml: org: there is no org 'x'"]),
        (main(("projects/lab/q.yaml", None, edited(P, slug="q"))), []),
        (
            main(("orgs/x.yaml", None, edited(LAB, slug="x")), ("projects/x/p.yaml", None, edited(P, org="x"))),
            [],
        ),
        (main((ORG, LAB, None), (PP, P, P)), [f"{PP}: org: there is no org 'lab'"]),
        # pages of the server
        (
            main(("workspaces/jobs.yaml", None, edited(TRENDS, name="jobs"))),
            ["workspaces/jobs.yaml: name: 'jobs' is a page of the server: choose another name"],
        ),
        (main(("workspaces/jobs.yaml", edited(TRENDS, name="jobs"), edited(TRENDS, name="jobs", archived=True))), []),
        # roles, each in its place
        (
            main((PP, P, edited(P, members=(Member(username="root", roles=(Role.SUPER_USER, Role.ORG_COORDINATOR)),)))),
            [
                f"{PP}: roles: {role} is not for root here, expected one of: "
                "ProjectCollaborator, ProjectCoordinator, ProjectDeveloper"
                for role in ("SuperUser", "OrgCoordinator")
            ],
        ),
        (main((PP, P, edited(P, members=(Member(username="root", roles=(Role.PROJECT_DEVELOPER,)),)))), []),
        (
            main((ORG, LAB, edited(LAB, members=(Member(username="root", roles=(Role.PROJECT_DEVELOPER,)),)))),
            [f"{ORG}: roles: ProjectDeveloper is not for root here, expected one of: OrgCoordinator"],
        ),
        (main((ORG, LAB, edited(LAB, members=(Member(username="root", roles=(Role.ORG_COORDINATOR,)),)))), []),
        (
            main(("users/new.yaml", None, User(username="new", roles=(Role.ORG_COORDINATOR,)))),
            [
                "users/new.yaml: roles: OrgCoordinator is not for new here, expected one of: Auditor, CoreDeveloper, "
                "DataInvestigator, GovernanceReviewer, OnboardingAgent, OutputChecker, OutputPublisher, SuperUser, "
                "TechnicalReviewer"
            ],
        ),
        (main(("users/new.yaml", None, User(username="new", roles=(Role.AUDITOR,)))), []),
        # what is still named is not deleted
        (main((W, TRENDS, None)), []),
        (main((PP, P, None)), [f"{PP}: {W} names it"]),
        (main((PP, P, None), (W, TRENDS, None)), []),
        (main((PP, P, None), (W, TRENDS, edited(TRENDS, project=None))), []),
        (main((ORG, LAB, None)), [f"{ORG}: {PP} names it"]),
        (main((ORG, LAB, None), (PP, P, None)), [f"{PP}: {W} names it"]),
        (main((ORG, LAB, None), (PP, P, None), (W, TRENDS, None)), []),
        (
            main((B, Backend(slug="tpp", name="TPP", created_at=NOW), None)),
            [f"{B}: a backend is deactivated (active: false), never deleted: it has a branch"],
        ),
        (main(("users/new.yaml", User(username="new"), None)), []),
        (main(("users/root.yaml", User(username="root"), None)), [f"users/root.yaml: {W} names it"]),
        (main((U, User(username="al"), None)), []),
        (main((ORG, LAB, edited(LAB, members=(AL,)))), [f"{ORG}: members: there is no user 'al'"]),
        (main((U, None, User(username="al")), (ORG, LAB, edited(LAB, members=(AL,)))), []),
        (
            main((PP, P, edited(P, members=(Member(username="al", roles=(Role.PROJECT_DEVELOPER,)),)))),
            [f"{PP}: members: there is no user 'al'"],
        ),
    ],
)
def test_main(state: Memory, changes: Changes, expected: list[str]) -> None:
    assert faults(state, changes) == expected


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
                f"{BESIDE.moved(Area.ARCHIVE).request}: there is this job request already, in {BESIDE.folder}",
                f"{BESIDE.moved(Area.ARCHIVE).folder}/: a request in archive/ needs jobs, and all of them finished",
            ],
        ),
        (
            tpp((PLACE.request, None, REQUEST), (GONE.request, None, REQUEST), (GONE.job("a"), None, DONE)),
            [f"{GONE.request}: there is this job request already, in {PLACE.folder}"],
        ),
        # what was asked for stays
        (
            tpp((BESIDE.request, SECOND, edited(SECOND, sha="1" * 40, will_notify=True))),
            [
                f"{BESIDE.request}: {key}: what was asked for can't be changed, only cancelled"
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
            [f"{PLACE.job('a')}: there is no request.yaml beside it that can be read"],
        ),
        (
            tpp((BESIDE.moved(Area.ARCHIVE).job("a"), None, DONE)),
            [f"{BESIDE.moved(Area.ARCHIVE).job('a')}: there is no request.yaml beside it that can be read"],
        ),
        (
            tpp((BESIDE.request, SECOND, None), (BESIDE.job("a"), None, RUNNING)),
            [f"{BESIDE.job('a')}: there is no request.yaml beside it that can be read"],
        ),
        (tpp((BESIDE.request, SECOND, None)), []),
        # a job is one request's
        (
            tpp((PLACE.request, None, REQUEST), (PLACE.job("a"), None, RUNNING), (BESIDE.job("a"), None, RUNNING)),
            [f"{BESIDE.job('a')}: job a is under two job requests"],
        ),
        # archive/ holds what is finished
        (tpp((GONE.request, None, REQUEST), (GONE.job("a"), None, DONE)), []),
        (
            tpp((GONE.request, None, REQUEST)),
            [f"{GONE.folder}/: a request in archive/ needs jobs, and all of them finished"],
        ),
        (
            tpp((GONE.request, None, REQUEST), (GONE.job("a"), None, DONE), (GONE.job("b"), None, job("b"))),
            [f"{GONE.folder}/: a request in archive/ needs jobs, and all of them finished"],
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
def test_a_backends_branch(state: Memory, changes: Changes, expected: list[str]) -> None:
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
            [f"{BESIDE.job('b')}: updated_at: running -> pending needs a newer time than what is stored"],
        ),
        (
            tpp((BESIDE.job("c"), C_DONE, job("c", "running", 5))),
            [f"{BESIDE.job('c')}: updated_at: succeeded -> running needs a newer time than what is stored"],
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
            [f"{GONE.folder}/: a request in archive/ needs jobs, and all of them finished"],
        ),
        (
            tpp((GONE.job("a"), DONE, None)),
            [f"{GONE.folder}/: a request in archive/ needs jobs, and all of them finished"],
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
            [f"{BESIDE.job('a')}: job a is under two job requests"],
        ),
        (
            tpp((BESIDE.job("a"), None, RUNNING), moves=(Move(GONE, Area.ACTIVE),)),
            [
                misplaced(PLACE),
                f"{BACK}: job a is under two job requests",
            ],
        ),
        (tpp((BACK, DONE, None), (BESIDE.job("a"), None, RUNNING), moves=(Move(GONE, Area.ACTIVE),)), []),
    ],
)
def test_a_busy_branch(busy: Memory, changes: Changes, expected: list[str]) -> None:
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
        f"{GONE.job('b')}: there is no request.yaml beside it that can be read",
        f"{GONE.job('b')}: job b belongs to job request {OTHER}",
    ]


def test_every_fault_is_told(state: Memory) -> None:
    changes = main(
        ("workspaces/jobs.yaml", None, edited(TRENDS, name="jobs", project="lab/q")),
        (ORG, LAB, None),
    )
    assert faults(state, changes) == [
        "workspaces/jobs.yaml: name: 'jobs' is a page of the server: choose another name",
        "workspaces/jobs.yaml: project: there is no project 'lab/q'",
        f"{ORG}: {PP} names it",
    ]


def test_the_rules_have_a_version() -> None:
    """Each commit says by which rules it was judged; others would need this test and the auditor to know them."""
    assert POLICY == 1


def test_nothing_is_legal_too(state: Memory) -> None:
    for branch in ("main", "backends/tpp", "audit"):
        assert faults(state, Changes(branch, "pushed", "")) == []


@pytest.mark.parametrize(
    ("username", "project", "expected"),
    [
        ("core", None, {"cancel_job", "run_job"}),
        ("core", "lab/p", {"cancel_job", "run_job"}),
        ("dev", None, set()),
        ("dev", "lab/p", {"cancel_job", "check_output", "run_job"}),
        ("dev", "lab/none", set()),
        ("lead", "lab/p", {"invite_project_members", "manage_project_members", "manage_project_workspaces"}),
        ("org", "lab/p", {"review_project"}),
        ("org", "x/p", set()),
        ("left", "lab/p", set()),
    ],
)
def test_rights_are_those_of_a_person_and_of_their_memberships(
    monkeypatch: pytest.MonkeyPatch, username: str, project: str | None, expected: set[str]
) -> None:
    grants = {
        Role.CORE_DEVELOPER: frozenset({Permission.CANCEL_JOB, Permission.RUN_JOB}),
        Role.ORG_COORDINATOR: frozenset({Permission.REVIEW_PROJECT}),
    }
    for role, permissions in grants.items():
        monkeypatch.setitem(GRANTS, role, permissions)
    dev = Member(username="dev", roles=(Role.PROJECT_DEVELOPER,))
    lead = Member(username="lead", roles=(Role.PROJECT_COORDINATOR,))
    left = Member(username="left", roles=(Role.PROJECT_DEVELOPER,))
    people = {
        "core": User(username="core", roles=(Role.CORE_DEVELOPER,)),
        "left": User(username="left", roles=(Role.SUPER_USER,), active=False),
    }
    state = Memory(
        edited(LAB, members=(Member(username="org", roles=(Role.ORG_COORDINATOR,)),)),
        edited(P, members=(dev, lead, left)),
        edited(P, org="x"),
    )
    user = people.get(username, User(username=username))
    assert {str(one) for one in permissions_of(state, user, project)} == expected


def test_a_project_whose_org_is_gone_gives_what_the_project_gives() -> None:
    state = Memory(edited(P, members=(Member(username="dev", roles=(Role.PROJECT_DEVELOPER,)),)))
    assert Permission.RUN_JOB in permissions_of(state, User(username="dev"), "lab/p")


@pytest.mark.parametrize(
    "document",
    [
        edited(LAB, members=(AL,)),
        edited(P, members=(Member(username="al", roles=(Role.PROJECT_DEVELOPER,)),)),
        edited(
            P,
            invitations=(
                Invitation(username="al", roles=(Role.PROJECT_DEVELOPER,), invited_by="root", created_at=NOW),
            ),
        ),
        edited(TRENDS, created_by="al"),
    ],
    ids=lambda document: type(document).__name__,
)
def test_a_user_who_is_named_is_not_deleted(document: AnyDocument) -> None:
    """Whoever came by that name later would have what this one was given."""
    al = User(username="al")
    state = Memory(User(username="root", roles=(Role.SUPER_USER,)), al, LAB, P, document)
    assert [fault.partition(": ")[2].partition(" ")[2] for fault in faults(state, main((U, al, None)))] == ["names it"]
