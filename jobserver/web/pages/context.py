"""Who requests a page, when, and what they may do."""

from dataclasses import dataclass, field
from datetime import datetime

from jobserver.domain.base.permissions import Actor, ActorKind, Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.members import Invitation, invitation_of
from jobserver.domain.projects import Project
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace, changeable
from jobserver.errors import Code, Error, forbidden, not_found
from jobserver.index.directory import Directory
from jobserver.web.pages.sent_form import SentForm
from jobserver.web.pages.sessions import Session


@dataclass(frozen=True, slots=True)
class PageContext:
    """One request for a page. ``user`` and ``session`` are None where nobody is logged in; ``now`` is UTC.

    ``version``: the state that the page is about to show (`format.page_version`). ``sent``: the form of this page that
    was refused, or that the person sent after their session had ended.
    """

    directory: Directory
    user: User | None
    session: Session | None
    now: datetime
    version: str = ""
    sent: SentForm = field(default_factory=SentForm)

    @property
    def actor(self) -> Actor:
        """Raises `Error` (unauthenticated) where nobody is logged in."""
        if self.user is None:
            raise Error(Code.UNAUTHENTICATED, "log in first")
        return Actor(ActorKind.USER, self.user.username)

    def may(self, permission: Permission, project: str | None = None) -> bool:
        return self.user is not None and permission in permissions_of(self.directory, self.user, project)

    def changeable(self, workspace: Workspace) -> frozenset[str]:
        """The settings of the workspace that this person can change."""
        return changeable(self.directory, self.user, workspace) if self.user is not None else frozenset()

    def workspace(self, name: str) -> Workspace:
        """Raises `Error` (not_found)."""
        workspace = self.directory.workspace(name)
        if workspace is None:
            raise not_found(f"workspace {name!r} does not exist, and this address has no other page")
        return workspace

    @property
    def invitations(self) -> list[tuple[str, Project, Invitation]]:
        """(``org/slug``, project, invitation) of each project that invites this person."""
        if self.user is None:
            return []
        projects = self.directory.projects.items()
        invitations = ((name, project, invitation_of(project, self.user.username)) for name, project in projects)
        return [(name, project, invitation) for name, project, invitation in invitations if invitation is not None]

    @property
    def can_add_workspaces(self) -> bool:
        """In some project, or in none."""
        return any(self.may(Permission.RUN_JOB, project) for project in (None, *self.directory.projects))

    @property
    def is_admin(self) -> bool:
        return self.may(Permission.ADMINISTER)

    def check_service(self, permission: Permission) -> None:
        """Raises `Error` (forbidden) for people who do not manage all projects, or all people."""
        if not self.may(permission):
            raise forbidden("only SuperUsers and ServiceAdministrators can use this page")

    @property
    def manages_users(self) -> bool:
        return self.may(Permission.MANAGE_USERS)

    @property
    def manages_projects(self) -> bool:
        return self.may(Permission.MANAGE_PROJECTS)

    def check_admin(self) -> None:
        """Raises `Error` (forbidden)."""
        if not self.is_admin:
            raise forbidden("only SuperUsers can use this page")
