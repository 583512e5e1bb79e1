"""What a verb does not write: what is so already, what would be of no use, and what can't be."""

from typing import Any

import pytest

from jobserver.domain.accounts import EnsureAdmin, WelcomeUser
from jobserver.domain.backends import AddBackend, DeactivateBackend, RevokeBackendToken, RotateBackendToken
from jobserver.domain.base.permissions import SERVER, Role
from jobserver.domain.orgs import AddOrg
from jobserver.domain.plan import Command
from jobserver.domain.projects import AddProject, SetProjectMember
from jobserver.domain.users import AddUser, AddUserToken, DisableUser, RevokeUserToken, SetUserRoles, User
from jobserver.domain.workspaces import AddWorkspace, ChangeWorkspace
from jobserver.errors import Code, Error
from tests.memory import NOW, Memory
from tests.unit.domain.planning import DEV, GONE, TPP, planned, prepared


@pytest.fixture
def state() -> Memory:
    return prepared()


@pytest.mark.parametrize(
    "command",
    [
        WelcomeUser("Known", 7, "Another Name"),
        EnsureAdmin("root"),
        RevokeBackendToken("tpp"),
        SetUserRoles("alice", (Role.CORE_DEVELOPER,)),
        SetProjectMember("lab/p", "alice", ()),
        ChangeWorkspace("trends", archived=False, should_notify=False),
    ],
)
def test_a_command_that_changes_nothing_writes_nothing(state: Memory, command: Command) -> None:
    state.put(User(username="known", github_id=7))
    changes = planned(state, command)
    assert not changes
    assert changes.changes == ()


AGAIN = User(username="gone", roles=(Role.SUPER_USER,), sessions_since=NOW)


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
    changes = state.do(SERVER, EnsureAdmin("gone", recovers))
    assert [change.after for change in changes.changes] == ([after] if after else [])
    if after:
        assert (changes.event, changes.subject) == (
            "user.updated",
            "ADMIN_USERS makes gone a SuperUser again, because there was no other",
        )


def test_admin_users_are_spelt_as_their_accounts(state: Memory) -> None:
    """Another spelling would be a second account that `admit` refuses, in words that name no setting."""
    state.put(GONE)
    with pytest.raises(
        Error, match="ADMIN_USERS: the user 'gone' exists: write 'Gone' with the same upper and lower case"
    ):
        planned(state, EnsureAdmin("Gone"), SERVER)


def test_a_token_of_somebody_disabled_would_not_work(state: Memory) -> None:
    state.put(GONE)
    with pytest.raises(Error, match="gone is disabled, so a token would not work: enable them first") as caught:
        planned(state, AddUserToken("gone", "x", "a" * 64))
    assert caught.value.code is Code.CONFLICT


def test_a_backend_that_is_switched_off_gets_no_token(state: Memory) -> None:
    state.put(TPP.model_copy(update={"active": False}))
    with pytest.raises(
        Error, match="backend tpp is not active, so a token would not work: activate it first"
    ) as caught:
        planned(state, RotateBackendToken("tpp", "b" * 64))
    assert caught.value.code is Code.CONFLICT


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (AddBackend("tpp", "a" * 64), Code.CONFLICT, "backend 'tpp' already exists"),
        (AddBackend("Bad", "a" * 64), Code.INVALID, "slug: 'Bad' is not valid"),
        (AddBackend("emis", "a"), Code.INVALID, "sha256: expected the SHA-256 of a token"),
        (AddBackend("emis", "a" * 64, databases=("A",)), Code.INVALID, "databases.0: 'A' is not valid"),
        (RotateBackendToken("emis", "a" * 64), Code.NOT_FOUND, "backend 'emis' does not exist"),
        (RotateBackendToken("tpp", ""), Code.INVALID, "sha256: expected the SHA-256 of a token"),
        (RevokeBackendToken("emis"), Code.NOT_FOUND, "backend 'emis' does not exist"),
        (DeactivateBackend("emis"), Code.NOT_FOUND, "backend 'emis' does not exist"),
        (AddUser("alice"), Code.CONFLICT, "user 'alice' already exists"),
        (AddUser("a b"), Code.INVALID, "username: 'a b' is not valid"),
        (WelcomeUser("a b", 7), Code.INVALID, "username: 'a b' is not valid"),
        (EnsureAdmin("a b"), Code.INVALID, "username: 'a b' is not valid"),
        (AddUserToken("new", "x", "a" * 64), Code.NOT_FOUND, "user 'new' does not exist"),
        (AddUserToken("alice", "laptop", "d" * 64), Code.CONFLICT, "alice already has a token with the label 'laptop'"),
        (AddUserToken("alice", "a\nb", "d" * 64), Code.INVALID, "label: "),
        (RevokeUserToken("new", "x"), Code.NOT_FOUND, "user 'new' does not exist"),
        (RevokeUserToken("alice", "x"), Code.NOT_FOUND, "alice has no token with the label 'x'"),
        (SetUserRoles("new", ()), Code.NOT_FOUND, "user 'new' does not exist"),
        (DisableUser("new"), Code.NOT_FOUND, "user 'new' does not exist"),
        (AddOrg("lab"), Code.CONFLICT, "org 'lab' already exists"),
        (AddOrg(""), Code.INVALID, "slug: '' is not valid"),
        (AddProject("lab/p"), Code.CONFLICT, "project 'lab/p' already exists"),
        (AddProject("other/p"), Code.NOT_FOUND, "org 'other' does not exist"),
        (AddProject("lab"), Code.INVALID, "slug: '' is not valid"),
        (AddProject("lab/q/r"), Code.INVALID, "slug: 'q/r' is not valid"),
        (SetProjectMember("lab/q", "alice", (DEV,)), Code.NOT_FOUND, "project 'lab/q' does not exist"),
        (SetProjectMember("lab/p", "new", (DEV,)), Code.NOT_FOUND, "user 'new' does not exist"),
        (AddWorkspace("trends", "study", "main"), Code.CONFLICT, "workspace 'trends' already exists"),
        (AddWorkspace("Bad", "study", "main"), Code.INVALID, "name: 'Bad' is not valid"),
        (AddWorkspace("w", "a\nb", "main"), Code.INVALID, "repo: "),
        (ChangeWorkspace("none"), Code.NOT_FOUND, "workspace 'none' does not exist"),
    ],
)
def test_a_command_that_can_not_be_planned_is_refused(
    state: Memory, command: Command, code: Code, message: str
) -> None:
    with pytest.raises(Error) as caught:
        planned(state, command)
    assert caught.value.code is code
    assert str(caught.value).startswith(message)
