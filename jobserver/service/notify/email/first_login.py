"""The email to SuperUsers about an account that was added by name, once its owner has logged in with GitHub."""

from collections.abc import Iterable, Iterator

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import Role
from jobserver.domain.users import User
from jobserver.errors import Error
from jobserver.service.notify.email.mail import Mail
from jobserver.store.git.diff import diff
from jobserver.store.git.objects import Objects


def first_logins(objects: Objects, before: bytes | None, after: bytes | None) -> Iterator[User]:
    """Accounts that existed in ``before`` without a GitHub account and have one in ``after``. Both are trees.

    Raises as `diff`.
    """
    for change in diff(objects, before, after):
        where = layout.parse_path(layout.MAIN, change.path)
        if where is None or where.kind is not Kind.USER or change.new is None or change.old is None:
            continue
        try:
            old, new = (objects.document(sha, User, change.path) for sha in (change.old, change.new))
        except Error:
            continue
        if old.github_id is None and new.github_id is not None:
            yield new


def super_users(users: Iterable[User]) -> list[str]:
    return [user.username for user in users if user.active and Role.SUPER_USER in user.roles]


def email(user: User, base_url: str) -> Mail:
    body = "\n".join(
        [
            f"The account {user.username} was added by name only. Somebody with that name on GitHub has logged in",
            f"for the first time, so the account now belongs to GitHub account {user.github_id}.",
            "",
            f"If that is not the right person, disable the account: {base_url}/users/{user.username}/",
        ]
    )
    return Mail(f"{user.username} logged in for the first time", body + "\n")
