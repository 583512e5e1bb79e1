"""Whose account somebody from GitHub has: the number's, not the name's; and whose sessions go on."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from jobserver.domain.accounts import EnsureAdmin, WelcomeOidcUser, WelcomeUser, oidc_id
from jobserver.domain.admit import admit, find_faults
from jobserver.domain.base.permissions import SERVER, Actor, ActorKind, Role
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.plan import Command
from jobserver.domain.users import AddUser, BindOidcUser, DisableUser, EnableUser, SetUserRoles, User
from jobserver.errors import Code, Error
from jobserver.store.yaml import codec
from tests.memory import NOW, Memory

ROOT = Actor(ActorKind.USER, "root")
LATER = NOW + timedelta(hours=1)
ALICE = User(username="alice", roles=(Role.AUDITOR,), github_id=1)


@pytest.fixture
def state() -> Memory:
    return Memory(User(username="root", roles=(Role.SUPER_USER,)), ALICE, User(username="Bob", roles=(Role.AUDITOR,)))


def stored(state: Memory, name: str) -> User:
    found = state.user(name)
    assert found is not None
    return found


def test_a_freed_name_gives_its_next_owner_nothing(state: Memory) -> None:
    for name in ("alice", "ALICE"):
        with pytest.raises(Error, match=r"user alice here belongs to another account on GitHub.*: ask root$") as caught:
            state.do(SERVER, WelcomeUser(name, 2))
        assert caught.value.code is Code.FORBIDDEN
    assert stored(state, "alice") == ALICE


@pytest.mark.parametrize("name", ["alice", "alice-2", "bob", "Root"])
def test_a_rename_on_github_is_followed(state: Memory, name: str) -> None:
    """Whatever they are called now, also like somebody else here."""
    changes = state.do(SERVER, WelcomeUser(name, 1))
    assert (changes.result["username"], bool(changes)) == ("alice", False)


@pytest.mark.parametrize("name", ["Bob", "bob", "BOB"])
def test_a_user_added_by_name_is_bound_at_the_first_log_in(state: Memory, name: str) -> None:
    changes = state.do(SERVER, WelcomeUser(name, 3, "Robert"))
    assert changes.result["username"] == "Bob"
    assert changes.event == "user.bound"
    assert stored(state, "Bob") == User(username="Bob", roles=(Role.AUDITOR,), github_id=3)
    with pytest.raises(Error, match="belongs to another account"):
        state.do(SERVER, WelcomeUser(name, 4))


def test_a_new_person_gets_an_account_without_rights(state: Memory) -> None:
    changes = state.do(SERVER, WelcomeUser("dora", 5, "Dora"))
    assert changes.result["username"] == "dora"
    assert stored(state, "dora") == User(username="dora", github_id=5, name="Dora", sessions_since=NOW)


def test_a_disabled_user_is_not_bound(state: Memory) -> None:
    state.do(ROOT, DisableUser("Bob"))
    assert not state.do(SERVER, WelcomeUser("bob", 3))
    assert stored(state, "Bob").github_id is None


def test_two_accounts_of_one_name_are_nobodys(state: Memory) -> None:
    """Old repositories may have both; nobody can say which is meant."""
    state.put(User(username="bob"))
    with pytest.raises(Error, match="more than one user here has the name bob"):
        state.do(SERVER, WelcomeUser("bob", 3))


def test_a_number_is_one_accounts(state: Memory) -> None:
    with pytest.raises(Error, match="github_id: 1 already belongs to user alice"):
        state.do(ROOT, AddUser("eve", github_id=1))
    both = [
        Change(f"users/{name}.yaml", None, User(username=name, github_id=9)) for name in ("eve", "mallory")
    ]  # in one push
    found = find_faults(state, Changes("main", "pushed", "", tuple(both)))
    assert [str(one) for one in found] == [
        "users/eve.yaml: github_id: 9 already belongs to user mallory",
        "users/mallory.yaml: github_id: 9 already belongs to user eve",
    ]


@pytest.mark.parametrize("value", [0, -1, 2**63, "1", 1.5, True])
def test_a_github_id_that_is_not_a_positive_number_is_refused(value: Any) -> None:
    with pytest.raises(Error, match="github_id"):
        codec.read(User, f"version: 1\nusername: a\ngithub_id: {value!r}\n".encode(), "users/a.yaml")


def test_a_document_without_a_number_reads_and_stays_as_it_was() -> None:
    old = b"version: 1\nusername: alice\nname: Alice\nroles: []\nactive: true\ntokens: []\n"
    assert codec.write(codec.read(User, old, "users/alice.yaml")) == old
    new = b"version: 1\nusername: alice\ngithub_id: 12\nname: Alice\nroles: []\nactive: true\ntokens: []\n"
    assert codec.write(codec.read(User, new, "users/alice.yaml")) == new


@pytest.mark.parametrize(
    "command", [EnableUser("alice"), SetUserRoles("alice", (), True), EnsureAdmin("alice", recovers=True)]
)
def test_an_enabled_user_begins_new_sessions(state: Memory, command: Command) -> None:
    state.put(User(username="root", roles=(Role.SUPER_USER,)))
    state.put(ALICE.model_copy(update={"active": False, "sessions_since": NOW}))
    actor = ROOT
    if isinstance(command, EnsureAdmin):
        state.put(User(username="root", active=False))
        actor = SERVER
    state.do(actor, command, LATER)
    assert (stored(state, "alice").active, stored(state, "alice").sessions_since) == (True, LATER)
    state.do(SERVER if actor is SERVER else ROOT, command, LATER + timedelta(hours=1))
    assert stored(state, "alice").sessions_since == LATER  # who is on goes on


def test_an_account_that_is_made_anew_has_no_old_sessions(state: Memory) -> None:
    state.do(ROOT, AddUser("dora"), NOW)
    state.apply(
        admit(
            state, Changes("main", "pushed", "", (Change("users/dora.yaml", stored(state, "dora"), None),)), ROOT, NOW
        )
    )
    state.do(ROOT, AddUser("dora"), LATER)
    assert stored(state, "dora").sessions_since == LATER


@pytest.mark.parametrize(("since", "is_fine"), [(None, True), (NOW, False), (LATER, True)])
def test_a_push_that_adds_somebody_again_ends_their_sessions_too(
    state: Memory, since: datetime | None, is_fine: bool
) -> None:
    """As reverting the commit that deleted them would."""
    again = User(username="dora", sessions_since=since)
    changes = Changes("main", "pushed", "", (Change("users/dora.yaml", None, again),))
    admit(state, changes, ROOT, LATER, policy=1)
    if is_fine:
        admit(state, changes, ROOT, LATER)
        return
    with pytest.raises(Error, match="sessions_since: must be the present time for a new user: leave it out"):
        admit(state, changes, ROOT, LATER)


def test_a_push_that_switches_somebody_on_ends_their_sessions_too(state: Memory) -> None:
    """By the rules of before it need not: what is history stays legal."""
    off = ALICE.model_copy(update={"active": False, "sessions_since": NOW})
    state.put(off)
    for since, is_fine in ((None, False), (NOW, False), (LATER, True)):
        on = off.model_copy(update={"active": True, "sessions_since": since})
        changes = Changes("main", "pushed", "", (Change("users/alice.yaml", off, on),))
        admit(state, changes, ROOT, NOW, policy=1)
        if is_fine:
            admit(state, changes, ROOT, NOW)
            continue
        with pytest.raises(Error, match="sessions_since: must change when a user is enabled again"):
            admit(state, changes, ROOT, NOW)


def test_setting_roles_leaves_a_disabled_user_disabled(state: Memory) -> None:
    state.do(ROOT, DisableUser("alice"))
    changes = state.do(ROOT, SetUserRoles("alice", (Role.OUTPUT_CHECKER,)))
    assert changes.subject == "root set the roles of alice to OutputChecker"
    user = stored(state, "alice")
    assert (user.active, user.roles) == (False, (Role.OUTPUT_CHECKER,))


DORA = oidc_id("https://login.example.org", "sub-dora")
OTHER = oidc_id("https://other.example.org", "sub-dora")


def test_who_somebody_is_depends_on_the_provider_and_the_subject() -> None:
    assert len({DORA, OTHER, oidc_id("https://login.example.org", "sub-dora2")}) == 3


def test_a_new_person_from_a_provider_gets_an_account_without_rights(state: Memory) -> None:
    changes = state.do(SERVER, WelcomeOidcUser("dora", DORA, "Dora"))
    assert (changes.result["username"], changes.event) == ("dora", "user.created")
    assert stored(state, "dora") == User(username="dora", oidc_id=DORA, name="Dora", sessions_since=NOW)
    again = state.do(SERVER, WelcomeOidcUser("renamed-there", DORA))
    assert (again.result["username"], bool(again)) == ("dora", False)


@pytest.mark.parametrize("name", ["alice", "ALICE", "Bob", "root"])
def test_a_name_at_the_provider_gives_nobody_an_account(state: Memory, name: str) -> None:
    """Bound to GitHub, or to nobody: people choose their names there."""
    with pytest.raises(Error, match=r"the username \w+ is taken.*: ask root$") as caught:
        state.do(SERVER, WelcomeOidcUser(name, DORA))
    assert caught.value.code is Code.FORBIDDEN


def test_a_name_on_github_gives_nobody_the_account_of_another_provider(state: Memory) -> None:
    state.do(SERVER, WelcomeOidcUser("dora", DORA))
    with pytest.raises(Error, match=r"the user dora here does not log in with GitHub, so .*: ask root$"):
        state.do(SERVER, WelcomeUser("Dora", 9))
    state.do(ROOT, AddUser("zoe", oidc_id=OTHER))
    assert state.do(SERVER, WelcomeOidcUser("whatever", OTHER)).result["username"] == "zoe"


def test_people_connect_their_own_account(state: Memory) -> None:
    alice, bob = Actor(ActorKind.USER, "alice"), Actor(ActorKind.USER, "Bob")
    assert state.do(alice, BindOidcUser("alice", DORA)).event == "user.bound"
    assert stored(state, "alice").oidc_id == DORA
    with pytest.raises(Error, match="Bob cannot update the user alice"):
        state.do(bob, BindOidcUser("alice", None))
    with pytest.raises(Error, match=r"oidc_id: .* already belongs to user alice"):
        state.do(bob, BindOidcUser("Bob", DORA))
    assert state.do(alice, BindOidcUser("alice", None)).event == "user.updated"
    assert stored(state, "alice") == ALICE


def test_documents_have_an_oidc_id_only_once_it_is_known() -> None:
    known = ALICE.model_copy(update={"oidc_id": DORA})
    content = codec.write(known)
    assert f"oidc_id: {DORA}".encode() in content.replace(b'"', b"")
    assert codec.read(User, content, "users/alice.yaml") == known
    assert b"oidc_id" not in codec.write(ALICE)
