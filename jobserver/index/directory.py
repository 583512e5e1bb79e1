"""Branch ``main`` in memory: all its documents, and the owner of each token. There is one immutable `Directory` per
tip.

It is kept whole because it is small and each request reads it. A new tip costs what has changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from jobserver.domain.backends import Backend
from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.documents import AnyDocument
from jobserver.domain.orgs import Org
from jobserver.domain.projects import Project
from jobserver.domain.site_messages import SiteMessage
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Fault
from jobserver.index.sqlite.apply import Delta

D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Directory:
    """Like `domain.base.state.Main`, but unreadable documents are left out, and their faults are in ``faults``."""

    tip: str | None = None
    backends: Mapping[str, Backend] = field(default_factory=dict)
    users: Mapping[str, User] = field(default_factory=dict)
    orgs: Mapping[str, Org] = field(default_factory=dict)
    projects: Mapping[str, Project] = field(default_factory=dict)
    workspaces: Mapping[str, Workspace] = field(default_factory=dict)
    site_messages: Mapping[str, SiteMessage] = field(default_factory=dict)
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    tokens: Mapping[str, Actor] = field(default_factory=dict)

    def backend(self, slug: str) -> Backend | None:
        return self.backends.get(slug)

    def user(self, username: str) -> User | None:
        return self.users.get(username)

    def org(self, slug: str) -> Org | None:
        return self.orgs.get(slug)

    def project(self, name: str) -> Project | None:
        return self.projects.get(name)

    def workspace(self, name: str) -> Workspace | None:
        return self.workspaces.get(name)

    @property
    def site_message(self) -> SiteMessage | None:
        return self.site_messages.get(layout.SITE_MESSAGE)

    def is_active(self, actor: Actor) -> bool:
        account = self.users.get(actor.name) if actor.kind is ActorKind.USER else self.backends.get(actor.name)
        return account is not None and account.active

    def updated(self, tip: str, deltas: Iterable[Delta]) -> "Directory":
        """The directory at ``tip``, which differs from this one by ``deltas``."""
        documents: dict[Kind, dict[str, AnyDocument | None]] = {kind: {} for kind in Kind}
        faults = dict(self.faults)
        for delta in deltas:
            faults.pop(delta.path, None)
            if delta.faults:
                faults[delta.path] = delta.faults
            if where := layout.parse_path(layout.MAIN, delta.path):
                documents[where.kind][where.name] = delta.document
        new = replace(
            self,
            tip=tip,
            backends=_merged(self.backends, documents[Kind.BACKEND]),
            users=_merged(self.users, documents[Kind.USER]),
            orgs=_merged(self.orgs, documents[Kind.ORG]),
            projects=_merged(self.projects, documents[Kind.PROJECT]),
            workspaces=_merged(self.workspaces, documents[Kind.WORKSPACE]),
            site_messages=_merged(self.site_messages, documents[Kind.MESSAGE]),
            faults=faults,
        )
        if documents[Kind.BACKEND] or documents[Kind.USER]:
            new = replace(new, tokens=_tokens(new))
        return new


def _merged(known: Mapping[str, D], updates: Mapping[str, AnyDocument | None]) -> Mapping[str, D]:
    if not updates:
        return known
    both: dict[str, D] = {**known, **updates}  # type: ignore[dict-item]  # the path's kind decided the model
    return {name: document for name, document in sorted(both.items()) if document is not None}


def _tokens(directory: Directory) -> dict[str, Actor]:
    """SHA-256 -> owner, of active users and backends only. Leaves out a token that two of them have."""
    holders: dict[str, set[Actor]] = {}
    for user in directory.users.values():
        for token in user.tokens:
            holders.setdefault(token.sha256, set()).add(Actor(ActorKind.USER, user.username))
    for backend in directory.backends.values():
        for backend_token in backend.tokens:
            holders.setdefault(backend_token.sha256, set()).add(Actor(ActorKind.BACKEND, backend.slug))
    return {sha: actor for sha, (actor, *others) in holders.items() if not others and directory.is_active(actor)}
