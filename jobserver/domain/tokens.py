"""Tokens: how backends and users prove to the server who they are. A document holds only a token's SHA-256."""

from collections import Counter
from collections.abc import Container, Iterator
from itertools import chain
from typing import Annotated

from jobserver.domain.base import names
from jobserver.domain.base.layout import Kind, main_path
from jobserver.domain.base.rules import Proposal
from jobserver.domain.base.state import State
from jobserver.domain.base.values import Document, Line, Time, named
from jobserver.errors import Fault


class Token(Document):
    """The SHA-256 of a token. The token itself was shown once, when it was created."""

    sha256: Annotated[str, named(names.DIGEST)]
    label: Line
    created_at: Time


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
