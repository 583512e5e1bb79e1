"""Logging in with GitHub."""

import logging
import secrets

from bottle import HTTPResponse

from jobserver.domain.accounts import WelcomeUser, github_account
from jobserver.domain.base.names import is_username
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.users import User
from jobserver.errors import forbidden, invalid, not_found
from jobserver.service.accounts.github import Person
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text
from jobserver.web.pages.login.login import Login, printable_name
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.site import Site

_log = logging.getLogger(__name__)


class GitHubPages:
    def __init__(self, site: Site, login: Login) -> None:
        self._login, self._services = login, site.services
        self._identity, self._membership = site.services.identity, site.services.membership
        site.add("/login/github/", self.to_github, is_open=True)
        site.add("/login/github/callback/", self.from_github, is_open=True)

    def to_github(self, context: PageContext) -> HTTPResponse:
        if self._identity is None:
            raise not_found("this server does not use GitHub to log in: ask an administrator for a login link")
        self._login.slow_down()
        state = secrets.token_urlsafe(16)
        reply = redirect(self._identity.login_url(state, f"{self._services.options.base_url}/login/github/callback/"))
        self._services.sessions.remember(reply, "state", state)
        return reply

    def from_github(self, context: PageContext) -> HTTPResponse:
        state = self._services.sessions.recall("state")
        if self._identity is None or not state or text("state") != state:
            self._login.failed()
            raise forbidden("this login has expired: start again from the login page")
        person = self._identity.person(text("code"))
        user = self._account(person)
        reply = self._login.logged_in(user, github_id=person.github_id)
        if self._membership is not None:
            self._membership.record_member(person.github_id)
        return reply

    def _account(self, person: Person) -> User:
        """The account of a GitHub user, which is created or bound to them at their first login.

        Raises `Error` (forbidden) if another GitHub user has the account of that name.
        """
        index = self._services.index
        known = github_account(index.directory().users.values(), person.github_id, person.login)
        if known is not None and (known.github_id is not None or not known.active):
            return known
        if known is None and not is_username(person.login):
            raise invalid(f"the GitHub username {person.login!r} cannot be used on this server")
        command = WelcomeUser(person.login, person.github_id, printable_name(person.name))
        username = self._services.gate.submit(SERVER, command, "github").changes.result["username"]
        if known is None:
            self._login.keep_email(username, person.email)
        else:
            message = f"{username} logged in for the first time, as GitHub user {person.login} (id {person.github_id})"
            _log.warning("%s: the account now belongs to that GitHub user", message)
            self._services.private.set_notice(username, message)
        user = index.directory().user(username)
        assert user is not None
        return user
