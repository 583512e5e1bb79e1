"""Invitations to projects: what an accepted one makes of its project, and which may stand in one. Pure."""

from collections.abc import Callable

from jobserver.domain.base.permissions import Role
from jobserver.domain.documents import Invitation, Member, Project, User


def of(project: Project, username: str) -> Invitation | None:
    return next((one for one in project.invitations if one.username == username), None)


def without(project: Project, username: str) -> Project:
    """``project`` once this person's invitation was declined, or taken back."""
    kept = tuple(one for one in project.invitations if one.username != username)
    return project.model_copy(update={"invitations": kept})


def with_member(project: Project, username: str, roles: tuple[Role, ...]) -> Project:
    """``project`` with exactly these roles of this person, who is no member without any."""
    others = [member for member in project.members if member.username != username]
    if roles:
        others.append(Member(username=username, roles=roles))
    return project.model_copy(update={"members": tuple(sorted(others, key=lambda member: member.username))})


def accepted(project: Project, username: str) -> Project | None:
    """``project`` once this person has accepted; None where they are not invited."""
    invitation = of(project, username)
    return None if invitation is None else with_member(without(project, username), username, invitation.roles)


def new(before: Project | None, after: Project) -> list[Invitation]:
    known = before.invitations if before is not None else ()
    return [one for one in after.invitations if one not in known]


def faults(before: Project | None, after: Project, find_user: Callable[[str], User | None]) -> list[tuple[str, str]]:
    """(key, message) for each invitation that may not stand in ``after``. ``find_user``: who there is afterwards."""
    found = []
    names = [one.username for one in after.invitations]
    members = {member.username for member in after.members}
    for name in sorted(set(names)):
        if names.count(name) > 1:
            found.append(("invitations", f"{name} is invited twice"))
        if name in members:
            found.append(("invitations", f"{name} is a member already"))
    for one in new(before, after):
        user = find_user(one.username)
        if user is None or not user.active:
            found.append(("invitations", f"there is no active user {one.username!r}"))
    return found
