"""What each verb changes on `main` and `audit`: documents, words, trailers, refusals."""

from dataclasses import replace
from typing import Any

import pytest

from jobserver.domain import commands as c
from jobserver.domain import names
from jobserver.domain.documents import Backend, Member, Org, Project, Token, User, Workspace
from jobserver.domain.permissions import SERVER, Actor, ActorKind, Role
from jobserver.domain.plan import branch_of, plan
from jobserver.domain.state import Changes
from jobserver.errors import Code, Error
from tests.memory import ID, NOW, Memory

ROOT = Actor(ActorKind.USER, "root")
LEAD, DEV = Role.PROJECT_COORDINATOR, Role.PROJECT_DEVELOPER
OLD = Token(sha256="a" * 64, label="first", created_at=NOW)
NEW = Token(sha256="b" * 64, label="rotated 2026-11-24", created_at=NOW)
LAPTOP = Token(sha256="c" * 64, label="laptop", created_at=NOW)
TPP = Backend(slug="tpp", name="TPP", tokens=(OLD,), created_at=NOW)
ALICE = User(username="alice", name="Alice", roles=(Role.CORE_DEVELOPER,), tokens=(LAPTOP,))
LAB = Org(slug="lab", name="Lab")
P = Project(slug="p", name="P", org="lab", members=(Member(username="zoe", roles=(DEV,)),))
TRENDS = Workspace(name="trends", repo="study", branch="main", db="full", created_by="alice", created_at=NOW)


@pytest.fixture
def state() -> Memory:
    return Memory(User(username="root", roles=(Role.SUPER_USER,)), TPP, ALICE, LAB, P, TRENDS)


def planned(state: Memory, command: c.Command, actor: Actor = ROOT) -> Changes:
    return plan(state.on(branch_of(command)), command, actor, NOW, ID)


@pytest.mark.parametrize(
    ("command", "path", "before", "after", "event", "subject"),
    [
        (
            c.AddBackend("emis", "a" * 64),
            "backends/emis.yaml",
            None,
            Backend(slug="emis", name="emis", tokens=(OLD,), created_at=NOW),
            "backend.created",
            "root added backend emis",
        ),
        (
            c.AddBackend("emis", "a" * 64, "EMIS", ("full",), "/srv"),
            "backends/emis.yaml",
            None,
            Backend(
                slug="emis", name="EMIS", parent_directory="/srv", databases=("full",), tokens=(OLD,), created_at=NOW
            ),
            "backend.created",
            "root added backend emis",
        ),
        (
            c.RotateBackendToken("tpp", "b" * 64),
            "backends/tpp.yaml",
            TPP,
            TPP.model_copy(update={"tokens": (NEW,)}),
            "backend.token-rotated",
            "root rotated the token of backend tpp",
        ),
        (
            c.RotateBackendToken("tpp", "b" * 64, keep_old=True),
            "backends/tpp.yaml",
            TPP,
            TPP.model_copy(update={"tokens": (OLD, NEW)}),
            "backend.token-rotated",
            "root rotated the token of backend tpp",
        ),
        (
            c.DeactivateBackend("tpp"),
            "backends/tpp.yaml",
            TPP,
            TPP.model_copy(update={"active": False}),
            "backend.deactivated",
            "root deactivated backend tpp",
        ),
        (
            c.AddUser("new"),
            "users/new.yaml",
            None,
            User(username="new"),
            "user.created",
            "root added user new",
        ),
        (
            c.AddUser("new", "Nell", (Role.AUDITOR,)),
            "users/new.yaml",
            None,
            User(username="new", name="Nell", roles=(Role.AUDITOR,)),
            "user.created",
            "root added user new",
        ),
        (
            c.WelcomeUser("new", "Nell"),
            "users/new.yaml",
            None,
            User(username="new", name="Nell"),
            "user.created",
            "new logged in for the first time",
        ),
        (
            c.EnsureAdmin("new"),
            "users/new.yaml",
            None,
            User(username="new", roles=(Role.SUPER_USER,)),
            "user.created",
            "ADMIN_USERS makes new a SuperUser",
        ),
        (
            c.EnsureAdmin("alice"),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(update={"roles": (Role.CORE_DEVELOPER, Role.SUPER_USER)}),
            "user.updated",
            "ADMIN_USERS makes alice a SuperUser",
        ),
        (
            c.AddUserToken("alice", "desktop", "d" * 64),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(update={"tokens": (LAPTOP, Token(sha256="d" * 64, label="desktop", created_at=NOW))}),
            "user.token-created",
            "root made a token of alice",
        ),
        (
            c.RevokeUserToken("alice", "laptop"),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(update={"tokens": ()}),
            "user.token-revoked",
            "root revoked a token of alice",
        ),
        (
            c.SetUserRoles("alice", (Role.AUDITOR, Role.OUTPUT_CHECKER)),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(update={"roles": (Role.AUDITOR, Role.OUTPUT_CHECKER)}),
            "user.updated",
            "root made alice Auditor, OutputChecker",
        ),
        (
            c.SetUserRoles("alice", (), active=False),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(update={"roles": (), "active": False}),
            "user.updated",
            "root made alice nothing in particular, and disabled",
        ),
        (
            c.DisableUser("alice"),
            "users/alice.yaml",
            ALICE,
            ALICE.model_copy(update={"active": False}),
            "user.disabled",
            "root disabled user alice",
        ),
        (
            c.AddOrg("fresh"),
            "orgs/fresh.yaml",
            None,
            Org(slug="fresh", name="fresh"),
            "org.created",
            "root added org fresh",
        ),
        (
            c.AddOrg("fresh", "New"),
            "orgs/fresh.yaml",
            None,
            Org(slug="fresh", name="New"),
            "org.created",
            "root added org fresh",
        ),
        (
            c.AddProject("lab/q"),
            "projects/lab/q.yaml",
            None,
            Project(slug="q", name="q", org="lab"),
            "project.created",
            "root added project lab/q",
        ),
        (
            c.AddProject("lab/q", "Q"),
            "projects/lab/q.yaml",
            None,
            Project(slug="q", name="Q", org="lab"),
            "project.created",
            "root added project lab/q",
        ),
        (
            c.SetProjectMember("lab/p", "alice", (DEV, LEAD)),
            "projects/lab/p.yaml",
            P,
            P.model_copy(update={"members": (Member(username="alice", roles=(DEV, LEAD)), *P.members)}),
            "project.updated",
            "root made alice ProjectDeveloper, ProjectCoordinator in lab/p",
        ),
    ],
)
def test_what_a_verb_writes(
    state: Memory, command: c.Command, path: str, before: Any, after: Any, event: str, subject: str
) -> None:
    changes = planned(state, command)
    (change,) = changes.changes
    assert (change.path, change.before, change.after) == (path, before, after)
    assert (changes.branch, changes.event, changes.subject) == ("main", event, subject)
    trailers = (("Project", command.project),) if isinstance(command, c.SetProjectMember) else ()
    assert (changes.moves, changes.trailers, changes.result) == ((), trailers, {})


def test_a_backends_old_tokens_end(state: Memory) -> None:
    state.put(TPP.model_copy(update={"tokens": (OLD, NEW)}))
    changes = planned(state, c.RevokeBackendToken("tpp"))
    assert changes.changes[0].after == TPP.model_copy(update={"tokens": (NEW,)})
    assert (changes.event, changes.subject) == ("backend.token-revoked", "root revoked the old tokens of backend tpp")


def test_what_was_switched_off_is_switched_on_as_it_was(state: Memory) -> None:
    off = TPP.model_copy(update={"active": False})
    state.put(off)
    state.put(GONE)
    for command, before, said in (
        (c.ActivateBackend("tpp"), off, ("backend.activated", "root activated backend tpp")),
        (c.EnableUser("gone"), GONE, ("user.enabled", "root enabled user gone")),
    ):
        changes = planned(state, command)
        (change,) = changes.changes
        assert (change.before, change.after) == (before, before.model_copy(update={"active": True}))
        assert (changes.event, changes.subject) == said


def test_who_is_no_member_any_more_and_who_is_one_anew(state: Memory) -> None:
    state.put(User(username="zoe"))
    changes = planned(state, c.SetProjectMember("lab/p", "zoe", ()))
    assert changes.changes[0].after == P.model_copy(update={"members": ()})
    assert changes.subject == "root made zoe no longer a member of lab/p"
    changes = planned(state, c.SetProjectMember("lab/p", "zoe", (LEAD,)))
    assert changes.changes[0].after == P.model_copy(update={"members": (Member(username="zoe", roles=(LEAD,)),)})


@pytest.mark.parametrize(("project", "db"), [(None, "full"), ("lab/p", "slice")])
def test_a_new_workspace(state: Memory, project: str | None, db: str) -> None:
    changes = planned(state, c.AddWorkspace("fresh", "study", "main", db, project))
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
        (None, True, {"should_notify": True}, "root switched notifications on for workspace trends"),
        (
            True,
            True,
            {"archived": True, "should_notify": True},
            "root archived and switched notifications on for workspace trends",
        ),
        (False, None, {}, None),
        (None, None, {}, None),
        (False, True, {"should_notify": True}, "root switched notifications on for workspace trends"),
    ],
)
def test_a_workspaces_switches(
    state: Memory, archived: bool | None, notify: bool | None, expected: dict[str, bool], subject: str | None
) -> None:
    changes = planned(state, c.ChangeWorkspace("trends", archived, notify))
    assert [change.after for change in changes.changes] == ([TRENDS.model_copy(update=expected)] if expected else [])
    assert (changes.event, changes.trailers) == ("workspace.updated", (("Workspace", "trends"),))
    if subject:
        assert changes.subject == subject


def test_a_workspaces_switches_go_back(state: Memory) -> None:
    state.put(TRENDS.model_copy(update={"archived": True, "should_notify": True}))
    changes = planned(state, c.ChangeWorkspace("trends", archived=False, should_notify=False))
    assert changes.changes[0].after == TRENDS
    assert changes.subject == ("root took out of the archive and switched notifications off for workspace trends")


@pytest.mark.parametrize(
    "command",
    [
        c.WelcomeUser("alice", "Another Name"),
        c.EnsureAdmin("root"),
        c.RevokeBackendToken("tpp"),
        c.SetUserRoles("alice", (Role.CORE_DEVELOPER,)),
        c.SetProjectMember("lab/p", "alice", ()),
        c.ChangeWorkspace("trends", archived=False, should_notify=False),
    ],
)
def test_what_is_so_already_is_not_written(state: Memory, command: c.Command) -> None:
    changes = planned(state, command)
    assert not changes
    assert changes.changes == ()


GONE = User(username="gone", roles=(Role.SUPER_USER,), tokens=(LAPTOP,), active=False)
AGAIN = User(username="gone", roles=(Role.SUPER_USER,))


@pytest.mark.parametrize(
    ("gone", "root", "recovers", "after"),
    [
        (GONE, {}, False, None),
        (GONE, {}, True, None),
        (GONE.model_copy(update={"roles": ()}), {}, True, None),
        (GONE, {"active": False}, False, None),
        (GONE, {"active": False}, True, AGAIN),
        (GONE, {"roles": (Role.AUDITOR,)}, True, AGAIN),
        (GONE.model_copy(update={"roles": ()}), {"active": False}, True, AGAIN),
    ],
)
def test_an_admin_who_was_disabled_is_one_again_only_where_nobody_else_is(
    state: Memory, gone: User, root: dict[str, Any], recovers: bool, after: User | None
) -> None:
    state.put(gone)
    state.put(User(username="root", roles=(Role.SUPER_USER,)).model_copy(update=root))
    changes = state.do(SERVER, c.EnsureAdmin("gone", recovers))
    assert [change.after for change in changes.changes] == ([after] if after else [])
    if after:
        assert (changes.event, changes.subject) == (
            "user.updated",
            "ADMIN_USERS makes gone a SuperUser again: there was none",
        )


def test_a_token_of_somebody_disabled_would_not_work(state: Memory) -> None:
    state.put(GONE)
    with pytest.raises(Error, match="gone is disabled: a token of theirs would not work") as caught:
        planned(state, c.AddUserToken("gone", "x", "a" * 64))
    assert caught.value.code is Code.CONFLICT


def test_a_backend_that_is_switched_off_gets_no_token(state: Memory) -> None:
    state.put(TPP.model_copy(update={"active": False}))
    with pytest.raises(Error, match="backend tpp is not active: a token of it would not work") as caught:
        planned(state, c.RotateBackendToken("tpp", "b" * 64))
    assert caught.value.code is Code.CONFLICT


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (c.AddBackend("tpp", "a" * 64), Code.CONFLICT, "the backend 'tpp' is there already"),
        (c.AddBackend("Bad", "a" * 64), Code.INVALID, "slug: 'Bad' does not match"),
        (c.AddBackend("emis", "a"), Code.INVALID, "sha256: 'a' does not match"),
        (c.AddBackend("emis", "a" * 64, databases=("A",)), Code.INVALID, "databases.0: 'A' does not match"),
        (c.RotateBackendToken("emis", "a" * 64), Code.NOT_FOUND, "there is no backend 'emis'"),
        (c.RotateBackendToken("tpp", ""), Code.INVALID, "sha256: '' does not match"),
        (c.RevokeBackendToken("emis"), Code.NOT_FOUND, "there is no backend 'emis'"),
        (c.DeactivateBackend("emis"), Code.NOT_FOUND, "there is no backend 'emis'"),
        (c.AddUser("alice"), Code.CONFLICT, "the user 'alice' is there already"),
        (c.AddUser("a b"), Code.INVALID, "username: 'a b' does not match"),
        (c.WelcomeUser("a b"), Code.INVALID, "username: 'a b' does not match"),
        (c.EnsureAdmin("a b"), Code.INVALID, "username: 'a b' does not match"),
        (c.AddUserToken("new", "x", "a" * 64), Code.NOT_FOUND, "there is no user 'new'"),
        (c.AddUserToken("alice", "laptop", "d" * 64), Code.CONFLICT, "alice has a token with the label 'laptop'"),
        (c.AddUserToken("alice", "a\nb", "d" * 64), Code.INVALID, "label: "),
        (c.RevokeUserToken("new", "x"), Code.NOT_FOUND, "there is no user 'new'"),
        (c.RevokeUserToken("alice", "x"), Code.NOT_FOUND, "alice has no token with the label 'x'"),
        (c.SetUserRoles("new", ()), Code.NOT_FOUND, "there is no user 'new'"),
        (c.DisableUser("new"), Code.NOT_FOUND, "there is no user 'new'"),
        (c.AddOrg("lab"), Code.CONFLICT, "the org 'lab' is there already"),
        (c.AddOrg(""), Code.INVALID, "slug: '' does not match"),
        (c.AddProject("lab/p"), Code.CONFLICT, "the project 'lab/p' is there already"),
        (c.AddProject("other/p"), Code.NOT_FOUND, "there is no org 'other'"),
        (c.AddProject("lab"), Code.INVALID, "slug: '' does not match"),
        (c.AddProject("lab/q/r"), Code.INVALID, "slug: 'q/r' does not match"),
        (c.SetProjectMember("lab/q", "alice", (DEV,)), Code.NOT_FOUND, "there is no project 'lab/q'"),
        (c.SetProjectMember("lab/p", "new", (DEV,)), Code.NOT_FOUND, "there is no user 'new'"),
        (c.AddWorkspace("trends", "study", "main"), Code.CONFLICT, "the workspace 'trends' is there already"),
        (c.AddWorkspace("Bad", "study", "main"), Code.INVALID, "name: 'Bad' does not match"),
        (c.AddWorkspace("w", "a\nb", "main"), Code.INVALID, "repo: "),
        (c.ChangeWorkspace("none"), Code.NOT_FOUND, "there is no workspace 'none'"),
    ],
)
def test_refusals(state: Memory, command: c.Command, code: Code, message: str) -> None:
    with pytest.raises(Error) as caught:
        planned(state, command)
    assert caught.value.code is code
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("command", "branch"),
    [
        (c.RequestJobs("w", "tpp", ("a",), "0" * 40, {}), "backends/tpp"),
        (c.CancelJobs(ID, "tpp"), "backends/tpp"),
        (c.UpdateJobs("tpp", ()), "backends/tpp"),
        (c.ArchiveFinished("tpp"), "backends/tpp"),
        (c.FailJob("j", ID, "tpp"), "backends/tpp"),
        (c.RecordPush("main", "0" * 40, "1" * 40, "user/root"), "audit"),
        (c.RecordCheckpoint({}, 0), "audit"),
        (c.AddUser("x"), "main"),
        (c.AddWorkspace("x", "y", "z"), "main"),
    ],
)
def test_each_verb_writes_one_branch(command: c.Command, branch: str) -> None:
    assert branch_of(command) == branch


def test_receipts_are_numbered(state: Memory) -> None:
    command = c.RecordPush("main", "1" * 40, "abcdef1234567890" + "2" * 24, "user/root")
    changes = state.do(SERVER, command)
    assert (changes.branch, changes.event) == ("audit", "push.received")
    assert changes.subject == "user/root pushed abcdef1234 to main"
    (change,) = changes.changes
    assert change.path == names.RECEIPT_PATH
    assert change.before is None
    assert change.after is not None
    assert change.after.model_dump() == {
        "version": 1,
        "number": 1,
        "branch": "main",
        "old": "1" * 40,
        "new": command.new,
        "pusher": "user/root",
        "received_at": NOW,
    }
    assert changes.trailers == (
        ("Number", "1"),
        ("Pusher", "user/root"),
        ("Ref", "refs/heads/main"),
        ("Old", "1" * 40),
        ("New", command.new),
    )
    (second,) = state.do(SERVER, replace(command, branch="backends/tpp")).changes
    assert second.before == change.after
    assert second.after == change.after.model_copy(update={"number": 2, "branch": "backends/tpp"})


def test_checkpoints_are_numbered_and_say_something_new(state: Memory) -> None:
    first = state.do(SERVER, c.RecordCheckpoint({"main": "1" * 40, "backends/tpp": "2" * 40}, 0))
    assert (first.event, first.subject) == ("tips.checkpointed", "jobserver saw 2 branches")
    assert first.trailers == (("Number", "1"),)
    (change,) = first.changes
    assert (change.path, change.before) == (names.CHECKPOINT_PATH, None)
    assert change.after is not None
    assert list(change.after.model_dump()["tips"]) == ["backends/tpp", "main"]
    again = state.do(SERVER, c.RecordCheckpoint({"backends/tpp": "2" * 40, "main": "1" * 40}, 1))
    assert (bool(again), again.branch, again.event) == (False, "audit", "tips.checkpointed")
    for late in (0, 2):  # these tips were compared with another checkpoint than the last
        assert not state.do(SERVER, c.RecordCheckpoint({"main": "3" * 40}, late))
    second = state.do(SERVER, c.RecordCheckpoint({"main": "3" * 40}, 1))
    assert second.trailers == (("Number", "2"),)
    assert second.changes[0].before == change.after
    assert second.subject == "jobserver saw 1 branches"
