"""The pages of a project; its settings (name, members, invitations, workspaces, contact) for those who manage it."""

import re

from bottle import HTTPResponse

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import PROJECT_ROLES, Permission
from jobserver.domain.members import invitation_of
from jobserver.domain.plan import Command
from jobserver.domain.projects import (
    CancelInvitation,
    InviteToProject,
    Project,
    RenameProject,
    SetProjectMember,
    manages,
    sees_registration,
)
from jobserver.domain.workspaces import ConnectWorkspace, Workspace
from jobserver.errors import forbidden, not_found
from jobserver.index.queries.requests import RequestFilter, list_requests
from jobserver.service.accounts.private_store import Contact
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import idempotency_key, roles, text, unknown_button
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import audit_tab, limits, registration_form

_SEPARATORS = re.compile(r"[\s,;]+")


class Projects:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/orgs/<org>/<project>/", self.show)
        site.add("/orgs/<org>/<project>/settings/", self.settings, self.change)
        site.add("/orgs/<org>/<project>/audit/", self.audit)
        site.add("/orgs/<org>/<project>/<workspace>/", self.workspace)

    def _find(self, context: PageContext, org: str, project: str) -> tuple[str, Project]:
        name = f"{org}/{project}"
        document = context.directory.project(name)
        if document is None:
            raise not_found(f"project {name!r} does not exist")
        return name, document

    def show(self, context: PageContext, org: str, project: str) -> HTTPResponse:
        name, document = self._find(context, org, project)
        workspaces = _workspaces(context, name)
        slugs = self._services.visible.slugs()
        with self._services.index.view() as sql:
            latest = {
                workspace.name: rows[0]
                for workspace in workspaces
                if (rows := list_requests(sql, RequestFilter(workspace=workspace.name), slugs, 1))
            }
        return self._site.page(
            context,
            "projects/project.html",
            title=f"Project · {document.name}",
            project=document,
            name=name,
            workspaces=workspaces,
            latest=latest,
            can_manage=_manages(context, name),
            can_add=context.may(Permission.RUN_JOB, name),
            can_audit=sees_registration(context.directory, context.user, document),
            invitation=invitation_of(document, context.user.username) if context.user else None,
            **limits.project_limits(context, document, sees_registration(context.directory, context.user, document)),
            lines={"project_lead": "Lead", **registration_form.LINES},
            texts=registration_form.TEXTS,
        )

    def workspace(self, context: PageContext, org: str, project: str, workspace: str) -> HTTPResponse:
        """The address that job-server has for a workspace in a project."""
        name, _ = self._find(context, org, project)
        document = context.directory.workspace(workspace)
        if document is None or document.project != name:
            raise not_found(f"project {name} has no workspace {workspace!r}")
        return redirect(f"/{workspace}/", 302)

    def audit(self, context: PageContext, org: str, project: str) -> HTTPResponse:
        name, document = self._find(context, org, project)
        if not sees_registration(context.directory, context.user, document):
            raise forbidden("only members and reviewers of the project can view this page")
        paths = {layout.MAIN: [layout.main_path(Kind.PROJECT, name)]}
        return self._site.page(
            context,
            "projects/audit.html",
            title=f"Audit · {document.name}",
            project=document,
            name=name,
            can_manage=_manages(context, name),
            audit=audit_tab.audit_page(self._services.repo, paths, text("before", 100)),
        )

    # Settings

    def settings(self, context: PageContext, org: str, project: str) -> HTTPResponse:
        name, document = self._find(context, org, project)
        if not _manages(context, name):
            _ = context.actor  # a person who has not logged in should do that first
            raise forbidden(f"only coordinators of {name} can change its settings")
        known = {member.username for member in document.members}
        known |= {invitation.username for invitation in document.invitations}
        return self._site.page(
            context,
            "projects/project_settings.html",
            title=f"Settings · {document.name}",
            project=document,
            name=name,
            can_manage=context.manages_projects or context.may(Permission.MANAGE_PROJECT_MEMBERS, name),
            can_invite=context.manages_projects or context.may(Permission.INVITE_PROJECT_MEMBERS, name),
            **limits.project_form(context, document),
            can_connect=context.may(Permission.MANAGE_PROJECT_WORKSPACES, name),
            people=[user for user in context.directory.users.values() if user.active and user.username not in known],
            workspaces=_workspaces(context, name),
            available=_available(context),
            contact=self._services.private.project_contact(name) if context.is_admin else None,
            is_contact_lost=bool(text("contact-lost")),
            roles=sorted(PROJECT_ROLES),
        )

    def change(self, context: PageContext, org: str, project: str) -> HTTPResponse:
        name, _ = self._find(context, org, project)
        button = text("what")
        if button == "contact":
            self._keep_contact(context, name)
        else:
            self._services.gate.submit(context.actor, _command(name), "web", idempotency_key(context.actor))
        still = _manages(self._site.context(), name)  # people can remove their own rights
        return self._site.saved(f"/orgs/{name}/settings/" if still else f"/orgs/{name}/", _done(button))

    def _keep_contact(self, context: PageContext, name: str) -> None:
        if not context.is_admin:
            raise forbidden("only SuperUsers can change contact details")
        self._services.private.set_project_contact(name, Contact(text("email", 300), text("telephone", 100)))


def _command(name: str) -> Command:
    """The command of the form. Raises `Error` (invalid)."""
    username, workspace = text("username", 100), text("workspace", 200)
    match text("what"):
        case "rename":
            return RenameProject(name, text("name", 2000))
        case "limits":
            return limits.project_command(name)
        case "approvals":
            return limits.approvals_command(name)
        case "member":
            return SetProjectMember(name, username, roles())
        case "remove":
            return SetProjectMember(name, username, ())
        case "invite":
            usernames = tuple(filter(None, _SEPARATORS.split(text("username", 5000))))
            return InviteToProject(name, usernames, roles())
        case "cancel":
            return CancelInvitation(name, username)
        case "connect":
            return ConnectWorkspace(workspace, name)
        case "disconnect":
            return ConnectWorkspace(workspace, None)
    raise unknown_button()


def _done(button: str) -> str:
    """What the form with this button has changed, in words."""
    subject = text("workspace" if button in ("connect", "disconnect") else "username", 2000)
    return {
        "limits": "Saved the limits.",
        "approvals": "Saved the number of approvals.",
        "member": f"Saved the roles of {subject}.",
        "remove": f"Removed {subject}.",
        "invite": f"Invited {subject}.",
        "cancel": f"Cancelled the invitation of {subject}.",
        "connect": f"Connected {subject}.",
        "disconnect": f"Disconnected {subject}.",
    }.get(button, "Saved.")


def _workspaces(context: PageContext, project: str) -> list[Workspace]:
    return [workspace for workspace in context.directory.workspaces.values() if workspace.project == project]


def _available(context: PageContext) -> list[Workspace]:
    """Workspaces without a project that this person can connect to one."""
    username = context.user.username if context.user else None
    can_connect_all = context.may(Permission.RUN_JOB)
    return [
        workspace
        for workspace in context.directory.workspaces.values()
        if workspace.project is None and (can_connect_all or workspace.created_by == username)
    ]


def _manages(context: PageContext, project: str) -> bool:
    return manages(context.directory, context.user, project)
