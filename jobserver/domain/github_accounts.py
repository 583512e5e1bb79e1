"""Which account belongs to a person who logs in from GitHub: the one that is bound to GitHub's number for them.

The number stays theirs. Their name on GitHub does not: they can give it up, and another person can take it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobserver.domain.base.permissions import Role
from jobserver.errors import Error, forbidden

if TYPE_CHECKING:
    from jobserver.domain.users import User

_NAMED = 3  # administrators that are named to who is not let in


def account_of(users: "Iterable[User]", github_id: int, login: str) -> "User | None":
    """The account that is bound to this number, whatever it is called now; or else the one of that name that is bound
    to none. None: there is neither. GitHub takes names that differ by case only for one.

    Raises `Error` (forbidden) where the name is another's.
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
