"""What each verb changes on `main`: documents, words, trailers."""

from typing import Any

import pytest

from jobserver.domain.accounts import EnsureAdmin, WelcomeUser
from jobserver.domain.backends import (
    ActivateBackend,
    AddBackend,
    Backend,
    DeactivateBackend,
    PauseBackend,
    ResumeBackend,
    RevokeBackendToken,
    RotateBackendToken,
)
from jobserver.domain.base.permissions import Role
from jobserver.domain.members import Member
from jobserver.domain.orgs import AddOrg, Org
from jobserver.domain.plan import Command
from jobserver.domain.projects import AddProject, Project, SetProjectMember
from jobserver.domain.tokens import PersonalToken
from jobserver.domain.users import AddUser, AddUserToken, DisableUser, EnableUser, RevokeUserToken, SetUserRoles, User
from jobserver.domain.workspaces import AddWorkspace, ChangeWorkspace, Workspace
from tests.memory import NOW, Memory
from tests.unit.domain.planning import ALICE, DEV, GONE, LAPTOP, LEAD, NEW, OLD, ROOT, TPP, TRENDS, P, planned, prepared


@pytest.fixture
def state() -> Memory:
    return prepared()


@pytest.mark.parametrize(
    ("command", "path", "before", "after", "event", "subject"),
    [
        (
            AddBackend("emis", "a" * 64),
            "backends/emis.yaml",
            None,
            Backend(slug="emis", name="emis", tokens=(OLD,), created_at=NOW),
            "backend.created",
            "root added backend emis",
        ),
        (
            AddBackend("emis", "a" * 64, "EMIS", ("full",), "/srv"),
            "backends/emis.yaml",
            None,
            Backend(
                slug="emis", name="EMIS", parent_directory="/srv", databases=("full",), tokens=(OLD,), created_at=NOW
            ),
            "backend.created",
            "root added backend emis",
        ),
        (
            RotateBackendToken("tpp", "b" * 64),
            "backends/tpp.yaml",
            TPP,
            TPP.model_copy(update={"tokens": (NEW,)}),
            "backend.token-rotated",
            "root rotated the token of backend tpp",
        ),
        (
            RotateBackendToken("tpp", "b" * 64, keep_old=True),
            "backends/tpp.yaml",
            TPP,
            TPP.model_copy(update={"tokens": (OLD, NEW)}),
            "backend.token-rotated",
            "root rotated the token of backend tpp",
        ),
        (
            DeactivateBackend("tpp"),
            "backends/tpp.yaml",
            TPP,
            TPP.model_copy(update={"active": False}),
            "backend.deactivated",
            "root deactivated backend tpp",
        ),
        (
            PauseBackend("tpp"),
            "backends/tpp.yaml",
            TPP,
            TPP.model_copy(update={"accepts_requests": False}),
            "backend.paused",
            "root paused backend tpp",
        ),
        (
            AddUser("new"),
            "users/new.yaml",
            None,
            User(username="new", sessions_since=NOW),
            "user.created",
            "root added user new",
        ),
        (
            AddUser("new", "Nell", (Role.AUDITOR,)),
            "users/new.yaml",
            None,
            User(username="new", name="Nell", roles=(Role.AUDITOR,), sessions_since=NOW),
            "user.created",
            "root added user new",
        ),
        (
            WelcomeUser("new", 7, "Nell"),
            "users/new.yaml",
            None,
            User(username="new", github_id=7, name="Nell", sessions_since=NOW),
            "user.created",
            "new logged in for the first time",
        ),
        (
            EnsureAdmin("new"),
            "users/new.yaml",
            None,
            User(username="new", roles=(Role.SUPER_USER,), sessions_since=NOW),
            "user.created",
            "ADMIN_USERS makes new a SuperUser",
        ),
        (
            EnsureAdmin("alice"),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(update={"roles": (Role.CORE_DEVELOPER, Role.SUPER_USER)}),
            "user.updated",
            "ADMIN_USERS makes alice a SuperUser",
        ),
        (
            AddUserToken("alice", "desktop", "d" * 64),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(
                update={"tokens": (LAPTOP, PersonalToken(sha256="d" * 64, label="desktop", created_at=NOW))}
            ),
            "user.token-created",
            "root created a token for alice",
        ),
        (
            RevokeUserToken("alice", "laptop"),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(update={"tokens": ()}),
            "user.token-revoked",
            "root revoked a token of alice",
        ),
        (
            SetUserRoles("alice", (Role.AUDITOR, Role.OUTPUT_CHECKER)),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(update={"roles": (Role.AUDITOR, Role.OUTPUT_CHECKER)}),
            "user.updated",
            "root set the roles of alice to Auditor, OutputChecker",
        ),
        (
            SetUserRoles("alice", (), active=False),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(update={"roles": (), "active": False}),
            "user.updated",
            "root set the roles of alice to none and disabled them",
        ),
        (
            DisableUser("alice"),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(update={"active": False}),
            "user.disabled",
            "root disabled user alice",
        ),
        (
            AddOrg("fresh"),
            "orgs/fresh.yaml",
            None,
            Org(slug="fresh", name="fresh"),
            "org.created",
            "root added org fresh",
        ),
        (
            AddOrg("fresh", "New"),
            "orgs/fresh.yaml",
            None,
            Org(slug="fresh", name="New"),
            "org.created",
            "root added org fresh",
        ),
        (
            AddProject("lab/q"),
            "projects/lab/q.yaml",
            None,
            Project(slug="q", name="q", org="lab"),
            "project.created",
            "root added project lab/q",
        ),
        (
            AddProject("lab/q", "Q"),
            "projects/lab/q.yaml",
            None,
            Project(slug="q", name="Q", org="lab"),
            "project.created",
            "root added project lab/q",
        ),
        (
            SetProjectMember("lab/p", "alice", (DEV, LEAD)),
            "projects/lab/p.yaml",
            P,
            P.model_copy(update={"members": (Member(username="alice", roles=(DEV, LEAD)), *P.members)}),
            "project.updated",
            "root gave alice the roles ProjectDeveloper, ProjectCoordinator in lab/p",
        ),
    ],
)
def test_a_command_writes_one_document_and_says_so(
    state: Memory, command: Command, path: str, before: Any, after: Any, event: str, subject: str
) -> None:
    changes = planned(state, command)
    (change,) = changes.changes
    assert (change.path, change.before, change.after) == (path, before, after)
    assert (changes.branch, changes.event, changes.subject) == ("main", event, subject)
    trailers = (("Project", command.project),) if isinstance(command, SetProjectMember) else ()
    result = {"username": "new"} if isinstance(command, WelcomeUser) else {}
    assert (changes.moves, changes.trailers, changes.result) == ((), trailers, result)


def test_a_backends_old_tokens_end(state: Memory) -> None:
    state.put(TPP.model_copy(update={"tokens": (OLD, NEW)}))
    changes = planned(state, RevokeBackendToken("tpp"))
    assert changes.changes[0].after == TPP.model_copy(update={"tokens": (NEW,)})
    assert (changes.event, changes.subject) == ("backend.token-revoked", "root revoked the old tokens of backend tpp")


def test_a_disabled_user_or_backend_is_enabled_as_it_was(state: Memory) -> None:
    off = TPP.model_copy(update={"active": False})
    state.put(off)
    state.put(GONE)
    for command, before, anew, said in (
        (ActivateBackend("tpp"), off, {}, ("backend.activated", "root activated backend tpp")),
        (EnableUser("gone"), GONE, {"sessions_since": NOW}, ("user.enabled", "root enabled user gone")),
    ):
        changes = planned(state, command)
        (change,) = changes.changes
        assert (change.before, change.after) == (before, before.model_copy(update={"active": True, **anew}))
        assert (changes.event, changes.subject) == said


def test_who_is_no_member_any_more_and_who_is_one_anew(state: Memory) -> None:
    state.put(User(username="zoe"))
    changes = planned(state, SetProjectMember("lab/p", "zoe", ()))
    assert changes.changes[0].after == P.model_copy(update={"members": ()})
    assert changes.subject == "root removed zoe from lab/p"
    changes = planned(state, SetProjectMember("lab/p", "zoe", (LEAD,)))
    assert changes.changes[0].after == P.model_copy(update={"members": (Member(username="zoe", roles=(LEAD,)),)})


@pytest.mark.parametrize(("project", "db"), [(None, "full"), ("lab/p", "slice")])
def test_a_new_workspace_is_one_document(state: Memory, project: str | None, db: str) -> None:
    changes = planned(state, AddWorkspace("fresh", "study", "main", db, project))
    assert changes.changes[0].path == "workspaces/fresh.yaml"
    assert changes.changes[0].before is None
    assert changes.changes[0].after == Workspace(
        name="fresh", project=project, repo="study", branch="main", db=db, created_by="root", created_at=NOW
    )
    assert (changes.event, changes.subject) == ("workspace.created", "root added workspace fresh")
    assert changes.trailers == (("Workspace", "fresh"),)


@pytest.mark.parametrize(
    ("archived", "notify", "expected", "subject"),
    [
        (True, None, {"archived": True}, "root archived workspace trends"),
        (None, True, {"should_notify": True}, "root turned on notifications for workspace trends"),
        (
            True,
            True,
            {"archived": True, "should_notify": True},
            "root archived and turned on notifications for workspace trends",
        ),
        (False, None, {}, None),
        (None, None, {}, None),
        (False, True, {"should_notify": True}, "root turned on notifications for workspace trends"),
    ],
)
def test_a_change_of_a_workspace_is_named_in_its_subject(
    state: Memory, archived: bool | None, notify: bool | None, expected: dict[str, bool], subject: str | None
) -> None:
    changes = planned(state, ChangeWorkspace("trends", archived, notify))
    assert [change.after for change in changes.changes] == ([TRENDS.model_copy(update=expected)] if expected else [])
    assert (changes.event, changes.trailers) == ("workspace.updated", (("Workspace", "trends"),))
    if subject:
        assert changes.subject == subject


def test_a_workspace_gets_another_repository_and_branch(state: Memory) -> None:
    changes = planned(state, ChangeWorkspace("trends", archived=True, repo="other", branch="dev", db=TRENDS.db))
    edited = {"archived": True, "repo": "other", "branch": "dev"}
    assert changes.changes[0].after == TRENDS.model_copy(update=edited)
    assert changes.subject == "root archived and changed repo, branch of workspace trends"


def test_a_workspaces_switches_go_back(state: Memory) -> None:
    state.put(TRENDS.model_copy(update={"archived": True, "should_notify": True}))
    changes = planned(state, ChangeWorkspace("trends", archived=False, should_notify=False))
    assert changes.changes[0].after == TRENDS
    assert changes.subject == ("root unarchived and turned off notifications for workspace trends")


def test_a_backend_that_is_resumed_has_the_document_that_it_had(state: Memory) -> None:
    state.do(ROOT, PauseBackend("tpp"))
    assert state.backend("tpp") == TPP.model_copy(update={"accepts_requests": False})
    state.do(ROOT, ResumeBackend("tpp"))
    assert state.backend("tpp") == TPP
    assert "accepts_requests" not in dict(TPP.written_items())
