"""Who may change the keys that the server signs with. No document says them: `allowed_signers` is not one."""

from jobserver.domain.admit import permissions_of
from jobserver.domain.base import names
from jobserver.domain.base.permissions import Actor, ActorKind, Permission
from jobserver.domain.base.state import Main
from jobserver.errors import forbidden

EVENTS = frozenset({"keys.rotated", "key.revoked"})


def check(main: Main, actor: Actor, branch: str = names.MAIN) -> None:
    """Raises `Error` (forbidden). The server carries to other branches what a SuperUser did on main."""
    if actor.kind is ActorKind.SERVER:
        return
    user = main.user(actor.name) if actor.kind is ActorKind.USER else None
    if user is None or not user.active:
        raise forbidden(f"{actor.name} is not an active user")
    if branch != names.MAIN or Permission.ADMINISTER not in permissions_of(main, user):
        raise forbidden(f"{actor.name} may not change the server's keys on {branch}")
