"""Projects: groups of workspaces with members, whose roles count in these workspaces, and with invitations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias, assert_never

from pydantic import Field

from jobserver.domain.base.layout import DocPath, Kind
from jobserver.domain.base.permissions import PROJECT_ROLES, Actor, Permission, Role
from jobserver.domain.base.planning import require, require_absent, require_free_url, write_document
from jobserver.domain.base.registration import Registration
from jobserver.domain.base.rights import Rights, permissions_of
from jobserver.domain.base.rules import KeyFault, Proposal, Rules
from jobserver.domain.base.state import Change, Changes, Main, State, changed_keys
from jobserver.domain.base.values import Day, Document, Line, Slug, Version
from jobserver.domain.governance.analysis_scope import AnalysisScope
from jobserver.domain.governance.project_limits import (
    LIMITS,
    Backends,
    ChangeProject,
    ProjectNumber,
    RunnerTypes,
    StatusName,
    limit_faults,
    limited,
)
from jobserver.domain.members import (
    Invitation,
    Member,
    added_invitations,
    gains,
    invitation_faults,
    invitation_of,
    member_faults,
    role_faults,
    with_accepted,
    with_member,
    without_invitation,
)
from jobserver.errors import conflict, invalid, not_found

if TYPE_CHECKING:
    from jobserver.domain.users import User


class Project(Document):
    version: Version = 1
    slug: Slug
    name: Line
    org: Slug
    members: tuple[Member, ...] = Field(default=(), strict=False)
    registration: Registration | None = None
    output_approvals: Annotated[int, Field(ge=1, le=3)] | None = None
    invitations: tuple[Invitation, ...] = Field(default=(), strict=False)
    number: ProjectNumber | None = None
    status: StatusName | None = None
    end_date: Day | None = None
    backends: Backends | None = None
    runner_types: RunnerTypes | None = None
    analysis_scope: AnalysisScope | None = None
    requires_training: bool | None = None

    optional_keys: ClassVar[frozenset[str]] = frozenset({"output_approvals", "invitations", *LIMITS})

    def path_keys(self, path: DocPath) -> dict[str, object]:
        org, slug = path.name.split("/")
        return {"org": org, "slug": slug}

    def refers_to(self, kind: Kind, name: str) -> bool:
        if kind is Kind.USER:
            usernames = [member.username for member in self.members]
            return name in usernames or any(invitation.username == name for invitation in self.invitations)
        return kind is Kind.ORG and self.org == name


_MANAGING = frozenset(
    {
        Permission.MANAGE_PROJECTS,
        Permission.GOVERN,
        Permission.MANAGE_PROJECT_MEMBERS,
        Permission.INVITE_PROJECT_MEMBERS,
        Permission.MANAGE_PROJECT_WORKSPACES,
    }
)


def manages(main: Main, user: "User | None", project: str) -> bool:
    """Whether this person may change something about the project, and so may see its invitations."""
    return user is not None and not _MANAGING.isdisjoint(permissions_of(main, user, project))


def sees_registration(main: Main, user: "User | None", project: Project) -> bool:
    """Whether this person may see the registration and the history of the project, which name people."""
    if user is None:
        return False
    name = f"{project.org}/{project.slug}"
    permissions = permissions_of(main, user, name)
    is_member = any(member.username == user.username for member in project.members)
    reviews = not permissions.isdisjoint({Permission.REVIEW_PROJECT, Permission.READ_ALL})
    return is_member or reviews or manages(main, user, name)


@dataclass(frozen=True, slots=True)
class AddProject:
    """``project`` is ``org/slug``. With a registration, no other project may have the same name."""

    project: str
    name: str = ""
    registration: Registration | None = None


@dataclass(frozen=True, slots=True)
class RenameProject:
    project: str
    name: str


@dataclass(frozen=True, slots=True)
class SetProjectMember:
    """Without roles the membership ends."""

    project: str
    username: str
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class SetOutputApprovals:
    """How many people must approve each file that leaves a backend; None for the default."""

    project: str
    number: int | None


@dataclass(frozen=True, slots=True)
class InviteToProject:
    """Invites users who are not members yet: all of them, or none if one cannot be invited."""

    project: str
    usernames: tuple[str, ...]
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class CancelInvitation:
    """Cancels an invitation. The invited person declines it with the same command."""

    project: str
    username: str


@dataclass(frozen=True, slots=True)
class AcceptInvitation:
    """The actor, who was invited, becomes a member with the roles of the invitation."""

    project: str


Command: TypeAlias = (
    AddProject
    | RenameProject
    | ChangeProject
    | SetProjectMember
    | SetOutputApprovals
    | InviteToProject
    | CancelInvitation
    | AcceptInvitation
)


def plan(state: State, command: Command, actor: Actor, now: datetime) -> Changes:
    if isinstance(command, AddProject):
        return _add(state, command, actor)
    name = command.project
    before = require(state.project(name), Kind.PROJECT, name)
    match command:
        case RenameProject(_, wanted):
            _require_free_name(state, wanted, name)
            after, event, action = Project(**{**dict(before), "name": wanted}), "renamed", f"renamed {name}"
        case ChangeProject(_, values):
            after, event = limited(before, values), "updated"
            changed = changed_keys(before, after) or values
            action = f"changed {', '.join(sorted(changed))} of {name}"
        case SetOutputApprovals(_, number):
            after, event = Project(**{**dict(before), "output_approvals": number}), "output-approvals-changed"
            action = f"set the approvals that outputs of {name} need to {number or 'the default'}"
        case SetProjectMember(_, username, roles):
            require(state.user(username), Kind.USER, username)
            after = with_member(before, username, roles)
            if roles:  # a member has nothing left to accept
                after = without_invitation(after, username)
            roles_text = f"gave {username} the roles {', '.join(roles)} in {name}"
            event, action = "updated", roles_text if roles else f"removed {username} from {name}"
        case InviteToProject(_, usernames, roles):
            after = _with_invitations(before, usernames, roles, actor, now)
            event, action = "invited", f"invited {', '.join(usernames)} to {name} as {', '.join(roles)}"
        case CancelInvitation(_, username):
            _require_invitation(before, username)
            after, event = without_invitation(before, username), "invitation-cancelled"
            action = f"cancelled the invitation of {username} to {name}"
            if username == actor.name:
                event, action = "invitation-declined", f"declined the invitation to {name}"
        case AcceptInvitation():
            roles = _require_invitation(before, actor.name).roles
            accepted = with_accepted(before, actor.name)
            assert accepted is not None
            after, event, action = accepted, "invitation-accepted", f"joined {name} as {', '.join(roles)}"
        case _:
            assert_never(command)
    subject = f"{actor.name} {action}"
    return write_document(Kind.PROJECT, name, before, after, f"project.{event}", subject, (("Project", name),))


def _add(state: State, command: AddProject, actor: Actor) -> Changes:
    name = command.project
    require_free_url(Kind.PROJECT, name)
    require_absent(state.project(name), Kind.PROJECT, name)
    org, _, slug = name.partition("/")
    require(state.org(org), Kind.ORG, org)
    if command.registration is not None:
        _require_free_name(state, command.name, name)
    after = Project(slug=slug, name=command.name or slug, org=org, registration=command.registration)
    return write_document(Kind.PROJECT, name, None, after, "project.created", f"{actor.name} added project {name}")


def _require_free_name(state: State, wanted: str, project: str) -> None:
    """Raises `Error` for an empty name, and for a name that another project has in upper or lower case."""
    if not wanted.strip():
        raise invalid("a project needs a name", "name")
    for other in state.projects():
        if f"{other.org}/{other.slug}" != project and other.name.casefold() == wanted.casefold():
            raise conflict(f"project {other.org}/{other.slug} already has the name {other.name!r}", "name")


def _with_invitations(
    before: Project, usernames: Sequence[str], roles: Sequence[Role], actor: Actor, now: datetime
) -> Project:
    if not usernames:
        raise invalid("expected at least one username", "username")
    if not roles:
        raise invalid("expected at least one role", "roles")
    for username in usernames:
        if invitation_of(before, username) is not None:
            raise conflict(f"{username} is already invited", field="username")
        if any(member.username == username for member in before.members):
            raise conflict(f"{username} is already a member", field="username")
    added = [
        Invitation(username=username, roles=tuple(roles), invited_by=actor.name, created_at=now)
        for username in usernames
    ]
    invitations = sorted((*before.invitations, *added), key=lambda invitation: invitation.username)
    return before.model_copy(update={"invitations": tuple(invitations)})


def _require_invitation(project: Project, username: str) -> Invitation:
    invitation = invitation_of(project, username)
    if invitation is None:
        name = f"{project.org}/{project.slug}"
        raise not_found(f"{username} has no invitation to {name}: it was accepted, declined or cancelled")
    return invitation


def _faults(proposal: Proposal, change: Change) -> list[KeyFault]:
    before, after = change.of(Project)
    if after is None:
        return []
    faults = [] if proposal.org(after.org) is not None else [("org", f"org {after.org!r} does not exist")]
    faults += member_faults(after.members, PROJECT_ROLES, proposal)
    invited = ((invitation.username, invitation.roles) for invitation in after.invitations)
    faults += role_faults(invited, PROJECT_ROLES)
    faults += invitation_faults(before, after, proposal)
    return faults + limit_faults(before, after, proposal)


def _may_create(rights: Rights, change: Change) -> bool:
    return rights.may(Permission.MANAGE_PROJECTS) and not gains(None, change.created(Project), rights.actor.name)


def _may_update(rights: Rights, change: Change) -> bool:
    """Invited people accept or decline. Other changes need a role in the project, or one for all projects, with which
    nobody gives themselves roles."""
    before, after = change.updated(Project)
    username = rights.actor.name
    answers = (with_accepted(before, username), without_invitation(before, username))
    if rights.is_user(username) and invitation_of(before, username) is not None and after in answers:
        return True
    name = f"{before.org}/{before.slug}"
    changed = changed_keys(before, after)
    if changed == {"output_approvals"}:
        return True  # `_limits` says who may
    if changed <= LIMITS and (rights.may(Permission.MANAGE_PROJECTS) or rights.may(Permission.GOVERN)):
        return True
    governs = rights.may(Permission.MANAGE_PROJECTS) and not gains(before, after, username)
    manages = governs or rights.may(Permission.MANAGE_PROJECT_MEMBERS, name)
    invites = governs or rights.may(Permission.INVITE_PROJECT_MEMBERS, name)
    if "invitations" in changed and not (invites or (manages and not added_invitations(before, after))):
        return False
    allowed = {"invitations", "members", "name", *(LIMITS if governs else ())}
    return changed <= allowed and (manages or changed == {"invitations"})


def _limits(rights: Rights, change: Change) -> None:
    """Nobody invites in the name of somebody else. Only governance says how many approvals outputs need, also by
    removing the project."""
    before, after = change.of(Project)
    if (before and before.output_approvals) != (after and after.output_approvals):
        project = before or after
        assert project is not None
        governs = rights.may(Permission.GOVERN, f"{project.org}/{project.slug}")
        rights.need(governs, "change the approvals that outputs need: that needs the role GovernanceReviewer")
    for invitation in added_invitations(before, after) if after is not None else ():
        username, inviter = invitation.username, invitation.invited_by
        rights.need(inviter == rights.actor.name, f"invite {username} as {inviter}")


RULES = Rules(faults=_faults, create=_may_create, update=_may_update, limits=_limits)
