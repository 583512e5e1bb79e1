"""Logging in with OpenID Connect: the way there and back, and what a provider may not get away with."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest

from jobserver.domain.accounts import oidc_id
from jobserver.errors import Code, Error
from jobserver.service.accounts import oidc
from jobserver.service.accounts.oidc import OidcLogin, OidcPerson, OidcProvider

from .fake_oidc import CLIENT, SECRET, Claims, Provider, jwk, key, provider, signed

BACK = "https://jobs.example/login/oidc/callback/"


@pytest.fixture
def server() -> Iterator[Provider]:
    with provider() as made:
        yield made


def login_at(server: Provider, **values: Any) -> OidcLogin:
    config = {"issuer": server.url, "client_id": CLIENT, "client_secret": SECRET, "name": "Uni", **values}
    return OidcLogin(OidcProvider(**config), BACK)


def person(server: Provider, subject: str = "sub-dora", **values: Any) -> OidcPerson:
    login = login_at(server, **values)
    attempt = login.begin()
    return login.finish(server.authorize(attempt.url, subject), attempt.nonce, attempt.verifier)


def refusal(server: Provider, **values: Any) -> Error:
    with pytest.raises(Error) as caught:
        person(server, **values)
    return caught.value


def test_who_somebody_is(server: Provider) -> None:
    server.people["sub-dora"] |= {"email": "dora@example.org", "email_verified": True}
    expected = OidcPerson(oidc_id(server.url, "sub-dora"), "dora", "Dora D", "dora@example.org")
    assert person(server) == expected
    server.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert person(server) == expected
    del server.metadata["userinfo_endpoint"]  # then the ID token has everything
    server.edit = lambda claims: claims | {"preferred_username": "dora"}
    assert person(server) == OidcPerson(expected.oidc_id, "dora", "", "")


@pytest.mark.parametrize("claim", [{"email": "x@example.org"}, {"email": 7, "email_verified": True}, {"name": None}])
def test_what_is_not_certain_is_left_out(server: Provider, claim: Claims) -> None:
    server.people["sub-dora"] = {"preferred_username": "dora", **claim}
    known = person(server)
    assert (known.name, known.email) == ("", "")


@pytest.mark.parametrize(
    ("claims", "username"),
    [
        ({"preferred_username": "alice.ng@nhs.net"}, "alice-ng"),
        ({"preferred_username": "../..", "email": "bob@example.org"}, "bob"),
        ({"preferred_username": "_x_" + "y" * 99}, "x_" + "y" * 62),
        ({"preferred_username": "Zoë Ü"}, "Zo"),
    ],
)
def test_the_username_is_made_of_the_name_there(server: Provider, claims: Claims, username: str) -> None:
    server.people["sub-dora"] = claims
    assert person(server).username == username


@pytest.mark.parametrize("claims", [{}, {"preferred_username": ["dora"]}, {"preferred_username": "李"}])
def test_a_person_without_a_usable_name_is_sent_to_an_administrator(server: Provider, claims: Claims) -> None:
    server.people["sub-dora"] = claims
    error = refusal(server)
    assert (error.code, "ask an administrator to add your account" in error.message) == (Code.INVALID, True)


def test_only_a_group_is_let_in(server: Provider) -> None:
    for groups, is_in in ((["a", "jobs"], True), ("jobs", True), (["a"], False), ({"jobs": 1}, False), (None, False)):
        server.people["sub-dora"]["groups"] = groups
        if is_in:
            assert person(server, group="jobs").username == "dora"
        else:
            assert "your account at Uni is not in the group jobs" in refusal(server, group="jobs").message
    server.people["sub-dora"]["roles"] = ["jobs"]
    assert person(server, group="jobs", claim="roles").username == "dora"


def parts(header: Claims, claims: Claims, signature: str = "") -> str:
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*encoded, signature])


def with_public_key(claims: Claims) -> str:
    """Signed with HS256 and the public key as the secret, which everybody knows."""
    public = json.dumps(jwk("first")).encode()
    content = parts({"alg": "HS256", "kid": "first"}, claims).rstrip(".")
    digest = hmac.digest(public, content.encode(), "sha256")
    return f"{content}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "sign",
    [
        lambda claims: parts({"alg": "none"}, claims),
        lambda claims: parts({"alg": "none", "kid": "first"}, claims, "x"),
        lambda claims: parts({"alg": "RS256", "kid": "first"}, claims),
        with_public_key,
        lambda claims: signed(claims, "other"),  # an unknown key
        lambda claims: jwt.encode(claims, key("other"), "RS256", {"kid": "first"}),
        lambda claims: jwt.encode(claims, key("other"), "RS256", {"kid": "first", "jwk": jwk("other")}),
        lambda claims: signed(claims | {"sub": "sub-root"})[:-6] + "AAAAAA",
        lambda claims: "no token",
        lambda claims: "",
        lambda claims: parts({"alg": ["RS256"]}, claims),
        lambda claims: parts({"alg": "RS256", "kid": 7}, claims),
    ],
)
def test_a_forged_signature_proves_nothing(server: Provider, sign: Callable[[Claims], str]) -> None:
    server.sign = sign
    error = refusal(server)
    assert error.code is Code.FORBIDDEN
    assert error.message == "Uni did not prove who you are, because its ID token can't be verified"


def without(name: str) -> Callable[[Claims], Claims]:
    return lambda claims: {claim: value for claim, value in claims.items() if claim != name}


def edited(**values: Any) -> Callable[[Claims], Claims]:
    return lambda claims: claims | values


NOW = int(time.time())


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (edited(nonce="another"), "its ID token is for another login"),
        (without("nonce"), "its ID token is for another login"),
        (edited(aud="other"), "its ID token is for another application: check OIDC_CLIENT_ID"),
        (edited(aud=["other"]), "its ID token is for another application: check OIDC_CLIENT_ID"),
        (edited(aud=[CLIENT, "other"]), "its ID token is for another application: check OIDC_CLIENT_ID"),
        (edited(azp="other"), "its ID token is for another application: check OIDC_CLIENT_ID"),
        (edited(iss="https://other.example"), "its ID token is from another provider: check OIDC_ISSUER"),
        (edited(exp=NOW - 3600), "its ID token is not valid at this time: the clock of this server or of the provider"),
        (edited(iat=NOW + 3600), "its ID token is not valid at this time: the clock of this server or of the provider"),
        (edited(nbf=NOW + 3600), "its ID token is not valid at this time: the clock of this server or of the provider"),
        *((without(name), f"its ID token has no {name}") for name in ("iss", "sub", "aud", "exp", "iat")),
        (edited(sub=""), "its ID token has no sub"),
        (edited(sub="sub-root"), "the details that it sent are another person's"),
    ],
)
def test_a_token_for_something_else_proves_nothing(
    server: Provider, edit: Callable[[Claims], Claims], reason: str
) -> None:
    server.edit = edit
    answer = server.answer
    server.answer = lambda path, form, authorization: (  # type: ignore[method-assign]
        (200, {"sub": "sub-dora"}) if path == "/userinfo" else answer(path, form, authorization)
    )
    error = refusal(server)
    assert error.code is Code.FORBIDDEN
    assert error.message.startswith(f"Uni did not prove who you are, because {reason}")


def test_a_small_difference_of_clocks_does_not_matter(server: Provider) -> None:
    server.edit = edited(iat=int(time.time()) + 30, exp=int(time.time()) - 30)
    assert person(server).username == "dora"


def test_a_list_of_this_application_alone_is_fine(server: Provider) -> None:
    server.edit = edited(aud=[CLIENT])
    assert person(server).username == "dora"
    server.edit = edited(aud=[CLIENT, "other"], azp=CLIENT)
    assert person(server).username == "dora"


def test_new_keys_of_the_provider_are_used(server: Provider) -> None:
    login = login_at(server)
    for name in ("first", "second"):
        server.keys, server.sign = (
            [{"kty": "odd", "kid": name}, "odd", jwk(name)],
            lambda claims, by=name: signed(claims, by),
        )  # type: ignore[list-item,misc]
        attempt = login.begin()
        assert login.finish(server.authorize(attempt.url, "sub-dora"), attempt.nonce, attempt.verifier)


def test_a_code_works_once_and_with_its_verifier_only(server: Provider) -> None:
    login = login_at(server)
    attempt = login.begin()
    answer = server.authorize(attempt.url, "sub-dora")
    with pytest.raises(Error, match=r"Uni refused the login: it answered 400 \(invalid_grant\) at /token"):
        login.finish(answer, attempt.nonce, login.begin().verifier)
    with pytest.raises(Error, match="invalid_grant"):
        login.finish(answer, attempt.nonce, attempt.verifier)


def test_an_answer_of_another_provider_is_refused(server: Provider) -> None:
    login = login_at(server)
    attempt = login.begin()
    answer = server.authorize(attempt.url, "sub-dora") | {"iss": "https://other.example"}
    with pytest.raises(Error, match="this login is not from Uni"):
        login.finish(answer, attempt.nonce, attempt.verifier)


@pytest.mark.parametrize(
    ("code", "shown"), [("access_denied", "Uni refused the login (access_denied)"), ("<b>", "Uni refused the login:")]
)
def test_a_refusal_of_the_provider_is_named(server: Provider, code: str, shown: str) -> None:
    with pytest.raises(Error) as caught:
        login_at(server).finish({"error": code, "error_description": "<script>"}, "", "")
    assert caught.value.code is Code.FORBIDDEN
    assert shown in caught.value.message
    assert "<" not in caught.value.message


DISCOVERY = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("path", "status", "body", "code", "message"),
    [
        (DISCOVERY, 503, b"", Code.UNAVAILABLE, f"Uni answered 503 at {DISCOVERY}: try again"),
        (DISCOVERY, 200, b"<html>", Code.UNAVAILABLE, f"Uni answered 200 at {DISCOVERY}: try again"),
        (DISCOVERY, 200, b"[]", Code.UNAVAILABLE, f"Uni answered 200 at {DISCOVERY}: try again"),
        ("/token", 500, b"{}", Code.UNAVAILABLE, "Uni answered 500 at /token: try again"),
        ("/token", 200, b"{}", Code.FORBIDDEN, "its ID token can't be verified"),
        ("/jwks", 404, b"{}", Code.UNAVAILABLE, "Uni answered 404 at /jwks: try again"),
        ("/jwks", 200, b'{"keys": 1}', Code.FORBIDDEN, "its ID token can't be verified"),
        ("/userinfo", 401, b"{}", Code.FORBIDDEN, "Uni refused the login: it answered 401 at /userinfo"),
        ("/userinfo", 200, b"{}", Code.FORBIDDEN, "the details that it sent are another person's"),
    ],
)
def test_what_does_not_work_is_named(
    server: Provider, path: str, status: int, body: bytes, code: Code, message: str
) -> None:
    server.broken[path] = status, body
    error = refusal(server)
    assert (error.code, message in error.message) == (code, True), error.message


def test_settings_that_do_not_fit_are_named(server: Provider) -> None:
    assert "401 (invalid_client) at /token" in refusal(server, client_secret="wrong").message
    assert "OIDC_ISSUER is not what Uni calls itself" in refusal(server, issuer=f"{server.url}/").message
    server.metadata["token_endpoint"] = "ftp://127.0.0.1/token"
    assert "Uni has no token_endpoint with https: check OIDC_ISSUER" in refusal(server).message
    del server.metadata["authorization_endpoint"]
    assert "Uni has no authorization_endpoint with https: check OIDC_ISSUER" in refusal(server).message


def test_a_provider_that_is_down_or_silent(server: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = login_at(server, issuer="http://127.0.0.1:1")
    with pytest.raises(Error, match=r"Uni can't be reached \(ConnectError\): try again") as caught:
        closed.begin()
    assert caught.value.code is Code.UNAVAILABLE
    monkeypatch.setattr(oidc, "_SECONDS", 0.1)
    monkeypatch.setattr(httpx, "request", lambda *_, **__: time.sleep(0.5))
    with pytest.raises(Error, match="Uni did not answer: try again, or ask for a login link") as caught:
        login_at(server).begin()
    assert caught.value.code is Code.UNAVAILABLE


def test_where_to_log_out(server: Provider) -> None:
    back = "https://jobs.example/login/"
    url = login_at(server).logout_url(back)
    assert url == f"{server.url}/end?client_id=jobs&post_logout_redirect_uri=https%3A%2F%2Fjobs.example%2Flogin%2F"
    del server.metadata["end_session_endpoint"]
    assert login_at(server).logout_url(back) == ""
