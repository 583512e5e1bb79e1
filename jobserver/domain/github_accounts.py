"""Finds the account of a person who logs in with GitHub, by GitHub's number for them.

The number never changes. Their GitHub username can: they can give it up, and another person can take it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobserver.domain.base.permissions import Role
from jobserver.errors import Error, forbidden

if TYPE_CHECKING:
    from jobserver.domain.users import User

_NAMED = 3  # how many administrators a refusal names


def account_of(users: "Iterable[User]", github_id: int, login: str) -> "User | None":
    """The account with this GitHub number, or else the account with this username and no number; None if there is
    neither.

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
        raise _refused(f"more than one user here has the name {login}", everybody)
    if named[0].github_id is not None:
        raise _refused(f"the user {named[0].username} here belongs to another account on GitHub", everybody)
    return named[0]


def _refused(why: str, users: "Iterable[User]") -> Error:
    admins = sorted(user.username for user in users if user.active and Role.SUPER_USER in user.roles)
    return forbidden(f"{why}, so you are not logged in: ask {', '.join(admins[:_NAMED]) or 'an administrator'}")
