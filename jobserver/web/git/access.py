"""Who may fetch and push what, below /state.git."""

import base64
import binascii
from dataclasses import dataclass

from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor, ActorKind, Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.tokens import Scope
from jobserver.errors import forbidden, unauthenticated
from jobserver.index.index import Index
from jobserver.web import http
from jobserver.web.authentication import Callers


@dataclass(frozen=True, slots=True)
class Access:
    """``ref`` is the only ref that the caller sees; empty for all refs."""

    actor: Actor
    ref: str
    may_push: bool


def access_of(callers: Callers, index: Index, needed: Scope) -> Access:
    """A backend fetches and pushes its own branch. People with READ_ALL fetch everything; SuperUsers push it too.

    ``needed``: the scope that a personal token needs.
    Raises `Error`: unauthenticated, too_many, or forbidden for other people.
    """
    actor = callers.of_git(_password(), needed)
    if actor.kind is ActorKind.BACKEND:
        return Access(actor, f"refs/heads/{layout.backend_branch(actor.name)}", True)
    directory = index.directory()
    user = directory.user(actor.name)
    permissions = permissions_of(directory, user) if user else frozenset()
    if Permission.ADMINISTER in permissions:
        return Access(actor, "", True)
    if Permission.READ_ALL in permissions:
        return Access(actor, "", False)
    who = "SuperUsers, Auditors, TechSupport and backends"
    raise forbidden(f"{actor.name} can't read the state repository: only {who} can")


def _password() -> str:
    """The token of the Authorization header: as a password (Basic), or as the API takes it."""
    header = http.header("Authorization")
    if not header:
        raise unauthenticated("send a token, as the password of any username")
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return rest.strip() if scheme.lower() == "bearer" else header.strip()
    try:
        return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise unauthenticated("the Authorization header is malformed") from None
