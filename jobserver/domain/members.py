"""Members of organisations and projects, and invitations to projects, which make members of those who accept."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from jobserver.domain.base.permissions import Role
from jobserver.domain.base.rules import KeyFault, Proposal
from jobserver.domain.base.values import Document, RoleName, Time, Username

if TYPE_CHECKING:
    from jobserver.domain.orgs import Org
    from jobserver.domain.projects import Project


class Member(Document):
    username: Username
    roles: tuple[RoleName, ...] = Field(default=(), strict=False)


class Invitation(Document):
    """For a user who is not a member yet. Ends when the user accepts or declines, or when somebody cancels it."""

    username: Username
    roles: tuple[RoleName, ...] = Field(min_length=1, strict=False)
    invited_by: Username
    created_at: Time


def member_faults(members: Iterable[Member], allowed: frozenset[Role], proposal: Proposal) -> list[KeyFault]:
    """Roles that members cannot have here, and members who are not users."""
    members = tuple(members)
    faults = role_faults(((member.username, member.roles) for member in members), allowed)
    unknown = [member.username for member in members if proposal.user(member.username) is None]
    return faults + [("members", f"user {username!r} does not exist") for username in unknown]


def role_faults(given: Iterable[tuple[str, tuple[Role, ...]]], allowed: frozenset[Role]) -> list[KeyFault]:
    """The roles of these people, as (username, roles), that are not allowed here."""
    return [
        ("roles", f"{username} cannot have the role {role} here: expected one of {', '.join(sorted(allowed))}")
        for username, roles in given
        for role in roles
        if role not in allowed
    ]


def gains(before: "Project | Org | None", after: "Project | Org", username: str) -> bool:
    """Whether this person has more roles in ``after``, or could take more by an invitation."""

    def roles(document: "Project | Org | None") -> set[Role]:
        members = (*document.members, *getattr(document, "invitations", ())) if document is not None else ()
        return {role for member in members if member.username == username for role in member.roles}

    return not roles(after) <= roles(before)


def invitation_of(project: "Project", username: str) -> Invitation | None:
    return next((invitation for invitation in project.invitations if invitation.username == username), None)


def added_invitations(before: "Project | None", after: "Project") -> list[Invitation]:
    known = before.invitations if before is not None else ()
    return [invitation for invitation in after.invitations if invitation not in known]


def without_invitation(project: "Project", username: str) -> "Project":
    """``project`` after this person's invitation was declined or cancelled."""
    kept = tuple(invitation for invitation in project.invitations if invitation.username != username)
    return project.model_copy(update={"invitations": kept})


def with_member(project: "Project", username: str, roles: tuple[Role, ...]) -> "Project":
    """``project`` with exactly these roles of this person. Without roles, they are not a member."""
    members = [member for member in project.members if member.username != username]
    if roles:
        members.append(Member(username=username, roles=roles))
    return project.model_copy(update={"members": tuple(sorted(members, key=lambda member: member.username))})


def with_accepted(project: "Project", username: str) -> "Project | None":
    """``project`` after this person accepted their invitation; None if there is no invitation."""
    invitation = invitation_of(project, username)
    if invitation is None:
        return None
    return with_member(without_invitation(project, username), username, invitation.roles)


def invitation_faults(before: "Project | None", after: "Project", proposal: Proposal) -> list[KeyFault]:
    faults = []
    usernames = [invitation.username for invitation in after.invitations]
    members = {member.username for member in after.members}
    for username in sorted(set(usernames)):
        if usernames.count(username) > 1:
            faults.append(("invitations", f"{username} is invited twice"))
        if username in members:
            faults.append(("invitations", f"{username} is already a member"))
    for invitation in added_invitations(before, after):
        user = proposal.user(invitation.username)
        if user is None or not user.active:
            faults.append(("invitations", f"{invitation.username!r} is not an active user"))
    return faults
