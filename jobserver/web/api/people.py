"""People: a user's roles and permissions; for SuperUsers, all users; the caller's own settings."""

from typing import Any

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor, granted
from jobserver.domain.members import Member
from jobserver.domain.plan import Command
from jobserver.domain.tokens import Scope
from jobserver.domain.users import (
    AddUser,
    ChangeUser,
    DisableUser,
    EnableUser,
    RevokeUserToken,
    SetUserRoles,
    User,
    sees_all_users,
)
from jobserver.errors import forbidden, invalid, not_found
from jobserver.index.items import time_text
from jobserver.index.queries.requests import find_row
from jobserver.service.accounts.private_store import check_email
from jobserver.service.notify.subscriptions import EmailChoice
from jobserver.web import http
from jobserver.web.api import lists
from jobserver.web.api.common import Keys, person_of
from jobserver.web.api.fields import MAX_BACKENDS
from jobserver.web.services import Services

_MOST = 1000  # pins or views in a body
USER_FILTERS = ("active", *lists.PAGING)


class PeopleApi:
    def __init__(self, services: Services, keys: Keys) -> None:
        self._index, self._gate, self._private = services.index, services.gate, services.private
        self._base_url, self._keys = services.options.base_url, keys
        self._subscriptions, self._visible = services.subscriptions, services.visible
        self._preferences = services.preferences

    def users(self, actor: Actor) -> HTTPResponse:
        directory = self._index.directory()
        if not sees_all_users(directory, person_of(directory, actor)):
            raise forbidden("Only people who manage accounts or may view everything can list the users")
        active = lists.flag("active")
        users = ((name, user) for name, user in directory.users.items() if active in (None, user.active))
        return lists.page_of(self._base_url, users, _item)

    def add(self, actor: Actor) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        username, name, roles = fields.text("username"), fields.text("name", None), fields.roles("roles", default=[])
        github_id = fields.number("github_id")
        fields.done()
        written = self._gate.submit(actor, AddUser(username, name or "", roles, github_id), "http", key)
        self._private.forget(username)
        headers = {"Location": f"{self._base_url}/api/v2/users/{username}/"}
        return http.written(_item(self._find(username)), written.commit, 201, headers)

    def edit(self, actor: Actor, username: str) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        roles, active = fields.roles("roles", default=[]), fields.flag("active", None)
        values = {
            "backends": fields.texts("backends", MAX_BACKENDS, default=None) or None,
            "trained_until": fields.text("trained_until", None),
        }
        values = {key: value for key, value in values.items() if fields.has(key)}
        if values:
            fields.none_of(("roles", "active"), f"can't change together with {' or '.join(values)}")
        fields.done()
        if values:
            command: Command = ChangeUser(username, values)
        elif fields.has("roles"):
            command = SetUserRoles(username, roles, active)
        elif active is not None:
            command = EnableUser(username) if active else DisableUser(username)
        else:
            raise invalid("expected roles, active or both, or limits: backends, trained_until", "non_field_errors")
        written = self._gate.submit(actor, command, "http", key)
        return http.written(_item(self._find(username)), written.commit)

    def user(self, _: Actor, username: str) -> HTTPResponse:
        """In the shape of job-server."""
        directory = self._index.directory()
        user = self._find(username)
        active = user.active

        def within(members: tuple[Member, ...]) -> tuple[list[str], list[str]]:
            roles = [role for member in members if member.username == username for role in member.roles]
            return sorted(roles) if active else [], sorted(granted(roles)) if active else []

        orgs = [(slug, within(org.members)) for slug, org in directory.orgs.items() if _in(org.members, username)]
        # Two organisations may have projects with the same slug: the list has both.
        projects = [
            ({"slug": project.slug, "org": project.org}, within(project.members))
            for project in directory.projects.values()
            if _in(project.members, username)
        ]
        projects.sort(key=lambda project: project[0]["slug"])
        return http.answer(
            {"username": username, "name": user.name, "active": active}
            | {
                kind: {
                    "global": sorted(granted(user.roles) if kind == "permissions" else user.roles) if active else [],
                    "orgs": [{"slug": slug, kind: lists[number]} for slug, lists in orgs],
                    "projects": [{**project, kind: lists[number]} for project, lists in projects],
                }
                for number, kind in enumerate(("roles", "permissions"))
            }
        )

    # The caller's own settings

    def settings(self, actor: Actor) -> HTTPResponse:
        return http.answer(self._own(actor))

    def save_settings(self, actor: Actor) -> HTTPResponse:
        """Changes only what is not in git, so there is no commit to name."""
        fields, _ = self._keys.fields(actor)
        address, when = fields.text("email", None), fields.text("email_when", None)
        is_given, has_pins = fields.has("email"), fields.has("pinned")
        pinned, views = fields.texts("pinned", _MOST, empty=True, default=[]), fields.named_texts("views", _MOST)
        fields.done()
        if when is not None and when not in set(EmailChoice):
            raise invalid(f"expected one of: {', '.join(EmailChoice)}", "email_when")
        if unknown := [name for name in pinned if self._index.directory().workspace(name) is None]:
            raise invalid(f"Workspace {unknown[0][:100]} does not exist", "pinned")
        address = check_email(address) if address else ""
        if views is not None:  # first, because it refuses what is no query
            self._preferences.replace_views(actor.name, views)
        if is_given:
            self._private.set_email(actor.name, address)
        if when is not None:
            self._subscriptions.choose(actor.name, EmailChoice(when))
        if has_pins:
            self._preferences.replace_pins(actor.name, list(pinned))
        return http.answer(self._own(actor))

    def revoke_token(self, actor: Actor, label: str) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        fields.done()
        written = self._gate.submit(actor, RevokeUserToken(actor.name, label), "http", key)
        return http.written(self._own(actor), written.commit)

    # What the caller follows

    def follow_request(self, actor: Actor, identifier: str) -> HTTPResponse:
        return self._follow(actor, f"request/{self._request(identifier)}", True)

    def unfollow_request(self, actor: Actor, identifier: str) -> HTTPResponse:
        return self._follow(actor, f"request/{self._request(identifier)}", False)

    def follow_workspace(self, actor: Actor, name: str) -> HTTPResponse:
        return self._follow(actor, f"workspace/{self._workspace(name)}", True)

    def unfollow_workspace(self, actor: Actor, name: str) -> HTTPResponse:
        return self._follow(actor, f"workspace/{self._workspace(name)}", False)

    def _follow(self, actor: Actor, subject: str, is_on: bool) -> HTTPResponse:
        """Changes only what is not in git, so there is no commit to name."""
        fields, _ = self._keys.fields(actor)
        fields.done()
        self._subscriptions.follow(actor.name, subject, is_on)
        return http.answer(self._own(actor))

    def _request(self, identifier: str) -> str:
        """Raises `Error` (not_found)."""
        with self._index.view() as sql:
            if find_row(sql, identifier, self._visible.slugs()) is None:
                raise not_found(f"Job request {identifier[:100]} does not exist")
        return identifier

    def _workspace(self, name: str) -> str:
        """Raises `Error` (not_found)."""
        if self._index.directory().workspace(name) is None:
            raise not_found(f"Workspace {name[:100]} does not exist")
        return name

    def _own(self, actor: Actor) -> dict[str, Any]:
        user = person_of(self._index.directory(), actor)
        tokens = [
            {
                "label": token.label,
                "scope": token.scope or Scope.ADMIN,
                "created_at": time_text(token.created_at),
                "expires_at": time_text(token.expires_at),
            }
            for token in user.tokens
        ]
        return {
            **_item(user),
            "email": self._private.email(user.username) or None,
            "email_when": self._subscriptions.choice(user.username),
            "following": self._subscriptions.subjects(user.username),
            "tokens": tokens,
            "pinned": sorted(self._preferences.pinned(user.username)),
            "views": self._preferences.views(user.username),
        }

    def _find(self, username: str) -> User:
        """Raises `Error` (not_found)."""
        user = self._index.directory().user(username)
        if user is None:
            raise not_found(f"User {username} does not exist")
        return user


def _item(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "name": user.name,
        "active": user.active,
        "roles": sorted(user.roles),
        "backends": user.backends,
        "trained_until": user.trained_until,
    }


def _in(members: tuple[Member, ...], username: str) -> bool:
    return any(member.username == username for member in members)
