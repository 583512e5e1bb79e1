"""Tokens: how backends and users prove to the server who they are. A document holds only a token's SHA-256.

A personal token may have a scope and a time when it ends. A backend's token has neither.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BeforeValidator

from jobserver.domain.base import names
from jobserver.domain.base.layout import Kind, main_path
from jobserver.domain.base.rules import Proposal
from jobserver.domain.base.state import State
from jobserver.domain.base.values import Document, Line, Time, named
from jobserver.errors import Error, Fault, forbidden


class Token(Document):
    """The SHA-256 of a token. The token itself was shown once, when it was created."""

    sha256: Annotated[str, named(names.DIGEST)]
    label: Line
    created_at: Time


class Scope(StrEnum):
    """What a personal token may be used for. Each scope includes the ones before it."""

    READ = "read"  # calls that change nothing, and `git fetch`
    REQUEST = "request"  # requesting and cancelling jobs
    ADMIN = "admin"  # everything that its owner may do

    def includes(self, needed: "Scope") -> bool:
        scopes = list(Scope)
        return scopes.index(self) >= scopes.index(needed)


def _scope(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return Scope(value)
    except ValueError:
        raise ValueError(f"{value!r:.60} is not a scope: expected one of: {', '.join(Scope)}") from None


ScopeName: TypeAlias = Annotated[Scope, BeforeValidator(_scope)]
WARNING = timedelta(days=7)
"""How long before a token expires its owner gets a warning."""


class PersonalToken(Token):
    """A user's token. It does not expire without ``expires_at``. Without ``scope`` it has the scope admin."""

    expires_at: Time | None = None
    scope: ScopeName | None = None

    optional_keys: ClassVar[frozenset[str]] = frozenset({"expires_at", "scope"})

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def expires_soon(self, now: datetime) -> bool:
        """Within `WARNING`, and not yet."""
        return self.expires_at is not None and now < self.expires_at <= now + WARNING

    def allows(self, needed: Scope) -> bool:
        return self.scope is None or self.scope.includes(needed)


ONE_TIME = timedelta(hours=1)
"""How long a one-time token works."""


class OneTimeToken(Document):
    """Three words that let a person log in to Airlock once, inside a backend. ``sha256`` is an HMAC with the server's
    SECRET_KEY: three words are too few for a digest that anybody could calculate."""

    sha256: Annotated[str, named(names.DIGEST)]
    created_at: Time
    expires_at: Time

    def check(self, sha256: str, now: datetime, sessions_since: datetime | None) -> None:
        """Raises `Error` (forbidden) unless this is the token and it works: a person who was disabled in between needs
        a new one, as their sessions have ended too."""
        if self.sha256 != sha256:
            raise wrong_words()
        if self.expires_at <= now or (sessions_since is not None and self.created_at < sessions_since):
            raise forbidden("The one-time token has expired: create a new one on the settings page")


def wrong_words() -> Error:
    return forbidden("The user or the one-time token is wrong: each token works once")


def expiry_faults(tokens: Iterable[PersonalToken]) -> Iterator[tuple[str, str]]:
    """(key, message) for each token that would never work.

    Not a new `POLICY`: documents of before have no ``expires_at``, so the rule makes no old commit illegal.
    """
    for token in tokens:
        if token.has_expired(token.created_at):
            yield "tokens", f"the token {token.label!r} expires before it is created: use a time in the future"


def duplicate_tokens(proposal: Proposal) -> Iterator[Fault]:
    """A fault for each new token that somebody has already: whoever uses it would act as the other."""
    changes = proposal.changes.changes
    after = {change.path: _digests(change.after) for change in changes}
    added = {change.path: Counter(after[change.path]) - Counter(_digests(change.before)) for change in changes}
    if not any(added.values()):
        return
    owners: dict[str, str] = {}
    for path, digests in [*_unchanged_owners(proposal.state, after), *after.items()]:
        for digest in digests:
            owners.setdefault(digest, path)
    for path, new in added.items():
        for digest in new:
            if owners[digest] != path or after[path].count(digest) > 1:
                message = f"the token {digest[:10]}... is already in {owners[digest]}: create a new one"
                yield Fault(message, path, key="tokens")


def _digests(document: object) -> list[str]:
    tokens: tuple[Token, ...] = getattr(document, "tokens", ())
    return [token.sha256 for token in tokens]


def _unchanged_owners(state: State, changed: Container[str]) -> Iterator[tuple[str, list[str]]]:
    """(path, digests) of every other user and backend, disabled ones too."""
    users = ((main_path(Kind.USER, user.username), user) for user in state.users())
    backends = ((main_path(Kind.BACKEND, backend.slug), backend) for backend in state.backends())
    yield from ((path, _digests(owner)) for path, owner in chain(users, backends) if path not in changed)
