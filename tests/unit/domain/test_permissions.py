"""Who may do what: each row of the table, for every kind of person, backend and the server. Judged by `admit`."""

from typing import Any

import pytest

from jobserver.domain.admit import admit
from jobserver.domain.backends import (
    ActivateBackend,
    AddBackend,
    Backend,
    DeactivateBackend,
    PauseBackend,
    RotateBackendToken,
)
from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.permissions import (
    GLOBAL_ROLES,
    GRANTS,
    ORG_ROLES,
    PROJECT_ROLES,
    SERVER,
    Actor,
    ActorKind,
    Permission,
    Role,
    granted,
)
from jobserver.domain.base.state import Change, Changes, Move
from jobserver.domain.documents import AnyDocument
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import JobRequest, RequestJobs
from jobserver.domain.members import Member
from jobserver.domain.orgs import AddOrg, Org
from jobserver.domain.plan import Command
from jobserver.domain.projects import AddProject, Project, SetProjectMember
from jobserver.domain.record import Checkpoint, Receipt
from jobserver.domain.site_messages import SetSiteMessage
from jobserver.domain.users import AddUser, AddUserToken, DisableUser, EnableUser, SetUserRoles, User
from jobserver.domain.workspaces import AddWorkspace, ChangeWorkspace, Workspace
from jobserver.errors import Code, Error
from tests.memory import ID, NOW, Memory, job

PLACE = Place(Area.ACTIVE, NOW.date(), ID)
GONE = PLACE.moved(Area.ARCHIVE)


def person(username: str, *roles: Role, active: bool = True) -> User:
    return User(username=username, roles=roles, active=active)


PEOPLE = {
    user.username: user
    for user in (
        person("root", Role.SUPER_USER),
        person("core", Role.CORE_DEVELOPER),
        person("dev"),
        person("lead"),
        person("nobody"),
        person("auditor", Role.AUDITOR),
        person("left", Role.SUPER_USER, active=False),
    )
}
LAB = Org(slug="lab", name="Lab")
P = Project(
    slug="p",
    name="P",
    org="lab",
    members=(
        Member(username="dev", roles=(Role.PROJECT_DEVELOPER,)),
        Member(username="lead", roles=(Role.PROJECT_COORDINATOR,)),
        Member(username="left", roles=(Role.PROJECT_DEVELOPER, Role.PROJECT_COORDINATOR)),
    ),
)
OWNED = Workspace(name="owned", project="lab/p", repo="s", branch="main", db="full", created_by="root", created_at=NOW)
OWN = OWNED.model_copy(update={"name": "own", "created_by": "dev"})
FREE = OWNED.model_copy(update={"name": "free", "project": None})
TPP = Backend(slug="tpp", name="TPP", created_at=NOW)
SERVERS = {
    "tpp": TPP,
    "emis": TPP.model_copy(update={"slug": "emis"}),
    "gone": TPP.model_copy(update={"slug": "gone", "active": False}),
}
ACTORS = {
    **{name: Actor(ActorKind.USER, name) for name in (*PEOPLE, "stranger")},
    **{name: Actor(ActorKind.BACKEND, name) for name in (*SERVERS, "unknown")},
    "server": SERVER,
}


@pytest.fixture
def state() -> Memory:
    return Memory(*PEOPLE.values(), LAB, P, OWNED, OWN, FREE, *SERVERS.values())


def request(workspace: str) -> RequestJobs:
    return RequestJobs(workspace, "tpp", ("a",), "0" * 40, {"a": PipelineAction(run="x")})


def asked(by: str, workspace: Workspace = OWNED) -> JobRequest:
    state = Memory(*PEOPLE.values(), LAB, P, workspace, TPP)
    change, _ = state.do(ACTORS["root"], request(workspace.name)).changes
    assert isinstance(change.after, JobRequest)
    whole = {"version": 1, "pipeline": {"a": PipelineAction(run="x")}}
    return change.after.model_copy(update={"created_by": by} | whole)


def edited(document: Any, **values: Any) -> Any:
    return document.model_copy(update=values)


def may(state: Memory, name: str, changes: Changes) -> bool:
    try:
        admit(state.on(changes.branch), changes, ACTORS[name], NOW)
    except Error as error:
        assert error.code is Code.FORBIDDEN, error
        return False
    return True


def who(state: Memory, branch: str, *changes: Change, moves: tuple[Move, ...] = ()) -> set[str]:
    return {name for name in ACTORS if may(state, name, Changes(branch, "x", "", changes, moves))}


@pytest.mark.parametrize(
    ("path", "before", "after", "expected"),
    [
        # people
        ("users/new.yaml", None, User(username="new"), {"root", "server"}),
        ("users/dev.yaml", PEOPLE["dev"], edited(PEOPLE["dev"], name="D"), {"root", "dev", "server"}),
        ("users/dev.yaml", PEOPLE["dev"], edited(PEOPLE["dev"], roles=(Role.AUDITOR,)), {"root", "server"}),
        ("users/dev.yaml", PEOPLE["dev"], edited(PEOPLE["dev"], active=False), {"root", "server"}),
        ("users/free.yaml", User(username="free"), None, {"root"}),
        # Nobody is the last SuperUser who locked themselves out
        ("users/root.yaml", PEOPLE["root"], edited(PEOPLE["root"], name="R"), {"root", "server"}),
        ("users/root.yaml", PEOPLE["root"], edited(PEOPLE["root"], active=False), {"server"}),
        ("users/root.yaml", PEOPLE["root"], edited(PEOPLE["root"], roles=(Role.AUDITOR,)), {"server"}),
        ("users/root.yaml", PEOPLE["root"], None, set()),
        # orgs and projects
        ("orgs/fresh.yaml", None, Org(slug="fresh", name="n"), {"root"}),
        ("orgs/lab.yaml", LAB, edited(LAB, name="n"), {"root"}),
        ("projects/lab/q.yaml", None, Project(slug="q", name="q", org="lab"), {"root"}),
        ("projects/lab/p.yaml", P, edited(P, members=()), {"root", "core", "lead"}),
        ("projects/lab/p.yaml", P, edited(P, name="n"), {"root", "core", "lead"}),
        ("projects/lab/p.yaml", P, edited(P, name="n", registration={}), {"root"}),
        # workspaces
        ("workspaces/w.yaml", None, edited(FREE, name="w"), {"root"}),  # made by root
        ("workspaces/w.yaml", None, edited(FREE, name="w", created_by="core"), {"root", "core"}),
        ("workspaces/w.yaml", None, edited(FREE, name="w", created_by="dev"), {"root"}),
        ("workspaces/w.yaml", None, edited(OWNED, name="w", created_by="dev"), {"root", "dev"}),
        ("workspaces/owned.yaml", OWNED, edited(OWNED, archived=True), {"root", "core", "dev"}),
        ("workspaces/owned.yaml", OWNED, edited(OWNED, should_notify=True), {"root", "core", "dev"}),
        ("workspaces/free.yaml", FREE, edited(FREE, archived=True), {"root", "core"}),
        ("workspaces/owned.yaml", OWNED, edited(OWNED, archived=True, branch="b"), {"root", "core"}),
        # backends
        ("backends/new.yaml", None, edited(TPP, slug="new"), {"root"}),
        ("backends/tpp.yaml", TPP, edited(TPP, active=False), {"root"}),
    ],
)
def test_rights_to_change_main(
    state: Memory, path: str, before: AnyDocument | None, after: AnyDocument | None, expected: set[str]
) -> None:
    assert who(state, "main", Change(path, before, after)) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, asked("root"), {"root"}),
        (None, asked("core"), {"root", "core"}),
        (None, asked("dev"), {"root", "dev"}),
        (None, asked("dev", FREE), {"root"}),
        (None, asked("core", FREE), {"root", "core"}),
        (asked("root"), edited(asked("root"), cancelled_actions=("a",)), {"root", "core", "dev"}),
        (asked("root", FREE), edited(asked("root", FREE), cancelled_actions=("a",)), {"root", "core"}),
        # who asked may always cancel
        (asked("nobody", FREE), edited(asked("nobody", FREE), cancelled_actions=("a",)), {"root", "core", "nobody"}),
        (asked("left"), edited(asked("left"), cancelled_actions=("a",)), {"root", "core", "dev"}),
        # a backend that is called like a person is nobody
        (asked("tpp", FREE), edited(asked("tpp", FREE), cancelled_actions=("a",)), {"root", "core"}),
        (asked("root"), None, {"root"}),
    ],
)
def test_who_may_change_a_request(
    state: Memory, before: JobRequest | None, after: JobRequest | None, expected: set[str]
) -> None:
    if before is not None:
        state.put(before)
    assert who(state, "backends/tpp", Change(PLACE.request, before, after)) == expected


@pytest.mark.parametrize(("before", "after"), [(None, job("j")), (job("j"), job("j", "running", 1)), (job("j"), None)])
def test_who_may_change_a_job(state: Memory, before: Job | None, after: Job | None) -> None:
    state.put(asked("dev"))
    if before is not None:
        state.put_job(PLACE, before)
    assert who(state, "backends/tpp", Change(PLACE.job("j"), before, after)) == {"root", "tpp"}


def test_who_may_move_a_request(state: Memory) -> None:
    state.put(asked("dev"))
    state.put_job(PLACE, job("j", "failed"))
    assert who(state, "backends/tpp", moves=(Move(PLACE, Area.ARCHIVE),)) == {"root", "tpp", "server"}


def test_only_the_server_writes_audit(state: Memory) -> None:
    receipt = Receipt(number=1, branch="main", old="0" * 40, new="1" * 40, pusher="user/root", received_at=NOW)
    checkpoint = Checkpoint(number=1, tips={}, made_at=NOW)
    assert who(state, "audit", Change("receipt.yaml", None, receipt)) == {"server"}
    assert who(state, "audit", Change("checkpoint.yaml", None, checkpoint)) == {"server"}
    assert who(state, "audit", Change("checkpoint.yaml", checkpoint, None)) == set()


def test_an_actor_without_rights_is_refused_even_without_changes(state: Memory) -> None:
    assert set(ACTORS) - who(state, "main") == {"left", "stranger", "gone", "unknown"}


@pytest.mark.parametrize(
    ("name", "branch", "changes", "message"),
    [
        ("left", "main", (), "left is not an active user"),
        ("gone", "main", (), "gone is not an active backend"),
        ("dev", "main", (Change("orgs/lab.yaml", None, LAB),), "dev cannot create the org lab"),
        ("dev", "main", (Change("orgs/lab.yaml", LAB, LAB),), "dev cannot update the org lab"),
        ("dev", "main", (Change("orgs/lab.yaml", LAB, None),), "dev cannot delete the org lab"),
        ("server", "main", (Change("orgs/lab.yaml", None, LAB),), "jobserver cannot change this"),
        (
            "root",
            "audit",
            (Change("checkpoint.yaml", None, Checkpoint(number=1, tips={}, made_at=NOW)),),
            "root cannot write audit",
        ),
    ],
)
def test_a_refusal_says_who_may_not_what(
    state: Memory, name: str, branch: str, changes: tuple[Change, ...], message: str
) -> None:
    with pytest.raises(Error) as caught:
        admit(state.on(branch), Changes(branch, "x", "", changes), ACTORS[name], NOW)
    assert (caught.value.code, str(caught.value)) == (Code.FORBIDDEN, message)


def test_a_move_that_is_refused(state: Memory) -> None:
    state.put(asked("dev"))
    with pytest.raises(Error, match=f"emis cannot move job request {ID}"):
        admit(
            state.on("backends/tpp"),
            Changes("backends/tpp", "x", "", moves=(Move(PLACE, Area.ARCHIVE),)),
            ACTORS["emis"],
            NOW,
        )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (request("free"), {"root", "core"}),
        (request("owned"), {"root", "core", "dev"}),
        (AddWorkspace("fresh", "s", "main"), {"root", "core"}),
        (AddWorkspace("fresh", "s", "main", project="lab/p"), {"root", "core", "dev"}),
        (ChangeWorkspace("owned", archived=True), {"root", "core", "dev"}),
        (ChangeWorkspace("owned", branch="other"), {"root", "core", "lead"}),
        (ChangeWorkspace("owned", branch="other", db="slice"), {"root", "core", "lead"}),
        (ChangeWorkspace("owned", branch="other", archived=True), {"root", "core"}),
        (ChangeWorkspace("owned", repo="other"), {"root"}),
        (ChangeWorkspace("own", branch="other"), {"root", "core", "lead", "dev"}),
        (ChangeWorkspace("free", branch="other"), {"root", "core"}),
        (SetProjectMember("lab/p", "nobody", (Role.PROJECT_DEVELOPER,)), {"root", "core", "lead"}),
        (AddUser("new"), {"root"}),
        (DisableUser("dev"), {"root"}),
        (SetUserRoles("dev", (Role.AUDITOR,)), {"root"}),
        (AddUserToken("dev", "x", "0" * 64), {"root", "dev"}),
        (AddBackend("new", "0" * 64), {"root"}),
        (RotateBackendToken("tpp", "0" * 64), {"root"}),
        (DeactivateBackend("tpp"), {"root"}),
        (PauseBackend("tpp"), {"root"}),
        (SetSiteMessage("x"), {"root"}),
        (AddOrg("fresh"), {"root"}),
        (AddProject("lab/q"), {"root"}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, set) else "",
)
def test_each_command_is_for_these_people_only(state: Memory, command: Command, expected: set[str]) -> None:
    allowed = set()
    for name in PEOPLE:
        try:
            Memory(*PEOPLE.values(), LAB, P, OWNED, OWN, FREE, *SERVERS.values()).do(ACTORS[name], command)
            allowed.add(name)
        except Error as error:
            assert error.code is Code.FORBIDDEN, error
    assert allowed == expected


@pytest.mark.parametrize("command", [EnableUser("off"), ActivateBackend("off")])
def test_only_a_super_user_switches_on_what_was_switched_off(command: Command) -> None:
    off = User(username="off", active=False), SERVERS["tpp"].model_copy(update={"slug": "off", "active": False})
    for name in PEOPLE:
        state = Memory(*PEOPLE.values(), LAB, P, *SERVERS.values(), *off)
        if name == "root":
            state.do(ACTORS[name], command)
        else:
            with pytest.raises(Error) as caught:
                state.do(ACTORS[name], command)
            assert caught.value.code is Code.FORBIDDEN


def test_each_role_grants_what_job_server_granted() -> None:
    """Reference: the roles of May 2021, and ours."""
    assert {role.value: {permission.value for permission in GRANTS[role]} for role in Role if GRANTS[role]} == {
        "ProjectCoordinator": {"invite_project_members", "manage_project_members", "manage_project_workspaces"},
        "ProjectDeveloper": {"cancel_job", "check_output", "run_job"},
        "CoreDeveloper": {
            "cancel_job",
            "invite_project_members",
            "manage_project_members",
            "manage_project_workspaces",
            "run_job",
        },
        "ProjectCollaborator": {"release_file_view"},
        "OutputChecker": {"approve_output", "check_output", "release_file_upload"},
        "OutputPublisher": {"publish_output"},
        "TechnicalReviewer": {"review_project"},
        "ServiceAdministrator": {"manage_projects", "manage_users"},
        "TechSupport": {"read_all", "release_file_view"},
        "Auditor": {"read_all"},
        "GovernanceReviewer": {"govern"},
        "SuperUser": {permission.value for permission in Permission} - {"approve_output", "govern", "publish_output"},
    }
    assert set(GRANTS) == set(Role)


def test_each_role_is_given_in_one_place() -> None:
    assert {role.value for role in PROJECT_ROLES} == {"ProjectCoordinator", "ProjectDeveloper", "ProjectCollaborator"}
    assert {role.value for role in ORG_ROLES} == {"OrgCoordinator"}
    assert sorted([*PROJECT_ROLES, *ORG_ROLES, *GLOBAL_ROLES]) == sorted(Role)


def test_the_permissions_of_all_roles_add_up() -> None:
    assert granted() == frozenset()
    assert granted((), (Role.AUDITOR,)) == {Permission.READ_ALL}
    assert granted((Role.AUDITOR, Role.OUTPUT_CHECKER), (Role.OUTPUT_PUBLISHER,)) == {
        Permission.READ_ALL,
        Permission.APPROVE_OUTPUT,
        Permission.CHECK_OUTPUT,
        Permission.PUBLISH_OUTPUT,
        Permission.UPLOAD_RELEASE,
    }


def test_actors_are_read_as_they_are_written() -> None:
    for actor in ACTORS.values():
        assert Actor.parse(str(actor)) == actor
    assert str(SERVER) == "server/jobserver"
    assert Actor.parse("user/a/b") == Actor(ActorKind.USER, "a/b")
    for text in ("", "alice", "root/alice"):
        with pytest.raises(ValueError, match="ActorKind"):
            Actor.parse(text)
