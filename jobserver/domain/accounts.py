"""Whose account somebody from GitHub has: by GitHub's number, which stays theirs, and not by a name, which they may
give up and another may take.
"""

from collections.abc import Iterable

from jobserver.domain.base.permissions import Role
from jobserver.domain.documents import User
from jobserver.errors import Error, forbidden

_NAMED = 3  # administrators that are named to who is not let in


def account_of(users: Iterable[User], github_id: int, login: str) -> User | None:
    """The account that is bound to this number, whatever it is called now; or else the one of that name that is bound
    to none. None: there is neither. GitHub takes names that differ by case only for one.

    Raises `Error` (forbidden) where the name is another's.
    """
    everybody = list(users)
    if (bound := next((one for one in everybody if one.github_id == github_id), None)) is not None:
        return bound
    named = [one for one in everybody if one.username.lower() == login.lower()]
    if not named:
        return None
    if len(named) > 1:
        raise _refused(f"there is more than one account here that is called {login}", everybody)
    if named[0].github_id is not None:
        raise _refused(f"the account {named[0].username} here belongs to another account on GitHub", everybody)
    return named[0]


def _refused(why: str, users: Iterable[User]) -> Error:
    admins = sorted(one.username for one in users if one.active and Role.SUPER_USER in one.roles)
    return forbidden(f"{why}, so nobody was logged in: ask {', '.join(admins[:_NAMED]) or 'an administrator'}")
