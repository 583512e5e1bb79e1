"""The email to a person whose personal token expires soon."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from jobserver.domain.tokens import PersonalToken
from jobserver.domain.users import User
from jobserver.service.notify.email.mail import Mail


def expiring_tokens(users: Iterable[User], now: datetime) -> Iterator[tuple[User, PersonalToken]]:
    """The tokens of active users that expire within `tokens.WARNING`."""
    for user in users:
        if user.active:
            yield from ((user, token) for token in user.tokens if token.expires_soon(now))


def email(token: PersonalToken, base_url: str) -> Mail:
    """About a token with an ``expires_at``."""
    body = "\n".join(
        [
            f"Your personal access token {token.label!r} expires on {token.expires_at:%Y-%m-%d at %H:%M} UTC.",
            "Scripts that use it will then stop working.",
            "",
            f"Create a new token: {base_url}/settings/",
        ]
    )
    return Mail(f"Your token {token.label!r} expires soon", body + "\n")
