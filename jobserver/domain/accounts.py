"""Which account belongs to a person who logs in with GitHub or OpenID Connect: the one that is bound to them there.

An account is bound to GitHub's number, or to the issuer and subject of OpenID Connect. Those stay a person's own. A
name does not: people can change theirs, and then another person can take it.
"""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobserver.domain.base.permissions import Role
from jobserver.errors import Error, forbidden

if TYPE_CHECKING:
    from jobserver.domain.users import User

_NAMED = 3  # administrators that a refused person can ask


def github_account(users: "Iterable[User]", github_id: int, login: str) -> "User | None":
    """The account with this GitHub number, or else the unbound account with this username; None if there is neither.

    Ignores upper and lower case in usernames, as GitHub does. Raises `Error` (forbidden) if the username belongs to
    another person's account.
    """
    everybody = list(users)
    if (bound := next((user for user in everybody if user.github_id == github_id), None)) is not None:
        return bound
    named = [user for user in everybody if user.username.lower() == login.lower()]
    if not named:
        return None
    if len(named) > 1:
        raise _refused(f"more than one user here has the name {login}, so you are not logged in", everybody)
    user = named[0]
    if user.github_id is not None:
        reason = f"the user {user.username} here belongs to another account on GitHub, so you are not logged in"
        raise _refused(reason, everybody)
    if user.oidc_id is not None:
        reason = f"the user {user.username} here does not log in with GitHub, so you are not logged in"
        raise _refused(reason, everybody)
    return user


def oidc_id(issuer: str, subject: str) -> str:
    """Who a person is at an OpenID Connect provider, which never gives a subject to another person (OpenID Connect Core
    1.0, section 5.7).

    A SHA-256, because some providers use email addresses as subjects, and nothing can be erased from git.
    """
    return hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()


def oidc_account(users: "Iterable[User]", identifier: str, username: str) -> "User | None":
    """The account that is bound to this `oidc_id`; None if there is none and the username is free.

    Raises `Error` (forbidden) if the username belongs to another account: at most providers people choose their names,
    so a name alone binds no account.
    """
    everybody = list(users)
    if (bound := next((user for user in everybody if user.oidc_id == identifier), None)) is not None:
        return bound
    for user in everybody:
        if user.username.lower() == username.lower():
            reason = (
                f"the username {user.username} is taken, so you are not logged in. If the account is yours, log in to"
                " it another way, and connect it on the page Settings. Otherwise"
            )
            raise _refused(reason, everybody)
    return None


def _refused(reason: str, users: "Iterable[User]") -> Error:
    admins = sorted(user.username for user in users if user.active and Role.SUPER_USER in user.roles)
    return forbidden(f"{reason}: ask {', '.join(admins[:_NAMED]) or 'an administrator'}")
