"""Who is calling, and whether their token or session still counts: the one place that decides.

It reads `main` as it is now, so that a token that is revoked stops at once. Code that holds an answer back checks again
before it sends the answer.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.base.values import timestamp
from jobserver.domain.tokens import PersonalToken, Scope
from jobserver.domain.users import User
from jobserver.errors import Error, forbidden, invalid, unauthenticated
from jobserver.index.index import Index

_DAYS = re.compile(r"([0-9]{1,5})d")


def token_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def new_token() -> tuple[str, str]:
    """(secret of 160 random bits, its SHA-256)."""
    secret = secrets.token_hex(20)
    return secret, token_digest(secret)


def parse_expiry(text: str, now: datetime) -> datetime:
    """The time that ``90d`` (days from ``now``) or ``2027-03-31`` (the end of that day, UTC) means.

    Raises `Error` (invalid).
    """
    try:
        if match := _DAYS.fullmatch(text):
            return now + timedelta(days=int(match[1]))
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise invalid("expected days such as 90d, or a day such as 2027-03-31", "expires") from None


def epoch(user: User) -> str:
    """What a session of this person must contain to count: it changes when the person is enabled again."""
    return timestamp(user.sessions_since) if user.sessions_since is not None else ""


HasLeft = Callable[[int | None, bool], bool]
"""Whether a GitHub account is gone or has left the organisation. The second argument: whether to wait for GitHub."""


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Who has a token, and when it expires; None if it does not expire."""

    actor: Actor
    expires_at: datetime | None = None


class Auth:
    def __init__(
        self,
        index: Index,
        clock: Callable[[], datetime],
        has_left: HasLeft = lambda github_id, waits: False,
    ) -> None:
        self._index, self._clock, self._has_left = index, clock, has_left

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
        self, username: str, since: str = "", github_id: int | None = None, waits: bool = True, oidc_id: str = ""
    ) -> Actor | None:
        """The person with a session that began at this `epoch` of theirs. ``github_id``, ``oidc_id``: who they were
        where they logged in. None if the session is not valid any more."""
        user = self._index.directory().user(username)
        if user is None or not user.active or epoch(user) != since:
            return None
        if github_id not in (None, user.github_id) or oidc_id not in ("", user.oidc_id):
            return None
        if self._has_left(user.github_id, waits):
            return None
        return Actor(ActorKind.USER, username)

    def token_holder(self, digest: str, needed: Scope = Scope.READ) -> TokenHolder:
        """Checks that the token is valid and may be used for what is ``needed``.

        Raises `Error`: unauthenticated for a token that is unknown, revoked or expired; forbidden for one with a
        smaller scope; `left_organisation`.
        """
        # A lookup by digest tells nothing by its time: nobody can choose a digest's first bytes to order.
        directory = self._index.directory()
        actor = directory.tokens.get(digest)
        if actor is None:
            raise unauthenticated("Invalid token")
        user = directory.user(actor.name) if actor.kind is ActorKind.USER else None
        if user is None:
            return TokenHolder(actor)
        token = next(token for token in user.tokens if token.sha256 == digest)
        self._check(token, needed)
        if self._has_left(user.github_id, True):
            raise left_organisation(actor.name)
        return TokenHolder(actor, token.expires_at)

    def _check(self, token: PersonalToken, needed: Scope) -> None:
        if token.expires_at is not None and token.has_expired(self._clock()):
            raise unauthenticated(f"Invalid token: it expired on {token.expires_at:%Y-%m-%d at %H:%M} UTC")
        if not token.allows(needed):
            raise forbidden(
                f"This token has the scope {token.scope}, but this needs the scope {needed}: use another token"
            )


def left_organisation(username: str) -> Error:
    return forbidden(f"{username} has left the GitHub organisation, or GitHub: an administrator can say more")
