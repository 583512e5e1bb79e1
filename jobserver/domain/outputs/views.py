"""Looks at released files that the record names: those of people who may look only because they give technical support.

A look changes no document. Its commit is on the branch of the backend, and its trailers say which release it was; its
actor is the person who looked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from jobserver.domain.base.permissions import SEE_RELEASES, Role, granted
from jobserver.domain.base.rights import Rights, permissions_of
from jobserver.domain.base.state import Changes, Main, State
from jobserver.domain.base.validation import checked
from jobserver.domain.base.values import Document, Line, WorkspaceName
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Fault

EVENT = "release.viewed"


class ReleaseView(Document):
    """Of a release of this workspace, by anybody who may see it."""

    workspace: WorkspaceName
    identifier: Annotated[Line, Field(min_length=1, max_length=64)]


@dataclass(frozen=True, slots=True)
class RecordView:
    backend: str
    view: ReleaseView


def plan(state: State, command: RecordView, username: str) -> Changes:
    view = command.view
    subject = f"{username} looked at release {view.identifier} of {view.workspace}"
    trailers = (("Workspace", view.workspace), ("Release", view.identifier))
    return Changes(state.branch, EVENT, subject, trailers=trailers, view=view)


def read_trailers(trailers: Sequence[tuple[str, str]]) -> ReleaseView:
    """The look that a commit's trailers speak of. Raises `Error` (invalid)."""
    by_key = dict(reversed(trailers))  # of several the first, as everywhere
    return checked(ReleaseView, {"workspace": by_key.get("Workspace", ""), "identifier": by_key.get("Release", "")})


def check_right(rights: Rights, view: ReleaseView) -> None:
    """Raises `Error` (forbidden). Nobody is named for a look of somebody else."""
    workspace, user = rights.state.workspace(view.workspace), rights.user
    # A workspace that does not exist is a fault, which `faults` finds.
    may_look = user is not None and (workspace is None or _may_view(rights.state, user, workspace))
    rights.need(may_look, f"look at releases of {view.workspace}")


def faults(state: State, view: ReleaseView) -> list[Fault]:
    if state.workspace(view.workspace) is not None:
        return []
    return [Fault(f"workspace {view.workspace!r} does not exist", key="workspace")]


def is_recorded(main: Main, user: User, workspace: Workspace) -> bool:
    """Whether a look of this person is named: of those who may look by no other role than TechSupport."""
    if Role.TECH_SUPPORT not in user.roles:
        return False
    other = user.model_copy(update={"roles": tuple(role for role in user.roles if role is not Role.TECH_SUPPORT)})
    return not _may_view(main, other, workspace) and not granted([Role.TECH_SUPPORT]).isdisjoint(SEE_RELEASES)


def _may_view(main: Main, user: User, workspace: Workspace) -> bool:
    return not permissions_of(main, user, workspace.project).isdisjoint(SEE_RELEASES)
