"""Which accounts were bound to somebody on GitHub between two commits of `main`, and what SuperUsers are told of it."""

from collections.abc import Iterable, Iterator

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import Role
from jobserver.domain.users import User
from jobserver.errors import Error
from jobserver.service.notify.mail import Mail
from jobserver.store.git.diff import diff
from jobserver.store.git.objects import Objects


def first_logins(objects: Objects, before: bytes | None, after: bytes | None) -> Iterator[User]:
    """Accounts that were there, and belonged to nobody yet. ``before`` and ``after`` are trees. Raises as `diff`."""
    for one in diff(objects, before, after):
        where = layout.parse_path(layout.MAIN, one.path)
        if where is None or where.kind is not Kind.USER or one.new is None or one.old is None:
            continue
        try:
            old, new = (objects.document(sha, User, one.path) for sha in (one.old, one.new))
        except Error:
            continue
        if old.github_id is None and new.github_id is not None:
            yield new


def super_users(users: Iterable[User]) -> list[str]:
    return [one.username for one in users if one.active and Role.SUPER_USER in one.roles]


def email(user: User, to: str, base_url: str) -> Mail:
    body = "\n".join(
        [
            f"{user.username} was added by name only, and is GitHub's account {user.github_id} from now on:",
            "somebody of that name logged in from there for the first time. If it is not who you mean,",
            "switch the account off:",
            "",
            f"{base_url}/users/{user.username}/",
        ]
    )
    return Mail(to, f"{user.username} logged in for the first time", body + "\n")
