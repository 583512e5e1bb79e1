"""Who is calling: a token's SHA-256, looked up in ``main`` as it is now, so that a revoked one stops at once."""

import hashlib
import secrets

from jobserver.domain.permissions import Actor, ActorKind
from jobserver.errors import unauthenticated
from jobserver.index.follow import Index


def token_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def new_token() -> tuple[str, str]:
    """(secret of 160 random bits, its SHA-256)."""
    secret = secrets.token_hex(20)
    return secret, token_digest(secret)


class Auth:
    def __init__(self, index: Index) -> None:
        self._index = index

    @staticmethod
    def token_of(header: str | None) -> str:
        """The token in an Authorization header: alone, or after ``Bearer``.

        Raises `Error` (unauthenticated), in the words that runners know from job-server.
        """
        if header is None:
            raise unauthenticated("Authorization header is missing")
        token = header.strip()
        if not token:
            raise unauthenticated("Authorization header is empty")
        scheme, _, rest = token.partition(" ")
        if scheme.lower() == "bearer":
            token = rest.strip()
        return token

    def person(self, username: str) -> Actor | None:
        """Somebody who has a session; None if they are switched off."""
        user = self._index.directory().user(username)
        return Actor(ActorKind.USER, username) if user is not None and user.active else None

    def by_digest(self, digest: str) -> Actor:
        """Raises `Error` (unauthenticated) for the digest of a token that is nobody's, or no longer."""
        # A lookup by digest tells nothing by its time: nobody can choose a digest's first bytes to order.
        actor = self._index.directory().tokens.get(digest)
        if actor is None:
            raise unauthenticated("Invalid token")
        return actor
