"""Who a header, a session or a token is: looked up in `main` as it is now."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobserver.domain.accounts import WelcomeUser
from jobserver.domain.backends import DeactivateBackend, RotateBackendToken
from jobserver.domain.base.permissions import SERVER, Actor, ActorKind
from jobserver.domain.tokens import Scope
from jobserver.domain.users import AddUserToken, DisableUser, EnableUser, RevokeUserToken
from jobserver.errors import Code, Error
from jobserver.index.index import Index
from jobserver.service.accounts.tokens import Auth, epoch, new_token, parse_expiry, token_digest
from tests.site import ADMIN, ALICE, START, TPP, Site


@pytest.fixture
def auth(site: Site, tmp_path: Path) -> Iterator[Auth]:
    index = Index(site.path, site.repo.writer.refs, tmp_path / "index.sqlite3")
    yield Auth(index, lambda: site.now)
    index.close()


def since_of(site: Site, username: str) -> str:
    found = site.repo.writer.read("main", lambda state: state.user(username))
    assert found is not None
    return epoch(found)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("secret", "secret"),
        ("  secret ", "secret"),
        ("Bearer secret", "secret"),
        ("bearer   secret ", "secret"),
        ("BEARER secret", "secret"),
        ("Basic c2VjcmV0", "Basic c2VjcmV0"),
        ("Bearer", ""),
    ],
)
def test_the_token_is_read_from_the_authorization_header(header: str, token: str) -> None:
    assert Auth.token_of(header) == token


@pytest.mark.parametrize(
    ("header", "message"), [(None, "Authorization header is missing"), (" ", "Authorization header is empty")]
)
def test_a_header_without_a_token(header: str | None, message: str) -> None:
    with pytest.raises(Error) as caught:
        Auth.token_of(header)
    assert (caught.value.code, caught.value.message) == (Code.UNAUTHENTICATED, message)


def test_tokens_are_long_random_and_kept_as_digests_only() -> None:
    made = {new_token() for _ in range(10)}
    assert len({secret for secret, _ in made}) == 10
    for secret, digest in made:
        assert len(bytes.fromhex(secret)) * 8 == 160
        assert token_digest(secret) == digest
    assert token_digest("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert len(token_digest("\ud800")) == 64  # what a header may hold is nobody's token, and no fault of ours


def test_a_token_is_somebodys_until_it_is_revoked(site: Site, auth: Auth) -> None:
    secret, digest = new_token()
    site.do(ADMIN, AddUserToken("alice", "laptop", digest))
    assert auth.token_holder(token_digest(secret)).actor == ALICE
    assert auth.token_holder("a" * 64).actor == TPP
    site.do(ADMIN, RevokeUserToken("alice", "laptop"))
    site.do(ADMIN, RotateBackendToken("tpp", "b" * 64))
    for ended in (digest, "a" * 64, ""):
        with pytest.raises(Error) as caught:
            auth.token_holder(ended)
        assert (caught.value.code, caught.value.message) == (Code.UNAUTHENTICATED, "Invalid token")
    assert auth.token_holder("b" * 64).actor == TPP


def test_a_disabled_users_token_is_nobodys(site: Site, auth: Auth) -> None:
    site.do(ADMIN, AddUserToken("alice", "laptop", "c" * 64))
    since = since_of(site, "alice")
    assert auth.session_user("alice", since) == ALICE
    assert auth.session_user("stranger") is None
    site.do(ADMIN, DisableUser("alice"))
    site.do(ADMIN, DeactivateBackend("tpp"))
    assert auth.session_user("alice", since) is None
    for digest in ("c" * 64, "a" * 64):
        with pytest.raises(Error, match="Invalid token"):
            auth.token_holder(digest)
    assert auth.session_user("admin", since_of(site, "admin")) == Actor(ActorKind.USER, "admin")


def test_a_session_ends_for_good_when_its_person_is_switched_off(site: Site, auth: Auth) -> None:
    since = since_of(site, "alice")
    site.do(ADMIN, DisableUser("alice"))
    site.do(ADMIN, EnableUser("alice"))
    assert auth.session_user("alice", since) is None
    assert auth.session_user("alice", "") is None
    assert auth.session_user("alice", since_of(site, "alice")) == ALICE


def test_whatever_somebody_shows_ends_when_they_leave_github(site: Site, tmp_path: Path) -> None:
    """Tokens too; who is bound to no account there can't leave it."""
    gone: set[int | None] = set()
    index = Index(site.path, site.repo.writer.refs, tmp_path / "index.sqlite3")
    auth = Auth(index, lambda: site.now, lambda number, waits: number in gone)
    site.do(SERVER, WelcomeUser("alice", 7))
    site.do(ADMIN, AddUserToken("alice", "laptop", "c" * 64))
    since = since_of(site, "alice")
    assert (
        auth.token_holder("c" * 64).actor
        == auth.session_user("alice", since)
        == auth.session_user("alice", since, 7)
        == ALICE
    )
    assert auth.session_user("alice", since, 8) is None  # of who had the account before it was given to 7
    gone.add(7)
    with pytest.raises(Error, match="alice has left the GitHub organisation, or GitHub") as caught:
        auth.token_holder("c" * 64)
    assert caught.value.code is Code.FORBIDDEN
    assert auth.session_user("alice", since) is None
    assert auth.token_holder("a" * 64).actor == TPP
    assert auth.session_user("bob", since_of(site, "bob")) is not None
    assert auth.session_user("bob", since_of(site, "bob"), 0) is None  # begun before there was a number
    index.close()


def test_an_expired_token_says_when_it_ended(site: Site, auth: Auth) -> None:
    site.do(ADMIN, AddUserToken("alice", "laptop", "c" * 64, START + timedelta(days=90)))
    assert auth.token_holder("c" * 64).expires_at == START + timedelta(days=90)
    assert auth.token_holder("a" * 64).expires_at is None
    site.now = START + timedelta(days=90)
    with pytest.raises(Error) as caught:
        auth.token_holder("c" * 64)
    message = "Invalid token: it expired on 2027-02-22 at 09:00 UTC"
    assert (caught.value.code, caught.value.message) == (Code.UNAUTHENTICATED, message)


def test_a_token_is_refused_beyond_its_scope(site: Site, auth: Auth) -> None:
    site.do(ADMIN, AddUserToken("alice", "laptop", "c" * 64, scope=Scope.REQUEST))
    assert auth.token_holder("c" * 64, Scope.REQUEST).actor == ALICE
    with pytest.raises(Error) as caught:
        auth.token_holder("c" * 64, Scope.ADMIN)
    message = "This token has the scope request, but this needs the scope admin: use another token"
    assert (caught.value.code, caught.value.message) == (Code.FORBIDDEN, message)
    assert auth.token_holder("a" * 64, Scope.ADMIN).actor == TPP  # backends' tokens have no scope


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90d", START + timedelta(days=90)), ("2027-03-31", datetime(2027, 4, 1, tzinfo=UTC)), ("0d", START)],
)
def test_an_expiry_is_read_as_days_or_as_a_day(text: str, expected: datetime) -> None:
    assert parse_expiry(text, START) == expected


@pytest.mark.parametrize("text", ["90", "-1d", "d", "99999999999d", "2027-02-30", "9999-12-31", "soon", "\u0661d"])
def test_a_malformed_expiry_is_refused(text: str) -> None:
    with pytest.raises(Error, match="expires: expected days such as 90d, or a day such as 2027-03-31"):
        parse_expiry(text, START)
