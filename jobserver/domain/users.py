"""Users: people with an account. The roles in their document count everywhere; projects and orgs give further ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, TypeAlias, assert_never

from pydantic import Field

from jobserver.domain.base import names
from jobserver.domain.base.layout import DocPath, Kind, main_path
from jobserver.domain.base.permissions import ADMIN_ROLES, GLOBAL_ROLES, Actor, Permission, Role
from jobserver.domain.base.planning import require, require_absent, write_document
from jobserver.domain.base.rights import Rights, permissions_of
from jobserver.domain.base.rules import KeyFault, Proposal, Rules
from jobserver.domain.base.state import Change, Changes, Main, State, changed_keys
from jobserver.domain.base.values import Day, Document, Line, RoleName, Time, Username, Version, named
from jobserver.domain.governance.project_limits import Backends, backend_faults
from jobserver.domain.members import role_faults
from jobserver.domain.tokens import ONE_TIME, OneTimeToken, PersonalToken, Scope, expiry_faults, wrong_words
from jobserver.errors import Fault, conflict, invalid, not_found

_OWN = {"tokens", "one_time_token", "name", "oidc_id"}  # what people change of their own
USER_LIMITS = frozenset({"backends", "trained_until"})
"""The keys that say what a person may use, and until when."""
_MANAGED = {"name", "roles", "active", "sessions_since", *USER_LIMITS}  # what people who manage users change
_NEW = timedelta(minutes=1)  # a document as young as this was made by the command that is judged


class User(Document):
    """``github_id`` is the number of the person's account on GitHub, known since they logged in from there. ``oidc_id``
    is who they are at the OpenID Connect provider (`accounts.oidc_id`).

    Sessions that began under another ``sessions_since`` are over. ``backends``: the only ones that the person may use.
    ``trained_until``: the last day on which the person's training counts.
    """

    version: Version = 1
    username: Username
    github_id: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    oidc_id: Annotated[str, named(names.DIGEST)] | None = None
    name: Line = ""
    roles: tuple[RoleName, ...] = Field(default=(), strict=False)
    active: bool = True
    sessions_since: Time | None = None
    tokens: tuple[PersonalToken, ...] = Field(default=(), strict=False)
    one_time_token: OneTimeToken | None = None
    backends: Backends | None = None
    trained_until: Day | None = None

    optional_keys: ClassVar[frozenset[str]] = frozenset(
        {"github_id", "oidc_id", "sessions_since", "one_time_token", *USER_LIMITS}
    )

    def path_keys(self, path: DocPath) -> dict[str, object]:
        return {"username": path.name}


def may_manage(main: Main, user: User | None, person: User) -> bool:
    """Whether this person may change the other's roles and limits."""
    permissions = permissions_of(main, user) if user is not None else frozenset[Permission]()
    is_managed = Permission.MANAGE_USERS in permissions and ADMIN_ROLES.isdisjoint(person.roles)
    return is_managed or Permission.ADMINISTER in permissions


def sees_all_users(main: Main, user: User) -> bool:
    """Whether this person may list all accounts."""
    return not permissions_of(main, user).isdisjoint({Permission.MANAGE_USERS, Permission.READ_ALL})


@dataclass(frozen=True, slots=True)
class AddUser:
    """Without a ``github_id``, the person with this name on GitHub can log in."""

    username: str
    name: str = ""
    roles: tuple[Role, ...] = ()
    github_id: int | None = None
    oidc_id: str | None = None


@dataclass(frozen=True, slots=True)
class BindOidcUser:
    """Binds an account to a person at the OpenID Connect provider; None ends that."""

    username: str
    oidc_id: str | None


@dataclass(frozen=True, slots=True)
class SetUserRoles:
    """``active``: None leaves the user enabled or disabled, as they are."""

    username: str
    roles: tuple[Role, ...]
    active: bool | None = None


@dataclass(frozen=True, slots=True)
class ChangeUser:
    """``values``: key of `USER_LIMITS` -> its new value; None removes it."""

    username: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AddUserToken:
    """See `PersonalToken` for ``expires_at`` and ``scope``."""

    username: str
    label: str
    token_sha256: str
    expires_at: datetime | None = None
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class RevokeUserToken:
    username: str
    label: str


@dataclass(frozen=True, slots=True)
class CreateOneTimeToken:
    """Replaces the one before it."""

    username: str
    token_sha256: str


@dataclass(frozen=True, slots=True)
class UseOneTimeToken:
    """The person logs in to Airlock in this backend. The token works no more."""

    username: str
    token_sha256: str
    backend: str


@dataclass(frozen=True, slots=True)
class DisableUser:
    username: str


@dataclass(frozen=True, slots=True)
class EnableUser:
    """The roles and tokens that the person had when they were disabled count again."""

    username: str


_Token: TypeAlias = AddUserToken | RevokeUserToken | CreateOneTimeToken | UseOneTimeToken
_Update: TypeAlias = SetUserRoles | BindOidcUser | DisableUser | EnableUser | _Token
Command: TypeAlias = AddUser | ChangeUser | _Update


def plan(state: State, command: Command, actor: Actor, now: datetime) -> Changes:
    name = command.username
    match command:
        case AddUser():
            require_absent(state.user(name), Kind.USER, name)
            after = new_user(
                now,
                username=name,
                github_id=command.github_id,
                oidc_id=command.oidc_id,
                name=command.name,
                roles=command.roles,
            )
            return write_document(Kind.USER, name, None, after, "user.created", f"{actor.name} added user {name}")
        case ChangeUser():
            return _change(require(state.user(name), Kind.USER, name), command, actor)
        case _:
            return _update(require(state.user(name), Kind.USER, name), command, actor, now)


def _change(user: User, command: ChangeUser, actor: Actor) -> Changes:
    name, values = user.username, command.values
    if not values:
        raise invalid(f"expected at least one of {', '.join(sorted(USER_LIMITS))}")
    after = User(**{**dict(user), **values})
    changed = changed_keys(user, after) or values
    subject = f"{actor.name} changed {', '.join(sorted(changed))} of {name}"
    return write_document(Kind.USER, name, user, after, "user.updated", subject)


def _update(user: User, command: _Update, actor: Actor, now: datetime) -> Changes:
    name = user.username
    update: dict[str, object]
    if isinstance(command, _Token):
        return _update_tokens(user, command, actor, now)
    match command:
        case SetUserRoles(_, roles, wanted):
            active = user.active if wanted is None else wanted
            update, event = {"roles": roles, "active": active}, "user.updated"
            if active and not user.active:
                update["sessions_since"] = now
            disabled = " and disabled them" if wanted is False else ""
            action = f"set the roles of {name} to {', '.join(roles) or 'none'}{disabled}"
        case BindOidcUser(_, oidc_id):
            update, event = {"oidc_id": oidc_id}, "user.bound" if oidc_id else "user.updated"
            action = f"{'connected' if oidc_id else 'disconnected'} {name} and OpenID Connect"
        case EnableUser():
            update = {"active": True, "sessions_since": user.sessions_since if user.active else now}
            event, action = "user.enabled", f"enabled user {name}"
        case DisableUser():
            update, event, action = {"active": False}, "user.disabled", f"disabled user {name}"
        case _:
            assert_never(command)
    after = user.model_copy(update=update)
    return write_document(Kind.USER, name, user, after, event, f"{actor.name} {action}")


def _update_tokens(user: User, command: _Token, actor: Actor, now: datetime) -> Changes:
    name = user.username
    update: dict[str, object]
    match command:
        case AddUserToken(_, label, sha256, expires_at, scope):
            if any(token.label == label for token in user.tokens):
                raise conflict(f"{name} already has a token with the label {label!r}", field="label")
            if not user.active:
                raise conflict(f"{name} is disabled, so a token would not work: enable them first")
            token = PersonalToken(sha256=sha256, label=label, created_at=now, expires_at=expires_at, scope=scope)
            update, event = {"tokens": (*user.tokens, token)}, "user.token-created"
            action = f"created a token for {name}"
        case RevokeUserToken(_, label):
            kept = tuple(token for token in user.tokens if token.label != label)
            if len(kept) == len(user.tokens):
                raise not_found(f"{name} has no token with the label {label!r}")
            update, event, action = {"tokens": kept}, "user.token-revoked", f"revoked a token of {name}"
        case CreateOneTimeToken(_, sha256):
            one_time = OneTimeToken(sha256=sha256, created_at=now, expires_at=now + ONE_TIME)
            update, event = {"one_time_token": one_time}, "user.one-time-token-created"
            action = f"created a one-time token for {name}"
        case UseOneTimeToken(_, sha256, backend):
            if user.one_time_token is None or not user.active:
                raise wrong_words()
            user.one_time_token.check(sha256, now, user.sessions_since)
            update, event = {"one_time_token": None}, "user.one-time-token-used"
            action = f"logged in to Airlock on {backend}"
        case _:
            assert_never(command)
    after = user.model_copy(update=update)
    return write_document(Kind.USER, name, user, after, event, f"{actor.name} {action}")


def new_user(now: datetime, **values: object) -> User:
    """Sessions of a deleted account with the same name do not count for the new one."""
    return User.model_validate({**values, "sessions_since": now})


def _faults(proposal: Proposal, change: Change) -> list[KeyFault]:
    before, after = change.of(User)
    if after is None:
        return []
    faults = role_faults([(after.username, after.roles)], GLOBAL_ROLES)
    for key in ("github_id", "oidc_id"):
        value = getattr(after, key)
        if value is not None and value != getattr(before, key, None):
            users = [*proposal.unchanged_users(), *proposal.changed(User)]
            others = [user for user in users if getattr(user, key) == value and user.username != after.username]
            faults += [(key, f"{value} already belongs to user {user.username}") for user in others]
    if proposal.policy >= 2:
        faults += _session_faults(before, after, proposal.now)
    faults += backend_faults(before, after, proposal)
    faults += expiry_faults(after.tokens)
    one_time = after.one_time_token
    if one_time is not None and not one_time.created_at < one_time.expires_at <= one_time.created_at + ONE_TIME:
        faults.append(("one_time_token", "must expire within an hour of its creation"))
    return faults


def _session_faults(before: User | None, after: User, now: datetime | None) -> list[KeyFault]:
    """Old sessions must not work for a user who is enabled again, or deleted and added again."""
    if before is None:
        if after.sessions_since is None or now is None or now - after.sessions_since <= _NEW:
            return []
        return [("sessions_since", "must be the present time for a new user: leave it out")]
    if before.active or not after.active or after.sessions_since not in (None, before.sessions_since):
        return []
    message = "must change when a user is enabled again, so that their old sessions end: use the present time"
    return [("sessions_since", message)]


def duplicate_usernames(proposal: Proposal) -> Iterator[Fault]:
    """A fault for each new user whose name differs from another's only in upper and lower case."""
    added = [change.after for change in proposal.changes.changes if change.before is None]
    new = [user.username for user in added if isinstance(user, User)]
    if not new:
        return
    taken = {user.username.lower(): user.username for user in proposal.unchanged_users()}
    for username in new:
        other = taken.setdefault(username.lower(), username)
        if other != username:
            message = f"user {other!r} already exists: usernames must differ in more than upper and lower case"
            yield Fault(message, main_path(Kind.USER, username), key="username")


def _may_create(rights: Rights, change: Change) -> bool:
    """A new account has no tokens: they would be somebody else's from the beginning."""
    after = change.created(User)
    has_tokens = after.tokens or after.one_time_token
    return rights.may(Permission.MANAGE_USERS) and not has_tokens and ADMIN_ROLES.isdisjoint(after.roles)


def _may_update(rights: Rights, change: Change) -> bool:
    """People change their own name and tokens, and connect their account to an OpenID Connect provider. Those who
    manage people change everybody but administrators, so neither themselves; and never who an account belongs to."""
    before, after = change.updated(User)
    changed = changed_keys(before, after)
    if rights.is_user(before.username) and changed <= _OWN:
        return True
    is_managed = ADMIN_ROLES.isdisjoint({*before.roles, *after.roles})
    return rights.may(Permission.MANAGE_USERS) and is_managed and changed <= _MANAGED


def _limits(rights: Rights, change: Change) -> None:
    """A SuperUser cannot stop being one, so that there is always one left."""
    before, after = change.of(User)
    if before is None or before.username != rights.actor.name or Role.SUPER_USER not in before.roles:
        return
    resigns = after is None or not after.active or Role.SUPER_USER not in after.roles
    rights.need(not resigns, "remove their own SuperUser role: ask another SuperUser")


RULES = Rules(faults=_faults, create=_may_create, update=_may_update, limits=_limits, by_server=True)
