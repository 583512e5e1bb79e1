"""Organisations and projects: list, show, add and rename them; members and invitations."""

from typing import Any

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor
from jobserver.domain.governance.analysis_scope import KNOWN, scope_json
from jobserver.domain.governance.project_limits import LIMITS, ChangeProject, ProjectStatus
from jobserver.domain.members import Member
from jobserver.domain.orgs import AddOrg, Org
from jobserver.domain.outputs.approvals import DEFAULT_APPROVALS
from jobserver.domain.plan import Command
from jobserver.domain.projects import (
    AcceptInvitation,
    AddProject,
    CancelInvitation,
    InviteToProject,
    Project,
    RenameProject,
    SetOutputApprovals,
    SetProjectMember,
    manages,
)
from jobserver.domain.users import User
from jobserver.errors import forbidden, not_found
from jobserver.index.items import time_text
from jobserver.service.writes.idempotency import Key
from jobserver.web import http
from jobserver.web.api import lists
from jobserver.web.api.common import Keys, person_of, require_person
from jobserver.web.api.fields import MAX_BACKENDS, Fields
from jobserver.web.services import Services

PROJECT_FILTERS = ("org", "member", *lists.PAGING)
_MOST_INVITED = 200


class ProjectsApi:
    def __init__(self, services: Services, keys: Keys) -> None:
        self._index, self._gate, self._keys = services.index, services.gate, keys
        self._base_url = services.options.base_url

    # Organisations

    def orgs(self, actor: Actor) -> HTTPResponse:
        require_person(actor)
        return lists.page_of(self._base_url, self._index.directory().orgs.items(), _org)

    def org(self, actor: Actor, org: str) -> HTTPResponse:
        require_person(actor)
        return http.answer(_org(self._find_org(org)))

    def add_org(self, actor: Actor) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        slug, name = fields.text("slug"), fields.text("name", None)
        fields.done()
        written = self._gate.submit(actor, AddOrg(slug, name or ""), "http", key)
        return http.written(_org(self._find_org(slug)), written.commit, 201, self._location(f"orgs/{slug}"))

    # Projects

    def projects(self, actor: Actor) -> HTTPResponse:
        directory = self._index.directory()
        user = person_of(directory, actor)
        org, member = lists.named("org", directory.orgs), lists.named("member", directory.users)
        chosen = (
            (name, project)
            for name, project in directory.projects.items()
            if org in ("", project.org) and (not member or any(person.username == member for person in project.members))
        )
        return lists.page_of(self._base_url, chosen, lambda project: self._item(project, user))

    def project(self, actor: Actor, org: str, project: str) -> HTTPResponse:
        user = person_of(self._index.directory(), actor)
        return http.answer(self._item(self._find(f"{org}/{project}"), user))

    def add(self, actor: Actor) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        project, name = fields.text("project"), fields.text("name", None)
        fields.done()
        written = self._gate.submit(actor, AddProject(project, name or ""), "http", key)
        return self._written(actor, project, written.commit, 201, self._location(f"projects/{project}"))

    def edit(self, actor: Actor, org: str, project: str) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        name, values = f"{org}/{project}", _limits(fields)
        if fields.has("name"):
            fields.none_of([*LIMITS, "output_approvals"], "can't change together with the name")
            command: Command = RenameProject(name, fields.text("name"))
        elif fields.has("output_approvals"):
            fields.none_of(LIMITS, "can't change together with the approvals")
            command = SetOutputApprovals(name, fields.number("output_approvals"))
        else:
            fields.text("name", None)
            command = ChangeProject(name, values)
        fields.done()
        return self._submit(actor, name, command, key)

    def set_member(self, actor: Actor, org: str, project: str, username: str) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        roles, name = fields.roles("roles"), f"{org}/{project}"
        fields.done()
        return self._submit(actor, name, SetProjectMember(name, username, roles), key)

    def remove_member(self, actor: Actor, org: str, project: str, username: str) -> HTTPResponse:
        name = f"{org}/{project}"
        return self._without_fields(actor, name, SetProjectMember(name, username, ()))

    def invite(self, actor: Actor, org: str, project: str) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        usernames, roles = fields.texts("usernames", _MOST_INVITED), fields.roles("roles")
        fields.done()
        name = f"{org}/{project}"
        return self._submit(actor, name, InviteToProject(name, tuple(usernames), roles), key)

    def cancel_invitation(self, actor: Actor, org: str, project: str, username: str) -> HTTPResponse:
        """The invited person declines with the same call."""
        name = f"{org}/{project}"
        return self._without_fields(actor, name, CancelInvitation(name, username))

    def accept_invitation(self, actor: Actor, org: str, project: str, username: str) -> HTTPResponse:
        name = f"{org}/{project}"
        if username != actor.name:
            raise forbidden(f"Only {username[:100]} can accept this invitation")
        return self._without_fields(actor, name, AcceptInvitation(name))

    def _without_fields(self, actor: Actor, name: str, command: Command) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        fields.done()
        return self._submit(actor, name, command, key)

    def _submit(self, actor: Actor, name: str, command: Command, key: Key | None) -> HTTPResponse:
        self._find(name)
        return self._written(actor, name, self._gate.submit(actor, command, "http", key).commit)

    def _written(
        self, actor: Actor, name: str, commit: str, status: int = 200, headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        user = person_of(self._index.directory(), actor)
        return http.written(self._item(self._find(name), user), commit, status, headers)

    def _location(self, path: str) -> dict[str, str]:
        return {"Location": f"{self._base_url}/api/v2/{path}/"}

    def _find_org(self, slug: str) -> Org:
        """Raises `Error` (not_found)."""
        org = self._index.directory().org(slug)
        if org is None:
            raise not_found(f"Organisation {slug[:100]} does not exist")
        return org

    def _find(self, name: str) -> Project:
        """Raises `Error` (not_found)."""
        project = self._index.directory().project(name)
        if project is None:
            raise not_found(f"Project {name[:200]} does not exist")
        return project

    def _item(self, project: Project, user: User) -> dict[str, Any]:
        """Only people who manage the project see its invitations; an invited person sees their own."""
        name = f"{project.org}/{project.slug}"
        sees_all = manages(self._index.directory(), user, name)
        return {
            "project": name,
            "org": project.org,
            "slug": project.slug,
            "name": project.name,
            "number": project.number,
            "status": project.status or ProjectStatus.ONGOING,
            "end_date": project.end_date,
            "backends": project.backends,
            "runner_types": project.runner_types,
            "analysis_scope": scope_json(project.analysis_scope),
            "requires_training": bool(project.requires_training),
            "output_approvals": project.output_approvals or DEFAULT_APPROVALS,
            "members": _members(project.members),
            "invitations": [
                {
                    "username": invitation.username,
                    "roles": list(invitation.roles),
                    "invited_by": invitation.invited_by,
                    "created_at": time_text(invitation.created_at),
                }
                for invitation in project.invitations
                if sees_all or invitation.username == user.username
            ],
        }


def _limits(fields: Fields) -> dict[str, Any]:
    """The new values of those limits that the call names; None removes one."""
    values: dict[str, Any] = {key: fields.text(key, None) for key in ("number", "status", "end_date")}
    values["backends"] = fields.texts("backends", MAX_BACKENDS, default=None) or None
    values["runner_types"] = fields.texts("runner_types", MAX_BACKENDS, default=None) or None
    values["analysis_scope"] = fields.lists("analysis_scope", KNOWN, MAX_BACKENDS)
    values["requires_training"] = fields.flag("requires_training", None)
    return {key: value for key, value in values.items() if fields.has(key)}


def _org(org: Org) -> dict[str, Any]:
    return {"slug": org.slug, "name": org.name, "members": _members(org.members)}


def _members(members: tuple[Member, ...]) -> list[dict[str, Any]]:
    return [{"username": member.username, "roles": list(member.roles)} for member in members]
