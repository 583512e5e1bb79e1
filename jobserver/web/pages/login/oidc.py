"""Logging in with OpenID Connect, and connecting an account to it."""

from collections.abc import Mapping
from hmac import compare_digest

import orjson
from bottle import HTTPResponse, request

from jobserver.domain.accounts import WelcomeOidcUser, oidc_account
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.users import BindOidcUser, User
from jobserver.errors import forbidden, not_found
from jobserver.service.accounts.oidc import LoginAttempt, OidcLogin, OidcPerson
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.login.login import Login, printable_name
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.site import Site

_NOTE = "oidc"  # the signed cookie
_EXPIRED = "this login has expired: start again from the login page"


class OidcPages:
    """``connect`` and ``disconnect`` answer forms of the page Settings."""

    def __init__(self, site: Site, login: Login) -> None:
        self._site, self._login, self._services = site, login, site.services
        site.add("/login/oidc/", self.to_provider, is_open=True)
        site.add("/login/oidc/callback/", self.from_provider, is_open=True)
        site.add("/login/oidc/logout/", self.log_out, is_open=True)

    def to_provider(self, context: PageContext) -> HTTPResponse:
        self._login.slow_down()
        attempt = self._provider.begin()
        reply = HTTPResponse(b"", 303, {"Location": attempt.url, "Cache-Control": "no-store"})
        self._remember(reply, attempt, "")
        return reply

    def from_provider(self, context: PageContext) -> HTTPResponse:
        note = self._services.sessions.recall(_NOTE)
        attempt: Mapping[str, str] = orjson.loads(note) if note else {}
        answer = {key: request.query.getunicode(key) or "" for key in request.query}
        if not attempt or not compare_digest(answer.get("state", "").encode(), attempt["state"].encode()):
            self._login.failed()
            raise forbidden(_EXPIRED)
        person = self._provider.finish(answer, attempt["nonce"], attempt["verifier"])
        if attempt["connect"]:
            return self._connected(context, attempt["connect"], person)
        return self._login.logged_in(self._account(person), oidc_id=person.oidc_id)

    def log_out(self, context: PageContext) -> HTTPResponse:
        """Also of the provider, which would otherwise let the next person at this computer in."""
        url = self._provider.logout_url(f"{self._services.options.base_url}/login/")
        if not url:
            raise not_found(f"{self._provider.name} has no page for logging out")
        return HTTPResponse(b"", 303, {"Location": url, "Cache-Control": "no-store"})

    # Connecting an account

    def connect(self, context: PageContext) -> HTTPResponse:
        """A page with a link: browsers let no form of ours lead to another site, and no other site may connect an
        account here to itself."""
        attempt, name = self._provider.begin(), self._provider.name
        reply = self._site.page(context, "people/connect.html", title=f"Connect {name}", url=attempt.url)
        self._remember(reply, attempt, context.actor.name)
        return reply

    def disconnect(self, context: PageContext) -> HTTPResponse:
        self._services.gate.submit(context.actor, BindOidcUser(context.actor.name, None), "web")
        return redirect("/settings/")

    def _connected(self, context: PageContext, username: str, person: OidcPerson) -> HTTPResponse:
        if context.user is None or context.user.username != username:
            raise forbidden(_EXPIRED)
        for user in context.directory.users.values():
            if user.oidc_id == person.oidc_id and user.username != username:
                raise forbidden(f"you are connected to the account {user.username} here: disconnect that one first")
        self._services.gate.submit(context.actor, BindOidcUser(username, person.oidc_id), "oidc")
        return redirect("/settings/")

    # Helpers

    @property
    def _provider(self) -> OidcLogin:
        """Raises `Error` (not_found) without OIDC_ISSUER."""
        if self._services.oidc is None:
            raise not_found("this server does not use OpenID Connect to log in: ask an administrator for a login link")
        return self._services.oidc

    def _remember(self, reply: HTTPResponse, attempt: LoginAttempt, connect: str) -> None:
        """``connect``: the user whose account is to be connected; empty to log in."""
        note = {"state": attempt.state, "nonce": attempt.nonce, "verifier": attempt.verifier, "connect": connect}
        self._services.sessions.remember(reply, _NOTE, orjson.dumps(note).decode())

    def _account(self, person: OidcPerson) -> User:
        """The person's account, which is created at their first login. Raises `Error` (forbidden)."""
        index = self._services.index
        known = oidc_account(index.directory().users.values(), person.oidc_id, person.username)
        if known is not None:
            return known
        command = WelcomeOidcUser(person.username, person.oidc_id, printable_name(person.name))
        username = self._services.gate.submit(SERVER, command, "oidc").changes.result["username"]
        self._login.keep_email(username, person.email)
        user = index.directory().user(username)
        assert user is not None
        return user
