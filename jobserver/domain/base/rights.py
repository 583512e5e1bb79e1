"""What one actor may do on one branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobserver.domain.base.layout import branch_backend
from jobserver.domain.base.permissions import Actor, ActorKind, Permission, granted
from jobserver.errors import forbidden

if TYPE_CHECKING:
    from jobserver.domain.base.state import Changes, Main, State
    from jobserver.domain.users import User


class Rights:
    """The rights of ``actor`` when these changes are judged. Raises `Error` (forbidden) for an inactive actor."""

    def __init__(self, state: State, actor: Actor, changes: Changes) -> None:
        self.state, self.actor, self.changes = state, actor, changes
        self._permissions: dict[str | None, frozenset[Permission]] = {}  # within a project
        self.user = state.user(actor.name) if actor.kind is ActorKind.USER else None
        if actor.kind is ActorKind.USER and (self.user is None or not self.user.active):
            raise forbidden(f"{actor.name} is not an active user")
        if actor.kind is ActorKind.BACKEND:
            backend = state.backend(actor.name)
            if backend is None or not backend.active:
                raise forbidden(f"{actor.name} is not an active backend")

    @property
    def is_server(self) -> bool:
        return self.actor.kind is ActorKind.SERVER

    @property
    def is_own_backend(self) -> bool:
        """Whether the actor is the backend that the branch belongs to."""
        return self.actor.kind is ActorKind.BACKEND and branch_backend(self.changes.branch) == self.actor.name

    def is_user(self, username: str) -> bool:
        """Whether the actor is this person."""
        return self.user is not None and self.actor.name == username

    def may(self, permission: Permission, project: str | None = None) -> bool:
        """Whether the actor is a person with this permission, everywhere or within ``project`` (``org/slug``)."""
        if self.user is None:
            return False
        if project not in self._permissions:
            self._permissions[project] = permissions_of(self.state, self.user, project)
        return permission in self._permissions[project]

    def need(self, allowed: bool, action: str) -> None:
        """Raises `Error` (forbidden) unless the action is allowed."""
        if not allowed:
            raise forbidden(f"{self.actor.name} cannot {action}")


def permissions_of(main: Main, user: User, project: str | None = None) -> frozenset[Permission]:
    """The permissions of ``user`` everywhere, or within ``project`` (``org/slug``); none for a disabled user."""
    if not user.active:
        return frozenset()
    roles = [user.roles]
    if project is not None and (document := main.project(project)) is not None:
        roles += [member.roles for member in document.members if member.username == user.username]
        if (org := main.org(document.org)) is not None:
            roles += [member.roles for member in org.members if member.username == user.username]
    return granted(*roles)
