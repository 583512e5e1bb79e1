"""Who is calling, and whether their token or session still counts: the one place that decides.

It reads `main` as it is now, so that a token that is revoked stops at once. Code that holds an answer back checks again
before it sends the answer.
"""

import hashlib
import secrets
from collections.abc import Callable

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.base.values import timestamp
from jobserver.domain.users import User
from jobserver.errors import Error, forbidden, unauthenticated
from jobserver.index.index import Index


def token_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def new_token() -> tuple[str, str]:
    """(secret of 160 random bits, its SHA-256)."""
    secret = secrets.token_hex(20)
    return secret, token_digest(secret)


def epoch(user: User) -> str:
    """What a session of this person must contain to count: it changes when the person is enabled again."""
    return timestamp(user.sessions_since) if user.sessions_since is not None else ""


HasLeft = Callable[[int | None, bool], bool]
"""Whether a GitHub account is gone or has left the organisation. The second argument: whether to wait for GitHub."""


class Auth:
    def __init__(self, index: Index, has_left: HasLeft = lambda github_id, waits: False) -> None:
        self._index, self._has_left = index, has_left

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

    def session_user(
        self, username: str, since: str = "", github_id: int | None = None, waits: bool = True
    ) -> Actor | None:
        """Somebody who has a session that began at this `epoch` of theirs, and, if GitHub said who they are, as whose
        account there; None if it counts no more."""
        user = self._index.directory().user(username)
        if user is None or not user.active or epoch(user) != since:
            return None
        if github_id not in (None, user.github_id) or self._has_left(user.github_id, waits):
            return None
        return Actor(ActorKind.USER, username)

    def token_holder(self, digest: str) -> Actor:
        """Raises `Error`: unauthenticated for a token that nobody has (any more); `left_organisation`."""
        # A lookup by digest tells nothing by its time: nobody can choose a digest's first bytes to order.
        directory = self._index.directory()
        actor = directory.tokens.get(digest)
        if actor is None:
            raise unauthenticated("Invalid token")
        user = directory.user(actor.name) if actor.kind is ActorKind.USER else None
        if user is not None and self._has_left(user.github_id, True):
            raise left_organisation(actor.name)
        return actor


def left_organisation(username: str) -> Error:
    return forbidden(f"{username} has left the GitHub organisation, or GitHub: an administrator can say more")
