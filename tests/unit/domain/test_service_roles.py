"""ServiceAdministrator manages projects and people, and gives neither itself nor others a SuperUser's rights.
TechSupport reads everything and changes nothing."""

from typing import Any

import pytest

from jobserver.domain.admit import admit
from jobserver.domain.backends import AddBackend, Backend
from jobserver.domain.base.permissions import GRANTS, Actor, ActorKind, Permission, Role
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.documents import AnyDocument
from jobserver.domain.governance.project_limits import ChangeProject
from jobserver.domain.members import Invitation, Member
from jobserver.domain.orgs import AddOrg, Org
from jobserver.domain.plan import Command
from jobserver.domain.projects import AddProject, InviteToProject, Project, RenameProject, SetProjectMember
from jobserver.domain.releases import may_view
from jobserver.domain.site_messages import SetSiteMessage
from jobserver.domain.tokens import PersonalToken
from jobserver.domain.users import (
    AddUser,
    AddUserToken,
    BindOidcUser,
    ChangeUser,
    DisableUser,
    EnableUser,
    SetUserRoles,
    User,
    sees_all_users,
)
from jobserver.errors import Code, Error
from tests.memory import NOW, Memory
from tests.unit.domain.job_requests.requesting import TRENDS, asked

DEVELOPER = Role.PROJECT_DEVELOPER
LAB = Org(slug="lab", name="Lab")
P = Project(slug="p", name="P", org="lab", members=(Member(username="alice", roles=(DEVELOPER,)),))
ALICE = User(username="alice")
SERVICE = User(username="service", roles=(Role.SERVICE_ADMINISTRATOR,))
GOVERNANCE = User(username="governance", roles=(Role.GOVERNANCE_REVIEWER,))
SUPPORT = User(username="support", roles=(Role.TECH_SUPPORT,))
WORKSPACE = TRENDS.model_copy(update={"project": "lab/p"})


def prepared() -> Memory:
    return Memory(
        User(username="root", roles=(Role.SUPER_USER,)),
        User(username="second", roles=(Role.SERVICE_ADMINISTRATOR,)),
        User(username="gone", active=False),
        SERVICE,
        GOVERNANCE,
        SUPPORT,
        ALICE,
        Backend(slug="tpp", name="TPP", created_at=NOW),
        LAB,
        P,
        WORKSPACE,
    )


def may(who: str, command: Command) -> bool:
    try:
        prepared().do(Actor(ActorKind.USER, who), command)
    except Error as error:
        assert error.code is Code.FORBIDDEN, error
        return False
    return True


MANAGED: list[Command] = [
    AddOrg("fresh"),
    AddProject("lab/new"),
    RenameProject("lab/p", "New name"),
    SetProjectMember("lab/p", "alice", ()),
    InviteToProject("lab/p", ("root",), (DEVELOPER,)),
    ChangeProject("lab/p", {"status": "retired"}),
    AddUser("new", roles=(Role.OUTPUT_CHECKER,), github_id=7),
    SetUserRoles("alice", (Role.CORE_DEVELOPER,)),
    DisableUser("alice"),
    EnableUser("gone"),
    ChangeUser("alice", {"backends": ["tpp"], "trained_until": "2027-01-01"}),
]
NOT_MANAGED: list[Command] = [
    # more rights for itself, or a SuperUser's for anybody
    SetProjectMember("lab/p", "service", (DEVELOPER,)),
    InviteToProject("lab/p", ("service",), (DEVELOPER,)),
    SetUserRoles("service", (Role.SERVICE_ADMINISTRATOR, Role.OUTPUT_CHECKER)),
    ChangeUser("service", {"trained_until": "2027-01-01"}),
    SetUserRoles("alice", (Role.SUPER_USER,)),
    SetUserRoles("alice", (Role.SERVICE_ADMINISTRATOR,)),
    AddUser("new", roles=(Role.SUPER_USER,)),
    AddUser("new", roles=(Role.SERVICE_ADMINISTRATOR,)),
    # administrators' accounts
    SetUserRoles("root", ()),
    DisableUser("root"),
    DisableUser("second"),
    # somebody else's identity
    AddUserToken("alice", "mine", "a" * 64),
    BindOidcUser("alice", "b" * 64),
    # what is not about projects and people
    AddBackend("new", "c" * 64),
    SetSiteMessage("Hello", "info"),
    asked(),
]


@pytest.mark.parametrize("command", MANAGED, ids=str)
def test_a_service_administrator_manages_projects_and_people(command: Command) -> None:
    assert may("service", command)
    assert may("root", command)
    assert not may("alice", command)


@pytest.mark.parametrize("command", NOT_MANAGED, ids=str)
def test_a_service_administrator_is_no_superuser(command: Command) -> None:
    assert not may("service", command)


def test_governance_changes_limits_and_nothing_else() -> None:
    allowed_commands = [command for command in (*MANAGED, *NOT_MANAGED) if may("governance", command)]
    assert allowed_commands == [ChangeProject("lab/p", {"status": "retired"})]


def allowed(who: str, path: str, before: AnyDocument | None, after: AnyDocument | None) -> bool:
    try:
        admit(prepared(), Changes("main", "x", "", (Change(path, before, after),)), Actor(ActorKind.USER, who), NOW)
    except Error as error:
        assert error.code is Code.FORBIDDEN, error
        return False
    return True


def edited(document: Any, **values: Any) -> Any:
    return document.model_copy(update=values)


TOKEN = PersonalToken(sha256="a" * 64, label="x", created_at=NOW)
ME = Member(username="service", roles=(DEVELOPER,))
INVITED = Invitation(username="service", roles=(DEVELOPER,), invited_by="service", created_at=NOW)


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("users/new.yaml", None, User(username="new", tokens=(TOKEN,), sessions_since=NOW)),
        ("users/alice.yaml", ALICE, edited(ALICE, github_id=666)),
        ("users/alice.yaml", ALICE, None),
        ("orgs/lab.yaml", LAB, edited(LAB, members=(Member(username="service", roles=(Role.ORG_COORDINATOR,)),))),
        ("orgs/new.yaml", None, Org(slug="new", name="n", members=(edited(ME, roles=(Role.ORG_COORDINATOR,)),))),
        ("projects/lab/new.yaml", None, Project(slug="new", name="n", org="lab", members=(ME,))),
        ("projects/lab/p.yaml", P, edited(P, members=(*P.members, ME))),
        ("projects/lab/p.yaml", P, edited(P, invitations=(INVITED,))),
        ("projects/lab/p.yaml", P, None),
        ("workspaces/trends.yaml", WORKSPACE, edited(WORKSPACE, branch="other")),
    ],
)
def test_the_changes_count_and_not_the_commands(
    path: str, before: AnyDocument | None, after: AnyDocument | None
) -> None:
    assert not allowed("service", path, before, after)


def test_a_service_administrator_may_lose_their_own_roles_in_a_project() -> None:
    state = prepared()
    state.put(edited(P, members=(*P.members, ME)))
    state.do(Actor(ActorKind.USER, "service"), SetProjectMember("lab/p", "service", ()))
    project = state.project("lab/p")
    assert project is not None
    assert [member.username for member in project.members] == ["alice"]


@pytest.mark.parametrize("command", [*MANAGED, *NOT_MANAGED], ids=str)
def test_tech_support_changes_nothing(command: Command) -> None:
    assert not may("support", command)


def test_tech_support_reads_everything() -> None:
    state = prepared()
    assert GRANTS[Role.TECH_SUPPORT] == {Permission.READ_ALL, Permission.VIEW_RELEASE}
    assert sees_all_users(state, SUPPORT)
    assert may_view(state, SUPPORT, WORKSPACE)
    assert sees_all_users(state, SERVICE)
    assert not may_view(state, SERVICE, WORKSPACE)
