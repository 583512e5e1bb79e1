"""Who was invited to a project between two commits of `main`, and what they are told."""

from collections.abc import Iterator
from dataclasses import dataclass

from jobserver.domain.base import identifiers, layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.members import Invitation, added_invitations
from jobserver.domain.projects import Project
from jobserver.errors import Error
from jobserver.service.notify.mail import Mail
from jobserver.store.git.diff import diff
from jobserver.store.git.objects import Objects


@dataclass(frozen=True, slots=True)
class ProjectInvitation:
    """``project`` is ``org/slug``, ``title`` its name in words."""

    project: str
    title: str
    invitation: Invitation

    @property
    def mark(self) -> str:
        """Another for each invitation, also of the same person to the same project."""
        return f"invitation/{self.project}/{self.invitation.username}/{identifiers.micros(self.invitation.created_at)}"


def new_invitations(objects: Objects, before: bytes | None, after: bytes | None) -> Iterator[ProjectInvitation]:
    """``before`` and ``after`` are trees. What can't be read invites nobody. Raises as `diff`."""
    for one in diff(objects, before, after):
        where = layout.parse_path(layout.MAIN, one.path)
        if where is None or where.kind is not Kind.PROJECT or one.new is None:
            continue
        try:
            old = objects.document(one.old, Project, one.path) if one.old is not None else None
            new = objects.document(one.new, Project, one.path)
        except Error:
            continue
        for invitation in added_invitations(old, new):
            yield ProjectInvitation(where.name, new.name, invitation)


def email(found: ProjectInvitation, to: str, url: str) -> Mail:
    """``url``: where it is accepted."""
    invitation = found.invitation
    body = "\n".join(
        [
            f"{invitation.invited_by} invites you to the project {found.title} ({found.project})",
            f"as {', '.join(invitation.roles)}.",
            "",
            "To accept or decline, log in and open:",
            "",
            url,
            "",
            "Nothing happens if you do not. The link is of use to you only.",
        ]
    )
    return Mail(to, f"Invitation to {found.title}", body + "\n")
