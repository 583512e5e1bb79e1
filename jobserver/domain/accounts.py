"""Which account belongs to a person who logs in with GitHub or OpenID Connect: the one that is bound to them there.

An account is bound to GitHub's number, or to the issuer and subject of OpenID Connect. Those stay a person's own. A
name does not: people can change theirs, and then another person can take it.

Only the server gives the commands here, of logins and of ADMIN_USERS: who logs in for the first time has no rights yet.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias, assert_never

from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import Role
from jobserver.domain.base.planning import require_absent, write_document
from jobserver.domain.base.state import Changes, State
from jobserver.domain.users import User, new_user
from jobserver.errors import Error, forbidden, invalid

_NAMED = 3  # administrators that a refused person can ask


def github_account(users: Iterable[User], github_id: int, login: str) -> User | None:
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


def oidc_account(users: Iterable[User], identifier: str, username: str) -> User | None:
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


def _refused(reason: str, users: Iterable[User]) -> Error:
    admins = sorted(user.username for user in users if user.active and Role.SUPER_USER in user.roles)
    return forbidden(f"{reason}: ask {', '.join(admins[:_NAMED]) or 'an administrator'}")


@dataclass(frozen=True, slots=True)
class EnsureAdmin:
    """Makes this person a SuperUser, unless they are one or are disabled.

    ``recovers``: if there is no other active SuperUser, a disabled person becomes one again, without their old tokens.
    """

    username: str
    recovers: bool = False


@dataclass(frozen=True, slots=True)
class WelcomeUser:
    """Somebody logged in from GitHub: makes an account for them, or binds the account with their name to them.

    Changes nothing for an account that is bound or disabled. The result's ``username`` is the account's.
    """

    username: str
    github_id: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class WelcomeOidcUser:
    """Somebody logged in with OpenID Connect: makes an account for them, unless one is bound to them.

    The result's ``username`` is the account's.
    """

    username: str
    oidc_id: str
    name: str = ""


Command: TypeAlias = EnsureAdmin | WelcomeUser | WelcomeOidcUser


def plan(state: State, command: Command, now: datetime) -> Changes:
    match command:
        case WelcomeUser():
            return _welcome(state, command, now)
        case WelcomeOidcUser():
            return _welcome_oidc(state, command, now)
        case EnsureAdmin():
            return _ensure_admin(state, command, now)
    assert_never(command)


def _welcome(state: State, command: WelcomeUser, now: datetime) -> Changes:
    login, github_id = command.username, command.github_id
    before = github_account(state.users(), github_id, login)
    event, subject = "user.created", f"{login} logged in for the first time"
    if before is None:
        require_absent(state.user(login), Kind.USER, login)  # one that cannot be read
        after = new_user(now, username=login, github_id=github_id, name=command.name)
    elif before.active:
        after = before.model_copy(update={"github_id": github_id})
        event = "user.bound"
        subject = f"{before.username} logged in from GitHub and is now bound to account {github_id} there"
    else:
        after = before
    changes = write_document(Kind.USER, after.username, before, after, event, subject)
    return replace(changes, result={"username": after.username})


def _welcome_oidc(state: State, command: WelcomeOidcUser, now: datetime) -> Changes:
    before = oidc_account(state.users(), command.oidc_id, command.username)
    if before is None:
        require_absent(state.user(command.username), Kind.USER, command.username)  # one that cannot be read
    after = before or new_user(now, username=command.username, oidc_id=command.oidc_id, name=command.name)
    subject = f"{after.username} logged in for the first time"
    changes = write_document(Kind.USER, after.username, before, after, "user.created", subject)
    return replace(changes, result={"username": after.username})


def _ensure_admin(state: State, command: EnsureAdmin, now: datetime) -> Changes:
    name, subject = command.username, f"ADMIN_USERS makes {command.username} a SuperUser"
    before = state.user(name)
    if before is None:
        for other in state.users():
            if other.username.lower() == name.lower():
                raise invalid(
                    f"the user {other.username!r} exists: write {name!r} with the same upper and lower case",
                    "ADMIN_USERS",
                )
    user = before or new_user(now, username=name)
    if not user.active:
        # Somebody disabled them on purpose. The settings undo that only if no SuperUser is left who could.
        others = any(other.active and Role.SUPER_USER in other.roles for other in state.users())
        if others or not command.recovers:
            return write_document(Kind.USER, name, user, user, "user.updated", subject)
        user = user.model_copy(update={"active": True, "tokens": (), "sessions_since": now})
        subject = f"{subject} again, because there was no other"
    roles = user.roles if Role.SUPER_USER in user.roles else (*user.roles, Role.SUPER_USER)
    after = user.model_copy(update={"roles": roles})
    return write_document(Kind.USER, name, before, after, "user.updated" if before else "user.created", subject)
