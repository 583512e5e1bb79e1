"""The email to a person who is invited to a project."""

from collections.abc import Iterator
from dataclasses import dataclass

from jobserver.domain.base import identifiers, layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.members import Invitation, added_invitations
from jobserver.domain.projects import Project
from jobserver.errors import Error
from jobserver.service.notify.email.mail import Mail
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
        """Different for each invitation, also if the same person is invited to the same project again."""
        return f"invitation/{self.project}/{self.invitation.username}/{identifiers.micros(self.invitation.created_at)}"


def new_invitations(objects: Objects, before: bytes | None, after: bytes | None) -> Iterator[ProjectInvitation]:
    """Invitations that ``after`` has and ``before`` has not; both are trees of `main`. Documents that can't be read are
    skipped. Raises as `diff`.
    """
    for change in diff(objects, before, after):
        where = layout.parse_path(layout.MAIN, change.path)
        if where is None or where.kind is not Kind.PROJECT or change.new is None:
            continue
        try:
            old = objects.document(change.old, Project, change.path) if change.old is not None else None
            new = objects.document(change.new, Project, change.path)
        except Error:
            continue
        for invitation in added_invitations(old, new):
            yield ProjectInvitation(where.name, new.name, invitation)


def email(new: ProjectInvitation, url: str) -> Mail:
    """``url``: the page where the person accepts or declines."""
    invitation = new.invitation
    body = "\n".join(
        [
            f"{invitation.invited_by} has invited you to the project {new.title} ({new.project})",
            f"as {', '.join(role.words for role in invitation.roles)}.",
            "",
            f"View the invitation: {url}",
            "",
            "You can accept or decline it after you log in. Only you can use this link.",
        ]
    )
    return Mail(f"Invitation to {new.title}", body + "\n")
