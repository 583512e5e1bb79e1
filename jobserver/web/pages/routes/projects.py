"""A project: what it has, for everybody; its name, members, invitations and workspaces, for who may change them."""

import re

from bottle import HTTPResponse

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import PROJECT_ROLES, Permission
from jobserver.domain.members import invitation_of
from jobserver.domain.plan import Command
from jobserver.domain.projects import CancelInvitation, InviteToProject, Project, RenameProject, SetProjectMember
from jobserver.domain.workspaces import ConnectWorkspace, Workspace
from jobserver.errors import Code, Error, forbidden, invalid, not_found
from jobserver.index.queries.requests import RequestFilter, list_requests
from jobserver.service.accounts.private_store import Contact
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import idempotency_key, roles, text
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import audit_tab, registration_form

_MANAGING = (
    Permission.MANAGE_PROJECT_MEMBERS,
    Permission.INVITE_PROJECT_MEMBERS,
    Permission.MANAGE_PROJECT_WORKSPACES,
)
_BETWEEN = re.compile(r"[\s,;]+")


class Projects:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/orgs/<org>/<project>/", self.show)
        site.add("/orgs/<org>/<project>/settings/", self.settings, self.change)
        site.add("/orgs/<org>/<project>/audit/", self.audit)
        site.add("/orgs/<org>/<project>/<workspace>/", self.workspace)

    def _find(self, context: PageContext, org: str, project: str) -> tuple[str, Project]:
        name = f"{org}/{project}"
        found = context.directory.project(name)
        if found is None:
            raise not_found(f"there is no project {name!r}")
        return name, found

    def show(self, context: PageContext, org: str, project: str) -> HTTPResponse:
        name, found = self._find(context, org, project)
        workspaces = _workspaces(context, name)
        slugs = self._services.visible.slugs()
        with self._services.index.view() as sql:
            latest = {
                one.name: rows[0]
                for one in workspaces
                if (rows := list_requests(sql, RequestFilter(workspace=one.name), slugs, 1))
            }
        return self._site.page(
            context,
            "project.html",
            title=found.name,
            project=found,
            name=name,
            workspaces=workspaces,
            latest=latest,
            can_manage=_manages(context, name),
            can_add=context.may(Permission.RUN_JOB, name),
            can_look_into=_looks_into(context, name, found),
            invitation=invitation_of(found, context.user.username) if context.user else None,
            short={"project_lead": "Led by", **registration_form.LINES},
            long=registration_form.TEXTS,
        )

    def workspace(self, context: PageContext, org: str, project: str, workspace: str) -> HTTPResponse:
        """job-server's address of a workspace that is in a project."""
        name, _ = self._find(context, org, project)
        found = context.directory.workspace(workspace)
        if found is None or found.project != name:
            raise not_found(f"there is no workspace {workspace!r} in the project {name}")
        return redirect(f"/{workspace}/", 302)

    def audit(self, context: PageContext, org: str, project: str) -> HTTPResponse:
        name, found = self._find(context, org, project)
        if not _looks_into(context, name, found):
            raise forbidden("this page is for members of the project, and for those who review it")
        entries = audit_tab.entries(self._services.repo, layout.MAIN, [layout.main_path(Kind.PROJECT, name)])
        return self._site.page(
            context,
            "audit_project.html",
            title=f"Audit: project {name}",
            project=found,
            name=name,
            can_manage=_manages(context, name),
            entries=entries,
        )

    # Settings

    def settings(self, context: PageContext, org: str, project: str, error: Error | None = None) -> HTTPResponse:
        name, found = self._find(context, org, project)
        if not _manages(context, name):
            _ = context.actor
            raise forbidden(f"the settings of {name} are for its coordinators")
        taken = {member.username for member in found.members} | {one.username for one in found.invitations}
        return self._site.page(
            context,
            "project_settings.html",
            400 if error else 200,
            title=f"Settings: {found.name}",
            project=found,
            name=name,
            can_manage=context.may(Permission.MANAGE_PROJECT_MEMBERS, name),
            can_invite=context.may(Permission.INVITE_PROJECT_MEMBERS, name),
            can_connect=context.may(Permission.MANAGE_PROJECT_WORKSPACES, name),
            people=[one for one in context.directory.users.values() if one.active and one.username not in taken],
            workspaces=_workspaces(context, name),
            free=_free(context),
            contact=self._services.private.project_contact(name) if context.is_admin else None,
            is_contact_lost=bool(text("contact-lost")),
            roles=sorted(PROJECT_ROLES),
            wanted=text("username", 2000),
            error=error,
        )

    def change(self, context: PageContext, org: str, project: str) -> HTTPResponse:
        name, _ = self._find(context, org, project)
        try:
            if text("what") == "contact":
                self._keep_contact(context, name)
            else:
                self._services.gate.submit(context.actor, _command(name), "web", idempotency_key(context.actor))
        except Error as error:
            if error.code not in (Code.INVALID, Code.CONFLICT, Code.NOT_FOUND) or not _manages(context, name):
                raise
            return self.settings(self._site.context(), org, project, error)
        still = _manages(self._site.context(), name)  # whoever took their own rights away is not refused for it
        return redirect(f"/orgs/{name}/settings/" if still else f"/orgs/{name}/")

    def _keep_contact(self, context: PageContext, name: str) -> None:
        if not context.is_admin:
            raise forbidden("contact details are for SuperUsers")
        self._services.private.set_project_contact(name, Contact(text("email", 300), text("telephone", 100)))


def _command(name: str) -> Command:
    """What the form asks for. Raises `Error` (invalid)."""
    username, workspace = text("username", 100), text("workspace", 200)
    match text("what"):
        case "rename":
            return RenameProject(name, text("name", 2000))
        case "member":
            return SetProjectMember(name, username, roles())
        case "remove":
            return SetProjectMember(name, username, ())
        case "invite":
            several = tuple(one for one in _BETWEEN.split(text("username", 5000)) if one)
            return InviteToProject(name, several, roles())
        case "cancel":
            return CancelInvitation(name, username)
        case "connect":
            return ConnectWorkspace(workspace, name)
        case "disconnect":
            return ConnectWorkspace(workspace, None)
    raise invalid("expected rename, member, remove, invite, cancel, connect, disconnect or contact", "what")


def _workspaces(context: PageContext, project: str) -> list[Workspace]:
    return [one for one in context.directory.workspaces.values() if one.project == project]


def _free(context: PageContext) -> list[Workspace]:
    """Workspaces in no project that this person may put into one."""
    everybodys = context.may(Permission.RUN_JOB)
    free = [one for one in context.directory.workspaces.values() if one.project is None]
    return [one for one in free if everybodys or (context.user is not None and one.created_by == context.user.username)]


def _manages(context: PageContext, project: str) -> bool:
    return any(context.may(permission, project) for permission in _MANAGING)


def _looks_into(context: PageContext, name: str, project: Project) -> bool:
    """Whether the registration and the history are shown: they name people."""
    if context.user is None:
        return False
    is_member = any(member.username == context.user.username for member in project.members)
    reviews = context.may(Permission.REVIEW_PROJECT, name) or context.may(Permission.READ_ALL, name)
    return is_member or reviews or _manages(context, name)
