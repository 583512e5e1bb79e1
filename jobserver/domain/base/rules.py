"""What each noun tells `admit` about its documents: which changes of them are sound, and who may make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from jobserver.domain.base.layout import Kind, main_path
from jobserver.domain.base.state import Change, Changes, State

if TYPE_CHECKING:
    from datetime import datetime

    from jobserver.domain.backends import Backend
    from jobserver.domain.base.rights import Rights
    from jobserver.domain.orgs import Org
    from jobserver.domain.projects import Project
    from jobserver.domain.users import User

D = TypeVar("D")
KeyFault: TypeAlias = tuple[str, str]
"""A key of a document, and what is wrong with its value."""


class Proposal:
    """A state with the changes that are judged, and the policy and the time that they are judged by.

    The methods answer for the documents of ``main`` as they would be after the changes. Without ``now`` no rule that
    needs the time is applied.
    """

    def __init__(self, state: State, changes: Changes, policy: int, now: datetime | None) -> None:
        self.state, self.changes, self.policy, self.now = state, changes, policy, now
        self._after = {change.path: change.after for change in changes.changes}

    def user(self, username: str) -> User | None:
        return self._document(Kind.USER, username, self.state.user)

    def backend(self, slug: str) -> Backend | None:
        return self._document(Kind.BACKEND, slug, self.state.backend)

    def org(self, slug: str) -> Org | None:
        return self._document(Kind.ORG, slug, self.state.org)

    def project(self, name: str) -> Project | None:
        return self._document(Kind.PROJECT, name, self.state.project)

    def unchanged_users(self) -> list[User]:
        """Every user whose document these changes leave as it is."""
        return [user for user in self.state.users() if main_path(Kind.USER, user.username) not in self._after]

    def changed(self, model: type[D]) -> list[D]:
        """Every document of this model that these changes write."""
        return [document for document in self._after.values() if isinstance(document, model)]

    def created(self, model: type[D]) -> list[D]:
        """Every document of this model that these changes create."""
        created = (change.after for change in self.changes.changes if change.before is None)
        return [document for document in created if isinstance(document, model)]

    def _document(self, kind: Kind, name: str, stored: Callable[[str], D | None]) -> D | None:
        path = main_path(kind, name)
        if path in self._after:
            return cast("D | None", self._after[path])  # the path says the kind of the document
        return stored(name)


def _no_faults(proposal: Proposal, change: Change) -> Sequence[KeyFault]:
    return ()


def _nobody(rights: Rights, change: Change) -> bool:
    return False


def _no_limits(rights: Rights, change: Change) -> None:
    pass


Right: TypeAlias = "Callable[[Rights, Change], bool]"


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one kind of document.

    ``faults`` finds what is wrong with a change. ``create``, ``update`` and ``delete`` say who may make it, beside
    people with the permission `administer`, who may make every change of `main` and of a backend's branch. ``limits``
    raises `Error` (forbidden) for what not even they may do. ``by_server``: the server itself may write this kind.
    """

    faults: Callable[[Proposal, Change], Sequence[KeyFault]] = _no_faults
    create: Right = _nobody
    update: Right = _nobody
    delete: Right = _nobody
    limits: Callable[[Rights, Change], None] = _no_limits
    by_server: bool = False
