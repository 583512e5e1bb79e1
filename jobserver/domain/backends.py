"""Backends: the secure environments that run jobs. Only people who administer jobserver change them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, TypeAlias, assert_never

from pydantic import Field

from jobserver.domain.base.layout import DocPath, Kind
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.planning import require, require_absent, write_document
from jobserver.domain.base.rules import Rules
from jobserver.domain.base.state import Changes, State
from jobserver.domain.base.values import Database, Document, Line, Slug, Time, Version
from jobserver.domain.rap.controller import DATABASES, GITHUB, RapController
from jobserver.domain.tokens import Token
from jobserver.errors import conflict


class Backend(Document):
    version: Version = 1
    slug: Slug
    name: Line
    parent_directory: Line = ""
    databases: tuple[Database, ...] = Field(default=(), strict=False)
    active: bool = True
    accepts_requests: bool | None = None
    alert_after_minutes: Annotated[int, Field(ge=1, le=100_000)] = 5
    tokens: tuple[Token, ...] = Field(default=(), strict=False)
    created_at: Time
    rap: RapController | None = None

    optional_keys: ClassVar[frozenset[str]] = frozenset({"accepts_requests", "rap"})

    @property
    def is_paused(self) -> bool:
        """Whether it takes no new requests. Its runner goes on with those that it has."""
        return self.accepts_requests is False

    def path_keys(self, path: DocPath) -> dict[str, object]:
        return {"slug": path.name}


@dataclass(frozen=True, slots=True)
class AddBackend:
    slug: str
    token_sha256: str
    name: str = ""
    databases: tuple[str, ...] = ()
    parent_directory: str = ""


@dataclass(frozen=True, slots=True)
class RotateBackendToken:
    """Adds a token. Revokes the others unless ``keep_old``."""

    slug: str
    token_sha256: str
    keep_old: bool = False


@dataclass(frozen=True, slots=True)
class RevokeBackendToken:
    """Revokes all tokens but the newest."""

    slug: str


@dataclass(frozen=True, slots=True)
class DeactivateBackend:
    slug: str


@dataclass(frozen=True, slots=True)
class ActivateBackend:
    """The tokens that the backend had when it was deactivated work again."""

    slug: str


@dataclass(frozen=True, slots=True)
class PauseBackend:
    """Stops new requests, before maintenance for example. Requests that it has go on."""

    slug: str


@dataclass(frozen=True, slots=True)
class ResumeBackend:
    slug: str


@dataclass(frozen=True, slots=True)
class ConnectController:
    """The server calls this controller from now on, which runs the backend's requests. See `RapController`."""

    slug: str
    url: str
    databases: Mapping[str, str] | None = None
    repositories: str = GITHUB


@dataclass(frozen=True, slots=True)
class DisconnectController:
    """A runner that calls the server runs the backend's requests from now on."""

    slug: str


Command: TypeAlias = (
    AddBackend
    | RotateBackendToken
    | RevokeBackendToken
    | DeactivateBackend
    | ActivateBackend
    | PauseBackend
    | ResumeBackend
    | ConnectController
    | DisconnectController
)


def plan(state: State, command: Command, actor: Actor, now: datetime) -> Changes:
    slug = command.slug
    if isinstance(command, AddBackend):
        require_absent(state.backend(slug), Kind.BACKEND, slug)
        after = Backend(
            slug=slug,
            name=command.name or slug,
            parent_directory=command.parent_directory,
            databases=command.databases,
            tokens=(Token(sha256=command.token_sha256, label="first", created_at=now),),
            created_at=now,
        )
        subject = f"{actor.name} added backend {slug}"
        return write_document(Kind.BACKEND, slug, None, after, "backend.created", subject)
    before = require(state.backend(slug), Kind.BACKEND, slug)
    update: dict[str, object]
    match command:
        case RotateBackendToken():
            if not before.active:
                raise conflict(f"backend {slug} is not active, so a token would not work: activate it first")
            token = Token(sha256=command.token_sha256, label=f"rotated {now:%Y-%m-%d}", created_at=now)
            kept = before.tokens if command.keep_old else ()
            update, event, verb = {"tokens": (*kept, token)}, "backend.token-rotated", "rotated the token of"
        case RevokeBackendToken():
            update, event, verb = {"tokens": before.tokens[-1:]}, "backend.token-revoked", "revoked the old tokens of"
        case ActivateBackend():
            update, event, verb = {"active": True}, "backend.activated", "activated"
        case DeactivateBackend():
            update, event, verb = {"active": False}, "backend.deactivated", "deactivated"
        case PauseBackend():
            update, event, verb = {"accepts_requests": False}, "backend.paused", "paused"
        case ResumeBackend():
            update, event, verb = {"accepts_requests": None}, "backend.resumed", "resumed"
        case ConnectController(_, url, databases, repositories):
            rap = RapController(url=url, databases=dict(databases or DATABASES), repositories=repositories)
            update, event, verb = {"rap": rap}, "backend.controller-connected", "connected the controller of"
        case DisconnectController():
            update, event, verb = {"rap": None}, "backend.controller-disconnected", "disconnected the controller of"
        case _:
            assert_never(command)
    after = before.model_copy(update=update)
    return write_document(Kind.BACKEND, slug, before, after, event, f"{actor.name} {verb} backend {slug}")


RULES = Rules()
