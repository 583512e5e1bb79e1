"""What the endpoints of the API share: whose token a call needs, what it may read, and idempotency keys."""

import contextlib
from typing import TypeVar

from bottle import request

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.releases import may_view
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import forbidden, invalid, not_found
from jobserver.index.directory import Directory
from jobserver.service.writes.idempotency import Key, Ledger
from jobserver.web import http
from jobserver.web.api.fields import Fields
from jobserver.web.server.stream import UNREADABLE

S = TypeVar("S")


def require_person(actor: Actor) -> None:
    """Raises `Error` (forbidden) for a backend."""
    if actor.kind is not ActorKind.USER:
        raise forbidden("This needs a person's token, not a backend's")


def person_of(directory: Directory, actor: Actor) -> User:
    """The account of the caller. Raises `Error` (forbidden) for a backend."""
    require_person(actor)
    user = directory.user(actor.name)
    if user is None:  # it was deleted a moment ago
        raise forbidden(f"{actor.name} is not an active user")
    return user


def require_backend(actor: Actor) -> None:
    """Raises `Error` (forbidden) for a person."""
    if actor.kind is not ActorKind.BACKEND:
        raise forbidden("This needs a backend's token, not a person's")


def named_person(header: str) -> str:
    """The person whom a backend names in this header; empty if it is missing or can't be read.

    Many clients send UTF-8, though HTTP's headers are Latin-1.
    """
    value = (http.header(header) or "").strip()
    with contextlib.suppress(UnicodeError):
        value = value.encode("latin-1").decode("utf-8").strip()
    return "" if value == UNREADABLE else value


class Keys:
    """Reads idempotency keys before the body: a key that was used with another body is a conflict, whatever the body
    contains."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def of(self, actor: Actor, body: bytes) -> Key | None:
        """The request's key, if it has one.

        Raises `Error`: invalid for a malformed key, conflict for a key that was used with another body.
        """
        header = http.header("Idempotency-Key")
        if header is None:
            return None
        text = header.strip()
        if not 1 <= len(text) <= 255 or not text.isascii() or not text.isprintable():
            raise invalid("expected 1 to 255 printable ASCII characters", "Idempotency-Key")
        key = Key.of(actor, request.method, request.path, text, body)
        self._ledger.find(key)
        return key

    def fields(self, actor: Actor) -> tuple[Fields, Key | None]:
        """The fields of a person's call, none without a body, and its key. Raises `Error` (forbidden, invalid, ...)."""
        require_person(actor)
        body = http.read_body()
        key = self.of(actor, body)
        return Fields(http.read_json(body) if body else {}), key


def viewed_releases(directory: Directory, actor: Actor, name: str, service: S | None) -> tuple[Workspace, S]:
    """The workspace, whose releases the person may view, and the ``service`` that has them.

    Raises `Error` (forbidden, not_found)."""
    user, workspace = person_of(directory, actor), directory.workspace(name)
    if workspace is None:
        raise not_found(f"Workspace {name[:100]} does not exist")
    if not may_view(directory, user, workspace):
        raise forbidden(f"{user.username} can't view the releases of {name}: that needs a role that checks output")
    if service is None:
        raise not_found("This server does not store releases: RELEASE_STORAGE is not set")
    return workspace, service
