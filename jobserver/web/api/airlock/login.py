"""Logs people in to Airlock by a one-time token, and says what they may see there."""

from datetime import date
from typing import Any

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor, Permission, Role
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.governance.refusals import check_backend, is_ongoing
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Code, Error, forbidden, not_found
from jobserver.index.directory import Directory
from jobserver.service.accounts.one_time import OneTimeTokens
from jobserver.web import http
from jobserver.web.api.airlock.fields import sent_fields
from jobserver.web.api.common import require_backend
from jobserver.web.clients import Limit
from jobserver.web.services import Services

_GUESSES, _SECONDS = 10, 3600  # of three words among a thousand: fewer than one person in ten million is guessed


class LoginApi:
    """Every refusal of a person is 403: Airlock then says that the user or the token is wrong."""

    def __init__(self, services: Services) -> None:
        self._index, self._clock = services.index, services.clock
        self._tokens = OneTimeTokens(services.options.secret_key, services.gate, services.index, services.private)
        self._limit = Limit(_GUESSES, _SECONDS)

    def authenticate(self, actor: Actor) -> HTTPResponse:
        """Uses the token up."""
        require_backend(actor)
        fields = sent_fields("user", "token")
        person, words = fields.text("user").strip(), fields.text("token")
        fields.done()
        # However a person is written, by name or address: the tries are for their one token.
        people = self._tokens.usernames(person) or [person.lower()]
        if seconds := max(map(self._limit.wait, people)):
            raise forbidden(f"Too many wrong one-time tokens for {person[:100]}: try again in {seconds} s")
        try:
            username, commit = self._tokens.use(person, words, actor.name)
        except Error as error:
            if error.code is Code.FORBIDDEN:
                for username in people:
                    self._limit.failed(username)
            raise
        return http.written(self._level_4_user(username, actor.name), commit)

    def authorise(self, actor: Actor) -> HTTPResponse:
        require_backend(actor)
        fields = sent_fields("user")
        username = fields.text("user")
        fields.done()
        return http.answer(self._level_4_user(username, actor.name))

    def _level_4_user(self, username: str, backend: str) -> dict[str, Any]:
        """Raises `Error`: not_found, or forbidden for a user who is disabled or may not use the backend."""
        directory = self._index.directory()
        user = directory.user(username)
        if user is None:
            raise not_found(f"User {username[:100]} does not exist")
        if not user.active:
            raise forbidden(f"{username} is not an active user")
        check_backend(directory, username, backend)
        return level_4_user(directory, user, self._clock().date())


def level_4_user(directory: Directory, user: User, day: date) -> dict[str, Any]:
    """The person as Airlock knows them. Jobserver has no co-pilots, so ``copiloted_workspaces`` is always empty.

    ``workspaces``: those that the person can ask outputs of, because a role in the project lets them see its outputs.
    Output checkers see all others in Airlock too.
    """
    member_of = {
        name
        for name, project in directory.projects.items()
        if any(member.username == user.username for member in project.members)
        and Permission.CHECK_OUTPUT in permissions_of(directory, user, name)
    }
    workspaces = {
        name: _workspace(directory, workspace, day)
        for name, workspace in directory.workspaces.items()
        if workspace.project in member_of
    }
    return {
        "username": user.username,
        "fullname": user.name or user.username,
        "workspaces": workspaces,
        "copiloted_workspaces": {},
        "output_checker": Role.OUTPUT_CHECKER in user.roles,
        "readonly_access": Role.TECH_SUPPORT in user.roles,
    }


def _workspace(directory: Directory, workspace: Workspace, day: date) -> dict[str, Any]:
    project = directory.project(workspace.project or "")
    org = directory.org(project.org) if project is not None else None
    details = {
        "name": project.name if project is not None else "",
        "ongoing": project is None or is_ongoing(project, day),
        "orgs": [org.name or org.slug] if org is not None else [],
    }
    return {"project_details": details, "archived": workspace.archived}
