"""plan for organisations, projects, their members and invitations, and which workspaces they have."""

from dataclasses import replace
from datetime import datetime

from jobserver.domain import commands as c
from jobserver.domain import invitations
from jobserver.domain.base.names import Kind
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.planning import absent, fitting, present, write
from jobserver.domain.base.state import Changes, State
from jobserver.domain.documents import Invitation, Org, Project
from jobserver.errors import conflict, invalid, not_found

ProjectCommand = (
    c.AddProject | c.RenameProject | c.SetProjectMember | c.InviteToProject | c.CancelInvitation | c.AcceptInvitation
)


def add_org(state: State, command: c.AddOrg, actor: Actor) -> Changes:
    fitting(Kind.ORG, command.slug)
    absent(state.org(command.slug), "org", command.slug)
    after = Org(slug=command.slug, name=command.name or command.slug)
    return write(Kind.ORG, command.slug, None, after, "org.created", f"{actor.name} added org {command.slug}")


def connect(state: State, command: c.ConnectWorkspace, actor: Actor) -> Changes:
    before = present(state.workspace(command.name), "workspace", command.name)
    if command.project is not None:
        present(state.project(command.project), "project", command.project)
    after = before.model_copy(update={"project": command.project})
    said = f"connected workspace {before.name} to {command.project}"
    if command.project is None:
        said = f"disconnected workspace {before.name} from {before.project}"
    changes = write(Kind.WORKSPACE, before.name, before, after, "workspace.updated", f"{actor.name} {said}")
    return replace(changes, trailers=(("Workspace", before.name),))


def project(state: State, command: ProjectCommand, actor: Actor, now: datetime) -> Changes:
    if isinstance(command, c.AddProject):
        return _add(state, command, actor)
    name = command.project
    before = present(state.project(name), "project", name)
    who = actor.name
    match command:
        case c.RenameProject(_, wanted):
            _free(state, wanted, name)
            after, event, said = Project(**{**dict(before), "name": wanted}), "renamed", f"renamed {name}"
        case c.SetProjectMember(_, username, roles):
            present(state.user(username), "user", username)
            after = invitations.with_member(before, username, roles)
            if roles:  # whoever is a member already has nothing left to accept
                after = invitations.without(after, username)
            what = f"{', '.join(roles)} in" if roles else "no longer a member of"
            event, said = "updated", f"made {username} {what} {name}"
        case c.InviteToProject(_, usernames, roles):
            after = _invite(before, usernames, command, who, now)
            event, said = "invited", f"invited {', '.join(usernames)} to {name} as {', '.join(roles)}"
        case c.CancelInvitation(_, username):
            _invited(before, username)
            after, event = invitations.without(before, username), "invitation-cancelled"
            said = f"took the invitation of {username} to {name} back"
            if username == who:
                event, said = "invitation-declined", f"declined the invitation to {name}"
        case _:
            roles = _invited(before, who).roles
            accepted = invitations.accepted(before, who)
            assert accepted is not None
            after, event, said = accepted, "invitation-accepted", f"joined {name} as {', '.join(roles)}"
    changes = write(Kind.PROJECT, name, before, after, f"project.{event}", f"{who} {said}")
    return replace(changes, trailers=(("Project", name),))


def _add(state: State, command: c.AddProject, actor: Actor) -> Changes:
    name = command.project
    fitting(Kind.PROJECT, name)
    absent(state.project(name), "project", name)
    org, _, slug = name.partition("/")
    present(state.org(org), "org", org)
    if command.registration is not None:
        _free(state, command.name, name)
    after = Project(slug=slug, name=command.name or slug, org=org, registration=command.registration)
    return write(Kind.PROJECT, name, None, after, "project.created", f"{actor.name} added project {name}")


def _free(state: State, wanted: str, project_: str) -> None:
    """Raises `Error` for a name that another project has, however it is capitalised, or that is none."""
    if not wanted.strip():
        raise invalid("a project needs a name", "name")
    for other in state.projects():
        if f"{other.org}/{other.slug}" != project_ and other.name.casefold() == wanted.casefold():
            raise conflict(f"{other.org}/{other.slug} has the name {other.name!r} already", "name")


def _invite(
    before: Project, usernames: tuple[str, ...], command: c.InviteToProject, who: str, now: datetime
) -> Project:
    if not usernames:
        raise invalid("expected at least one user name", "username")
    if not command.roles:
        raise invalid("expected at least one role", "roles")
    for username in usernames:
        if invitations.of(before, username) is not None:
            raise conflict(f"{username} is invited already")
        if any(member.username == username for member in before.members):
            raise conflict(f"{username} is a member already")
    made = [Invitation(username=one, roles=command.roles, invited_by=who, created_at=now) for one in usernames]
    both = sorted((*before.invitations, *made), key=lambda one: one.username)
    return before.model_copy(update={"invitations": tuple(both)})


def _invited(before: Project, username: str) -> Invitation:
    found = invitations.of(before, username)
    if found is None:
        name = f"{before.org}/{before.slug}"
        raise not_found(f"there is no invitation of {username} to {name}: it was accepted, declined or taken back")
    return found
