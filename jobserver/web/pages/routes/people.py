"""Logging in (GitHub, one-time links) and out; a person's settings; for SuperUsers, people and their roles."""

import logging
import secrets

from bottle import HTTPResponse

from jobserver.domain.base.names import is_username
from jobserver.domain.base.permissions import GLOBAL_ROLES, SERVER
from jobserver.domain.github_accounts import account_of
from jobserver.domain.tokens import Scope
from jobserver.domain.users import AddUser, AddUserToken, RevokeUserToken, SetUserRoles, User, WelcomeUser
from jobserver.errors import Code, Error, forbidden, invalid, not_found, too_many
from jobserver.service.accounts.github import Person
from jobserver.service.accounts.private_store import check_email
from jobserver.service.accounts.tokens import epoch, new_token, parse_expiry
from jobserver.web.clients import Limit
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import roles, text
from jobserver.web.pages.redirects import local, redirect
from jobserver.web.pages.site import Site

_log = logging.getLogger(__name__)
_LINK_EXPIRED = "this login link has expired or has been used: ask an administrator for a new one"


class People:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        self._identity, self._membership = site.services.identity, site.services.membership
        self._limit = Limit(most=10, seconds=60)
        site.add("/login/", self.login, is_open=True)
        site.add("/login/github/", self.to_github, is_open=True)
        site.add("/login/github/callback/", self.from_github, is_open=True)
        site.add("/login/link/<token>/", self.link, self.use_link, is_open=True)
        site.add("/logout/", post=self.logout, is_open=True)
        site.add("/settings/", self.settings, self.save)
        site.add("/users/", self.users, self.add_user, filters=())
        site.add("/users/<username>/", self.user, self.save_user)

    # Logging in

    def login(self, context: PageContext) -> HTTPResponse:
        if context.user is not None:
            return redirect(local(text("next") or "/"))
        reply = self._site.page(context, "people/login.html", title="Log in", has_github=self._identity is not None)
        self._services.sessions.remember(reply, "next", local(text("next") or "/"))
        return reply

    def to_github(self, context: PageContext) -> HTTPResponse:
        if self._identity is None:
            raise not_found("this server does not use GitHub to log in: ask an administrator for a login link")
        self._slow_down()
        state = secrets.token_urlsafe(16)
        reply = redirect(self._identity.login_url(state, f"{self._services.options.base_url}/login/github/callback/"))
        self._services.sessions.remember(reply, "state", state)
        return reply

    def from_github(self, context: PageContext) -> HTTPResponse:
        state = self._services.sessions.recall("state")
        if self._identity is None or not state or text("state") != state:
            self._limit.failed(self._services.client())
            raise forbidden("this login has expired: start again from the login page")
        person = self._identity.person(text("code"))
        user = self._account(person)
        if not user.active:
            raise forbidden(f"the account {user.username} is disabled: contact an administrator")
        if self._membership is not None:
            self._membership.record_member(person.github_id)
        return self._logged_in(user, person.github_id)

    def _account(self, person: Person) -> User:
        """The account of a GitHub user, which is created or bound to them at their first login.

        Raises `Error` (forbidden) if another GitHub user has the account of that name.
        """
        index = self._services.index
        known = account_of(index.directory().users.values(), person.github_id, person.login)
        if known is not None and (known.github_id is not None or not known.active):
            return known
        if known is None and not is_username(person.login):
            raise invalid(f"the GitHub username {person.login!r} cannot be used on this server")
        name = "".join(filter(str.isprintable, person.name))[:200]  # people type anything
        command = WelcomeUser(person.login, person.github_id, name)
        username = self._services.gate.submit(SERVER, command, "github").changes.result["username"]
        if known is None:
            self._keep_email(username, person.email)
        else:
            message = f"{username} logged in for the first time, as GitHub user {person.login} (id {person.github_id})"
            _log.warning("%s: the account now belongs to that GitHub user", message)
            self._services.private.set_notice(username, message)
        user = index.directory().user(username)
        assert user is not None
        return user

    def _keep_email(self, username: str, email: str) -> None:
        """For a new account. Replaces the address of an earlier account of the same name."""
        private = self._services.private
        try:
            private.set_email(username, email and check_email(email))
        except Error as error:
            if error.code is not Code.INVALID:
                raise
            private.set_email(username, "")
            _log.warning("ignored the email address of %s on GitHub: %s", username, error)

    def link(self, context: PageContext, token: str) -> HTTPResponse:
        """Only shows a button: mail scanners open links, and a link works once."""
        self._slow_down()
        owner = self._services.sessions.link_owner(token)
        if owner is None:
            self._limit.failed(self._services.client())
            raise not_found(_LINK_EXPIRED)
        return self._site.page(context, "people/login_link.html", title="Log in", owner=owner.username)

    def use_link(self, context: PageContext, token: str) -> HTTPResponse:
        self._slow_down()
        owner = self._services.sessions.use_link(token)
        user = self._services.index.directory().user(owner.username) if owner else None
        if user is None:
            self._limit.failed(self._services.client())
            raise not_found(_LINK_EXPIRED)
        return self._logged_in(user)

    def _logged_in(self, user: User, github_id: int | None = None) -> HTTPResponse:
        reply = redirect(local(self._services.sessions.recall("next") or "/"))
        self._services.sessions.begin(reply, user.username, epoch(user), github_id)
        return reply

    def logout(self, context: PageContext) -> HTTPResponse:
        reply = redirect("/login/")
        self._services.sessions.end(reply, context.session)
        return reply

    def _slow_down(self) -> None:
        if seconds := self._limit.wait(self._services.client()):
            raise too_many("too many failed attempts from your address", seconds)

    # A person's own settings

    def settings(self, context: PageContext, new_secret: str = "") -> HTTPResponse:
        username = context.actor.name
        return self._site.page(
            context,
            "people/settings.html",
            title="Settings",
            email=self._services.private.email(username),
            uses=self._services.private.token_uses(),
            new_secret=new_secret,
        )

    def save(self, context: PageContext) -> HTTPResponse:
        username, operation = context.actor.name, text("what")
        if operation == "email":
            address = text("email")
            self._services.private.set_email(username, check_email(address) if address else "")
        elif operation == "new-token":
            secret, digest = new_token()
            label = text("label", 100) or "from the settings page"
            expires = text("expires", 20)
            expires_at = parse_expiry(expires, self._services.clock()) if expires else None
            command = AddUserToken(username, label, digest, expires_at, _scope())
            self._services.gate.submit(context.actor, command, "web")
            return self.settings(self._site.context(), secret)
        elif operation == "revoke":
            self._services.gate.submit(context.actor, RevokeUserToken(username, text("label", 200)), "web")
        else:
            raise invalid("expected email, new-token or revoke", "what")
        return redirect("/settings/")

    # People, for SuperUsers

    def users(self, context: PageContext) -> HTTPResponse:
        context.check_admin()
        return self._site.page(context, "people/users.html", title="People", roles=sorted(GLOBAL_ROLES))

    def add_user(self, context: PageContext) -> HTTPResponse:
        command = AddUser(text("username"), text("name", 200), roles(), _number("github_id"))
        self._services.gate.submit(context.actor, command, "web")
        self._services.private.set_email(command.username, "")  # an earlier account of this name may have left one
        return redirect("/users/")

    def user(self, context: PageContext, username: str) -> HTTPResponse:
        context.check_admin()
        user = context.directory.user(username)
        if user is None:
            raise not_found(f"user {username!r} does not exist")
        return self._site.page(context, "people/user.html", title=username, person=user, roles=sorted(GLOBAL_ROLES))

    def save_user(self, context: PageContext, username: str) -> HTTPResponse:
        if text("what") == "seen":
            context.check_admin()
            self._services.private.set_notice(username, "")
            return redirect(f"/users/{username}/")
        command = SetUserRoles(username, roles(), bool(text("active")))
        self._services.gate.submit(context.actor, command, "web")
        return redirect(f"/users/{username}/")


def _scope() -> Scope | None:
    """The form's scope; None if it has none. Raises `Error` (invalid)."""
    value = text("scope", 20)
    if value and value not in set(Scope):
        raise invalid(f"expected one of: {', '.join(Scope)}", "scope")
    return Scope(value) if value else None


def _number(name: str) -> int | None:
    value = text(name, 20)
    if value and not (value.isascii() and value.isdecimal()):
        raise invalid("expected a whole number, the id of the GitHub user", name)
    return int(value) if value else None
