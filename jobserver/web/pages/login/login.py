"""The login page, one-time links, and logging out. Shares with the other ways to log in what is the same for all."""

import logging

from bottle import HTTPResponse

from jobserver.domain.users import User
from jobserver.errors import Code, Error, forbidden, too_many
from jobserver.service.accounts.private_store import check_email
from jobserver.service.accounts.tokens import epoch
from jobserver.web.clients import Limit
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text
from jobserver.web.pages.kept_forms import PARAMETER
from jobserver.web.pages.redirects import local, redirect
from jobserver.web.pages.site import Site

_log = logging.getLogger(__name__)
_NEXT_SECONDS = 3600  # to get a login link from an administrator
# Why a link does not work -> the page's title and status
_LINK_FAULTS = {
    "used": ("This login link has been used", 410),
    "expired": ("This login link has expired", 410),
    "ended": ("This login link does not work any more", 410),
    "": ("This is not a login link of this server", 404),
}


class Login:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        self._limit = Limit(most=10, seconds=60)
        site.add("/login/", self.login, is_open=True)
        site.add("/login/link/<token>/", self.link, self.use_link, is_open=True)
        site.add("/logout/", post=self.logout, is_open=True)

    def login(self, context: PageContext) -> HTTPResponse:
        target = local(text("next") or "/")
        if context.user is not None:
            return redirect(target)
        reply = self._site.page(
            context,
            "people/login.html",
            title="Log in",
            has_github=self._services.identity is not None,
            github_org=self._services.studies.github_org,
            is_kept=f"?{PARAMETER}=" in target,
        )
        self._services.sessions.remember(reply, "next", target, _NEXT_SECONDS)
        return reply

    def link(self, context: PageContext, token: str) -> HTTPResponse:
        """Only shows a button: mail scanners open links, and a link works once."""
        self.slow_down()
        owner = self._services.sessions.link_owner(token)
        if owner is None:
            return self._link_gone(context, token)
        return self._site.page(context, "people/login_link.html", title="Log in", owner=owner.username)

    def use_link(self, context: PageContext, token: str) -> HTTPResponse:
        self.slow_down()
        owner = self._services.sessions.use_link(token)
        user = self._services.index.directory().user(owner.username) if owner else None
        if user is None:
            return self._link_gone(context, token)
        return self.logged_in(user)

    def _link_gone(self, context: PageContext, token: str) -> HTTPResponse:
        """Says why a link does not work, and how to get another one."""
        fault = self._services.sessions.link_fault(token)
        if not fault:
            self.failed()
        title, status = _LINK_FAULTS[fault]
        has_github = self._services.identity is not None
        return self._site.page(
            context, "people/login_link_gone.html", status, title=title, fault=fault, has_github=has_github
        )

    def logout(self, context: PageContext) -> HTTPResponse:
        reply = redirect("/login/")
        self._services.sessions.end(reply, context.session)
        return reply

    # For every way to log in

    def logged_in(self, user: User, github_id: int | None = None, oidc_id: str = "") -> HTTPResponse:
        """Begins a session, and leads to the page that the person wanted. Raises `Error` (forbidden) if the account is
        disabled."""
        if not user.active:
            raise forbidden(f"the account {user.username} is disabled: contact an administrator")
        reply = redirect(local(self._services.sessions.recall("next", _NEXT_SECONDS) or "/"))
        self._services.sessions.begin(reply, user.username, epoch(user), github_id, oidc_id)
        return reply

    def keep_email(self, username: str, email: str) -> None:
        """For a new account."""
        private = self._services.private
        private.forget(username)
        try:
            private.set_email(username, email and check_email(email))
        except Error as error:
            if error.code is not Code.INVALID:
                raise
            _log.warning("ignored the email address of the new user %s: %s", username, error)

    def failed(self) -> None:
        """Counts a failed attempt of this client."""
        self._limit.failed(self._services.client())

    def slow_down(self) -> None:
        """Raises `Error` (too_many) after too many failed attempts."""
        if seconds := self._limit.wait(self._services.client()):
            raise too_many("too many failed attempts from your address", seconds)


def printable_name(name: str) -> str:
    """A name that a document can have: people type anything."""
    return "".join(filter(str.isprintable, name))[:200]
