"""Personal tokens with a scope and an expiry, and documents from before there were any."""

from datetime import timedelta

import pytest

from jobserver.domain.admit import admit
from jobserver.domain.backends import Backend
from jobserver.domain.base.layout import Kind, main_path
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.tokens import OneTimeToken, PersonalToken, Scope
from jobserver.domain.users import AddUserToken, CreateOneTimeToken, UseOneTimeToken, User
from jobserver.errors import Code, Error
from jobserver.store.yaml import codec
from tests.memory import NOW, Memory
from tests.unit.domain.admitting import main

ROOT = Actor(ActorKind.USER, "root")
DAY = timedelta(days=1)


def token(**values: object) -> PersonalToken:
    return PersonalToken.model_validate({"sha256": "c" * 64, "label": "laptop", "created_at": NOW, **values})


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (Scope.READ, {Scope.READ}),
        (Scope.REQUEST, {Scope.READ, Scope.REQUEST}),
        (Scope.ADMIN, set(Scope)),
        (None, set(Scope)),
    ],
)
def test_a_scope_includes_the_smaller_ones(scope: Scope | None, allowed: set[Scope]) -> None:
    assert {needed for needed in Scope if token(scope=scope).allows(needed)} == allowed


def test_a_token_expires_at_its_time_and_is_near_it_for_a_week_before() -> None:
    ending = token(expires_at=NOW + 8 * DAY)
    days = [NOW, NOW + DAY, NOW + 7 * DAY, NOW + 8 * DAY, NOW + 9 * DAY]
    assert [ending.expires_soon(day) for day in days] == [False, True, True, False, False]
    assert [ending.has_expired(day) for day in days] == [False, False, False, True, True]
    assert not token().expires_soon(NOW)
    assert not token().has_expired(NOW + 9999 * DAY)


def test_a_token_is_added_with_its_scope_and_expiry() -> None:
    state = Memory(User(username="root", roles=(Role.SUPER_USER,)))
    state.do(ROOT, AddUserToken("root", "laptop", "c" * 64, NOW + DAY, Scope.READ))
    user = state.user("root")
    assert user is not None
    assert user.tokens == (token(expires_at=NOW + DAY, scope=Scope.READ),)


@pytest.mark.parametrize("days", [0, -1])
def test_a_token_that_would_never_work_is_refused(days: int) -> None:
    state = Memory(User(username="root", roles=(Role.SUPER_USER,)))
    with pytest.raises(
        Error, match="the token 'laptop' expires before it is created: use a time in the future"
    ) as caught:
        state.do(ROOT, AddUserToken("root", "laptop", "c" * 64, NOW + days * DAY))
    assert caught.value.code is Code.INVALID


def one_time(**values: object) -> User:
    fields = {"sha256": "d" * 64, "created_at": NOW, "expires_at": NOW + timedelta(hours=1), **values}
    return User(username="root", roles=(Role.SUPER_USER,), one_time_token=OneTimeToken.model_validate(fields))


def test_a_one_time_token_is_one_persons_and_replaces_the_one_before() -> None:
    state = Memory(User(username="root", roles=(Role.SUPER_USER,)), User(username="ann"))
    ann = Actor(ActorKind.USER, "ann")
    state.do(ann, CreateOneTimeToken("ann", "c" * 64))
    state.do(ann, CreateOneTimeToken("ann", "d" * 64))
    with pytest.raises(Error, match="each token works once"):
        state.do(ann, UseOneTimeToken("ann", "c" * 64, "tpp"))
    changes = state.do(ann, UseOneTimeToken("ann", "d" * 64, "tpp"))
    assert (changes.event, changes.subject) == ("user.one-time-token-used", "ann logged in to Airlock on tpp")
    with pytest.raises(Error, match="ann cannot update the user root"):
        state.do(ann, CreateOneTimeToken("root", "c" * 64))


@pytest.mark.parametrize("hours", [0, 2])
def test_a_pushed_one_time_token_cannot_last_longer(hours: int) -> None:
    before = User(username="root", roles=(Role.SUPER_USER,))
    after = one_time(expires_at=NOW + timedelta(hours=hours))
    with pytest.raises(Error, match="must expire within an hour of its creation"):
        admit(Memory(before), main((main_path(Kind.USER, "root"), before, after)), ROOT, NOW)


HEAD = b"version: 1\nusername: alice\nname: Alice\nroles: []\nactive: true\ntokens:\n"
OLD = HEAD + b'- sha256: "%s"\n  label: laptop\n  created_at: 2026-11-24T09:00:00.000000Z\n' % (b"1" * 64)
NEW = OLD + b"  expires_at: 2027-02-22T09:00:00.000000Z\n  scope: read\n"


@pytest.mark.parametrize("content", [OLD, NEW])
def test_documents_with_and_without_the_new_keys_are_written_as_they_were_read(content: bytes) -> None:
    assert codec.write(codec.read(User, content, "users/alice.yaml")) == content


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"scope: all", "'all' is not a scope: expected one of: read, request, admin"),
        (b"expires_at: soon", "expected a time like"),
    ],
)
def test_faults_name_the_place(line: bytes, message: str) -> None:
    with pytest.raises(Error, match=message) as caught:
        codec.read(User, OLD + b"  " + line + b"\n", "users/alice.yaml")
    assert caught.value.faults[0].line == 10


def test_a_backends_token_has_neither() -> None:
    content = codec.write(Backend(slug="tpp", name="TPP", created_at=NOW, tokens=(token(),)))
    assert b"expires_at" not in content
    with pytest.raises(Error, match="scope"):
        codec.read(
            Backend, content.replace(b"  label: laptop\n", b"  label: laptop\n  scope: read\n"), "backends/tpp.yaml"
        )
