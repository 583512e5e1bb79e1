"""A person's settings, and what they follow; for SuperUsers, people and their roles."""

import logging

from bottle import HTTPResponse

from jobserver.domain.base.permissions import ADMIN_ROLES, GLOBAL_ROLES, Permission, Role
from jobserver.domain.tokens import Scope
from jobserver.domain.users import AddUser, AddUserToken, RevokeUserToken, SetUserRoles
from jobserver.errors import invalid, not_found
from jobserver.index.queries.requests import find_request
from jobserver.service.accounts.one_time import OneTimeTokens
from jobserver.service.accounts.private_store import check_email
from jobserver.service.accounts.tokens import new_token, parse_expiry
from jobserver.service.notify.subscriptions import EmailChoice
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import roles, text, unknown_button
from jobserver.web.pages.login.oidc import OidcPages
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import limits
from jobserver.web.pages.views.following import followed

_log = logging.getLogger(__name__)
_DONE = {"email": "Saved.", "revoke": "Revoked the token."}


class People:
    def __init__(self, site: Site, oidc: OidcPages) -> None:
        self._site, self._services, self._oidc = site, site.services, oidc
        services = site.services
        self._one_time = OneTimeTokens(services.options.secret_key, services.gate, services.index, services.private)
        site.add("/settings/", self.settings, self.save)
        site.add("/job-requests/<identifier>/follow/", post=self.follow_request)
        site.add("/<name>/follow/", post=self.follow_workspace)
        site.add("/users/", self.users, self.add_user, filters=())
        site.add("/users/<username>/", self.user, self.save_user)

    # A person's own settings

    def settings(self, context: PageContext) -> HTTPResponse:
        username = context.actor.name
        new_secret, kind = self._services.new_secrets.take(context.session)
        reply = self._site.page(
            context,
            "people/settings.html",
            title="Settings",
            email=self._services.private.email(username),
            email_choice=self._services.subscriptions.choice(username),
            followed=[followed(subject) for subject in self._services.subscriptions.subjects(username)],
            uses=self._services.private.token_uses(),
            new_secret=new_secret if not kind else "",
            new_words=new_secret if kind else "",
        )
        return self._services.new_secrets.forget(reply) if new_secret else reply

    def save(self, context: PageContext) -> HTTPResponse:
        username, operation = context.actor.name, text("what")
        if operation == "email":
            address = text("email")
            choice = text("when", 20)
            if choice and choice not in set(EmailChoice):
                raise invalid(f"expected one of: {', '.join(EmailChoice)}", "when")
            self._services.private.set_email(username, check_email(address) if address else "")
            if choice:
                self._services.subscriptions.choose(username, EmailChoice(choice))
        elif operation == "new-token":
            secret, digest = new_token()
            label = text("label", 100) or "from the settings page"
            expires = text("expires", 20)
            expires_at = parse_expiry(expires, self._services.clock()) if expires else None
            command = AddUserToken(username, label, digest, expires_at, _scope())
            self._services.gate.submit(context.actor, command, "web")
            return self._services.new_secrets.lead_to("/settings/", context.session, secret)
        elif operation == "one-time":
            words = self._one_time.create(context.actor, "web")
            return self._services.new_secrets.lead_to("/settings/", context.session, words, "one-time")
        elif operation == "revoke":
            self._services.gate.submit(context.actor, RevokeUserToken(username, text("label", 200)), "web")
        elif operation == "connect":
            return self._oidc.connect(context)
        elif operation == "disconnect":
            return self._oidc.disconnect(context)
        else:
            raise unknown_button()
        return self._site.saved("/settings/", _DONE[operation])

    # What a person follows

    def follow_request(self, context: PageContext, identifier: str) -> HTTPResponse:
        with self._services.index.view() as sql:
            if find_request(sql, identifier, self._services.visible.slugs()) is None:
                raise not_found(f"job request {identifier!r} does not exist")
        return self._follow(context, f"request/{identifier}")

    def follow_workspace(self, context: PageContext, name: str) -> HTTPResponse:
        if context.directory.workspace(name) is None:
            raise not_found(f"workspace {name!r} does not exist")
        return self._follow(context, f"workspace/{name}")

    def _follow(self, context: PageContext, subject: str) -> HTTPResponse:
        is_on = bool(text("on"))
        self._services.subscriptions.follow(context.actor.name, subject, is_on)
        page = "/settings/" if text("from") == "settings" else followed(subject)[2]
        return self._site.saved(page, "You follow this." if is_on else "You no longer follow this.")

    # People, for SuperUsers and ServiceAdministrators

    def users(self, context: PageContext) -> HTTPResponse:
        context.check_service(Permission.MANAGE_USERS)
        return self._site.page(context, "people/users.html", title="People", roles=_roles_to_give(context))

    def add_user(self, context: PageContext) -> HTTPResponse:
        command = AddUser(text("username"), text("name", 200), roles(), _number("github_id"))
        self._services.gate.submit(context.actor, command, "web")
        self._services.private.forget(command.username)
        return self._site.saved("/users/", f"Added {command.username}.")

    def user(self, context: PageContext, username: str) -> HTTPResponse:
        context.check_service(Permission.MANAGE_USERS)
        user = context.directory.user(username)
        if user is None:
            raise not_found(f"user {username!r} does not exist")
        return self._site.page(
            context,
            "people/user.html",
            title=f"People · {username}",
            person=user,
            roles=_roles_to_give(context),
            **limits.person_form(context, user),
        )

    def save_user(self, context: PageContext, username: str) -> HTTPResponse:
        if text("what") == "seen":
            context.check_admin()
            self._services.private.set_notice(username, "")
            return self._site.saved(f"/users/{username}/")
        is_limits = text("what") == "limits"
        active = bool(text("active"))
        command = limits.person_command(username) if is_limits else SetUserRoles(username, roles(), active)
        self._services.gate.submit(context.actor, command, "web")
        return self._site.saved(f"/users/{username}/")


def _roles_to_give(context: PageContext) -> list[Role]:
    return sorted(GLOBAL_ROLES if context.is_admin else GLOBAL_ROLES - ADMIN_ROLES)


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
