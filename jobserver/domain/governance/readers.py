"""Who may read a project, where reading is limited to its members and those above.

Those above are the members of its organisation, and everybody with a role that permits something everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobserver.domain.base.permissions import granted

if TYPE_CHECKING:
    from jobserver.domain.base.state import Main
    from jobserver.domain.projects import Project
    from jobserver.domain.users import User
    from jobserver.domain.workspaces import Workspace


def reads_everything(user: User | None) -> bool:
    return user is not None and user.active and bool(granted(user.roles))


def reads_project(main: Main, user: User | None, project: Project) -> bool:
    """Whether this person may read the project's workspaces, with all that was run and released there."""
    if user is None or not user.active:
        return False
    org = main.org(project.org)
    members = (*project.members, *(org.members if org is not None else ()))
    return reads_everything(user) or any(member.username == user.username for member in members)


def knows_project(main: Main, user: User | None, project: Project) -> bool:
    """Whether this person may read the project's own page: an invited person should know what they are invited to."""
    is_invited = user is not None and any(guest.username == user.username for guest in project.invitations)
    return is_invited or reads_project(main, user, project)


def reads_workspace(main: Main, user: User | None, workspace: Workspace) -> bool:
    """A workspace without a project is its creator's."""
    if workspace.project is None:
        return reads_everything(user) or (user is not None and user.active and user.username == workspace.created_by)
    project = main.project(workspace.project)
    return reads_everything(user) if project is None else reads_project(main, user, project)
