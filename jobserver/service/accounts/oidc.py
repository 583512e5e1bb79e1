"""Who somebody is, by OpenID Connect: the authorization code flow with PKCE, against one provider.

Formats: OpenID Connect Core 1.0 (sections 3.1 and 5.3), OpenID Connect Discovery 1.0, RFC 7636 (PKCE), RFC 9207
(``iss`` in the answer). PyJWT verifies ID tokens.
"""

import base64
import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

from jobserver.domain.accounts import oidc_id
from jobserver.domain.base.names import is_username
from jobserver.errors import Error, forbidden, invalid, unavailable
from jobserver.service import tls
from jobserver.service.studies.deadline import DeadlineRunner

if TYPE_CHECKING:
    import jwt

T = TypeVar("T")
_log = logging.getLogger(__name__)
_SECONDS = 10.0  # for one login: up to four calls
_KNOWN_SECONDS = 3600.0  # how long the provider's metadata counts
_LEEWAY = 60  # seconds that two clocks may differ
# Signatures by the provider's own key. Never `none`, and never HS256: a public key must not become its secret.
_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_CODE = re.compile(r"[a-z_]{1,40}")  # of an error, RFC 6749 section 4.1.2.1
_NOT_IN_USERNAMES = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcProvider:
    """``name``: the provider's name for people. ``group``: what the claim ``claim`` must contain; empty for nothing."""

    issuer: str
    client_id: str
    client_secret: str
    name: str
    scopes: str = "openid profile email"
    claim: str = "groups"
    group: str = ""


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """What the browser keeps while its person is at the provider. ``url``: where the browser goes."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class OidcPerson:
    """As the provider has them. ``username`` is made from their name there. ``name`` and ``email`` may be empty."""

    oidc_id: str
    username: str
    name: str
    email: str


class OidcLogin:
    """Thread-safe."""

    def __init__(self, config: OidcProvider, callback: str) -> None:
        """``callback``: the URL of this server that the provider sends people back to."""
        self._config, self._callback = config, callback
        self.name = config.name
        self._within = DeadlineRunner()
        self._metadata: tuple[float, dict[str, Any]] | None = None

    def oidc_id(self, subject: str) -> str:
        """The `accounts.oidc_id` of a person with this subject at the provider."""
        return oidc_id(self._config.issuer, subject)

    def begin(self) -> LoginAttempt:
        """Raises `Error` (unavailable) if the provider does not answer."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._config.client_id,
            "redirect_uri": self._callback,
            "scope": self._config.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._timely(lambda: self._endpoint("authorization_endpoint"))
        return LoginAttempt(_with_query(endpoint, query), state, nonce, verifier)

    def logout_url(self, back: str) -> str:
        """Where people log out of the provider; empty if it has no such page. ``back``: where it sends them afterwards.

        OpenID Connect RP-Initiated Logout 1.0. Raises `Error` (unavailable).
        """
        endpoint = self._timely(lambda: str(self._known_metadata().get("end_session_endpoint", "")))
        query = {"client_id": self._config.client_id, "post_logout_redirect_uri": back}
        return _with_query(endpoint, query) if endpoint else ""

    def finish(self, answer: Mapping[str, str], nonce: str, verifier: str) -> OidcPerson:
        """The person, from the query parameters that the provider sent the browser back with.

        Raises `Error`: forbidden if the provider, or an ID token that is not valid, lets nobody in; unavailable if the
        provider does not answer.
        """
        if code := answer.get("error", ""):
            _log.warning("OpenID Connect: %s refused a login: %r", self.name, code[:100])
            raise forbidden(f"{self.name} refused the login{f' ({code})' if _CODE.fullmatch(code) else ''}: try again")
        if answer.get("iss", self._config.issuer) != self._config.issuer:
            raise forbidden(f"this login is not from {self.name}: start again from the login page")
        return self._timely(lambda: self._person(answer.get("code", ""), nonce, verifier))

    def _timely(self, work: Callable[[], T]) -> T:
        try:
            return self._within(monotonic() + _SECONDS, work)
        except TimeoutError:
            raise unavailable(f"{self.name} did not answer: try again, or ask for a login link") from None

    def _person(self, code: str, nonce: str, verifier: str) -> OidcPerson:
        tokens = self._tokens(code, verifier)
        claims = self._verified(str(tokens.get("id_token", "")), nonce)
        if self._known_metadata().get("userinfo_endpoint"):
            claims = self._userinfo(str(tokens.get("access_token", "")), claims["sub"]) | claims
        config = self._config
        if config.group and config.group not in _texts(claims.get(config.claim)):
            raise forbidden(f"your account at {self.name} is not in the group {config.group}: ask its administrators")
        email = claims.get("email") if claims.get("email_verified") is True else ""
        return OidcPerson(self.oidc_id(claims["sub"]), self._username(claims), _text(claims.get("name")), _text(email))

    # The provider's answers

    def _tokens(self, code: str, verifier: str) -> dict[str, Any]:
        config = self._config
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": verifier,
        }
        authentication: tuple[str, str] | None = None
        methods = self._known_metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in methods:  # RFC 6749 section 2.3.1: both encoded as in a form
            authentication = quote_plus(config.client_id), quote_plus(config.client_secret)
        else:
            form |= {"client_id": config.client_id, "client_secret": config.client_secret}
        return self._call("POST", self._endpoint("token_endpoint"), data=form, auth=authentication)

    def _userinfo(self, access_token: str, subject: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {access_token}"}
        claims = self._call("GET", self._endpoint("userinfo_endpoint"), headers=headers)
        if claims.get("sub") != subject:  # Core 5.3.2
            raise self._not_valid("the details that it sent are another person's")
        return claims

    def _call(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """The JSON object of an answer. Raises `Error`: forbidden for a refusal (400 to 403), else unavailable."""
        import httpx  # takes long to import

        path = urlsplit(url).path
        try:
            answer = httpx.request(method, url, timeout=_SECONDS, verify=tls.context(), **options)
            content = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _log.warning("OpenID Connect: %s: %s", url, error)
            raise unavailable(f"{self.name} can't be reached ({type(error).__name__}): try again") from None
        except ValueError:
            content = None
        if answer.is_success and isinstance(content, dict):
            return content
        code = str(content.get("error", "")) if isinstance(content, dict) else ""
        _log.warning("OpenID Connect: %s %s: %s %r", method, url, answer.status_code, code[:100])
        reason = f"answered {answer.status_code}{f' ({code})' if _CODE.fullmatch(code) else ''} at {path}"
        if answer.status_code in (400, 401, 403):
            raise forbidden(f"{self.name} refused the login: it {reason}. Start again from the login page")
        raise unavailable(f"{self.name} {reason}: try again")

    # What the provider says of itself

    def _endpoint(self, key: str) -> str:
        """Raises `Error` (unavailable)."""
        url = self._known_metadata().get(key)
        if not isinstance(url, str) or urlsplit(url).scheme not in ("https", urlsplit(self._config.issuer).scheme):
            raise unavailable(f"{self.name} has no {key} with https: check OIDC_ISSUER")
        return url

    def _known_metadata(self) -> dict[str, Any]:
        known = self._metadata
        if known is not None and monotonic() - known[0] < _KNOWN_SECONDS:
            return known[1]
        issuer = self._config.issuer
        metadata = self._call("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if metadata.get("issuer") != issuer:  # Discovery 4.3: exactly, also the slash at the end
            _log.error("OIDC_ISSUER is %s, but the provider calls itself %r", issuer, metadata.get("issuer"))
            raise unavailable(f"OIDC_ISSUER is not what {self.name} calls itself: an administrator must correct it")
        self._metadata = monotonic(), metadata
        return metadata

    # The ID token

    def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of the ID token (Core 3.1.3.7). Raises `Error` (forbidden) if the token is not valid."""
        import jwt

        client_id = self._config.client_id
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key(token),
                algorithms=sorted(_ALGORITHMS),
                audience=client_id,
                issuer=self._config.issuer,
                leeway=_LEEWAY,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            _log.warning("OpenID Connect: ID token of %s: %s", self.name, error)
            reason = "is not valid at this time: the clock of this server or of the provider is wrong"
            raise self._not_valid(f"its ID token {reason}") from None
        except jwt.InvalidAudienceError:
            raise self._not_valid("its ID token is for another application: check OIDC_CLIENT_ID") from None
        except jwt.InvalidIssuerError:
            raise self._not_valid("its ID token is from another provider: check OIDC_ISSUER") from None
        except jwt.MissingRequiredClaimError as error:
            raise self._not_valid(f"its ID token has no {error.claim}") from None
        except jwt.PyJWTError as error:
            _log.warning("OpenID Connect: ID token of %s: %s", self.name, error)
            raise self._not_valid("its ID token can't be verified") from None
        others = claims["aud"] != client_id and claims["aud"] != [client_id]
        if claims.get("azp", None if others else client_id) != client_id:
            raise self._not_valid("its ID token is for another application: check OIDC_CLIENT_ID")
        if not compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise self._not_valid("its ID token is for another login")
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise self._not_valid("its ID token has no sub")
        return claims

    def _key(self, token: str) -> "jwt.PyJWK":
        """The provider's key that the token names. Raises `jwt.PyJWTError`, and `Error`."""
        import jwt

        header = jwt.get_unverified_header(token)
        algorithm, name = str(header.get("alg")), header.get("kid")
        if algorithm not in _ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        keys = self._call("GET", self._endpoint("jwks_uri")).get("keys")
        for jwk in filter(_is_object, keys if isinstance(keys, list) else []):
            is_named = name is None or jwk.get("kid") == name
            if is_named and jwk.get("use", "sig") == "sig" and jwk.get("alg", algorithm) == algorithm:
                try:
                    return jwt.PyJWK.from_dict(jwk, algorithm)
                except jwt.PyJWTError:  # a key of another type
                    continue
        raise jwt.InvalidKeyError

    def _not_valid(self, reason: str) -> Error:
        message = f"{self.name} did not prove who you are, because {reason}"
        _log.warning("OpenID Connect: %s", message)
        return forbidden(message)

    def _username(self, claims: Mapping[str, Any]) -> str:
        """From the name or the address at the provider: ``alice.ng@example.org`` becomes ``alice-ng``.

        Raises `Error` (invalid) if neither makes a username.
        """
        for claim in ("preferred_username", "email"):
            local = _text(claims.get(claim)).partition("@")[0]
            username = _NOT_IN_USERNAMES.sub("-", local).strip("-_")[:64]
            if is_username(username):
                return username
        raise invalid(f"{self.name} sent no username that can be used here: ask an administrator to add your account")


def _with_query(endpoint: str, query: Mapping[str, str]) -> str:
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]
