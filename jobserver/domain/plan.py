"""plan(state, command, ...) -> Changes: what a command would change. It proposes; `admit` decides.

Refusals here are about the command itself: it names something that is not there, or that is there already.
"""

from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from jobserver.domain import commands as c
from jobserver.domain import projects as plan_projects
from jobserver.domain import record as plan_audit
from jobserver.domain.accounts import account_of
from jobserver.domain.base import names
from jobserver.domain.base.names import Kind
from jobserver.domain.base.permissions import Actor, Role
from jobserver.domain.base.planning import absent, fitting, present, write
from jobserver.domain.base.state import Changes, State
from jobserver.domain.documents import Backend, Token, User, Workspace, invalid_values
from jobserver.domain.job_requests.requests import cancel, fail, request, update
from jobserver.domain.releases import EVENT
from jobserver.errors import conflict, invalid, not_found

_ON_BACKENDS = c.RequestJobs | c.CancelJobs | c.UpdateJobs | c.RecordRelease | c.ArchiveFinished | c.FailJob


def branch_of(command: c.Command) -> str:
    """The one branch that a command writes."""
    if isinstance(command, _ON_BACKENDS):
        return names.backend_branch(command.backend)
    if isinstance(command, c.RecordPush | c.RecordCheckpoint):
        return names.AUDIT
    return names.MAIN


def plan(state: State, command: c.Command, actor: Actor, now: datetime, new_id: str) -> Changes:
    """What ``command`` would change on ``state``. Raises `Error` (invalid, conflict, not_found)."""
    try:
        return _plan(state, command, actor, now, new_id)
    except ValidationError as error:
        raise invalid_values(error) from None


def _plan(state: State, command: c.Command, actor: Actor, now: datetime, new_id: str) -> Changes:
    match command:
        case c.RequestJobs():
            return request(state, command, actor, now, new_id)
        case c.CancelJobs():
            return cancel(state, command, actor)
        case c.UpdateJobs():
            return update(state, command, actor, now)
        case c.RecordRelease():
            return _release(state, command, actor)
        case c.ArchiveFinished():
            return plan_audit.archive(state)
        case c.RecordPush():
            return plan_audit.push(state, command, now)
        case c.RecordCheckpoint():
            return plan_audit.checkpoint(state, command, now)
        case c.FailJob():
            return fail(state, command, actor, now)
        case c.ChangeWorkspace():
            return _change_workspace(state, command, actor)
        case c.AddWorkspace():
            return _add_workspace(state, command, actor, now)
        case c.ConnectWorkspace():
            return plan_projects.connect(state, command, actor)
        case c.AddOrg():
            return plan_projects.add_org(state, command, actor)
        case (
            c.AddProject()
            | c.RenameProject()
            | c.SetProjectMember()
            | c.InviteToProject()
            | c.CancelInvitation()
            | c.AcceptInvitation()
        ):
            return plan_projects.project(state, command, actor, now)
        case (
            c.AddBackend()
            | c.RotateBackendToken()
            | c.RevokeBackendToken()
            | c.DeactivateBackend()
            | c.ActivateBackend()
        ):
            return _backend(state, command, actor, now)
        case _:
            return _user(state, command, actor, now)


def _release(state: State, command: c.RecordRelease, actor: Actor) -> Changes:
    release = command.release
    said = "1 file" if release.files == 1 else f"{release.files} files"
    subject = f"{actor.name} released {said} of {release.workspace}"
    return Changes(state.branch, EVENT, subject, trailers=release.trailers(), release=release)


def _add_workspace(state: State, command: c.AddWorkspace, actor: Actor, now: datetime) -> Changes:
    fitting(Kind.WORKSPACE, command.name)
    absent(state.workspace(command.name), "workspace", command.name)
    workspace = Workspace(
        name=command.name,
        project=command.project,
        repo=command.repo,
        branch=command.branch,
        db=command.db,
        created_by=actor.name,
        created_at=now,
    )
    subject = f"{actor.name} added workspace {command.name}"
    changes = write(Kind.WORKSPACE, command.name, None, workspace, "workspace.created", subject)
    return replace(changes, trailers=(("Workspace", command.name),))


def _change_workspace(state: State, command: c.ChangeWorkspace, actor: Actor) -> Changes:
    before = present(state.workspace(command.name), "workspace", command.name)
    wanted = {"archived": command.archived, "should_notify": command.should_notify}
    switches = {key: value for key, value in wanted.items() if value is not None and getattr(before, key) != value}
    words = {
        ("archived", True): "archived",
        ("archived", False): "took out of the archive",
        ("should_notify", True): "switched notifications on for",
        ("should_notify", False): "switched notifications off for",
    }
    said = " and ".join(words[switch] for switch in switches.items())
    after = before.model_copy(update=switches)
    subject = f"{actor.name} {said} workspace {before.name}"
    changes = write(Kind.WORKSPACE, before.name, before, after, "workspace.updated", subject)
    return replace(changes, trailers=(("Workspace", before.name),))


def _backend(
    state: State,
    command: c.AddBackend | c.RotateBackendToken | c.RevokeBackendToken | c.DeactivateBackend | c.ActivateBackend,
    actor: Actor,
    now: datetime,
) -> Changes:
    slug = command.slug
    if isinstance(command, c.AddBackend):
        absent(state.backend(slug), "backend", slug)
        after = Backend(
            slug=slug,
            name=command.name or slug,
            parent_directory=command.parent_directory,
            databases=command.databases,
            tokens=(Token(sha256=command.token_sha256, label="first", created_at=now),),
            created_at=now,
        )
        return write(Kind.BACKEND, slug, None, after, "backend.created", f"{actor.name} added backend {slug}")
    before = present(state.backend(slug), "backend", slug)
    update: dict[str, object]
    match command:
        case c.RotateBackendToken():
            if not before.active:
                raise conflict(f"backend {slug} is not active: a token of it would not work")
            token = Token(sha256=command.token_sha256, label=f"rotated {now:%Y-%m-%d}", created_at=now)
            kept = before.tokens if command.keep_old else ()
            update, event, said = {"tokens": (*kept, token)}, "backend.token-rotated", "rotated the token of"
        case c.RevokeBackendToken():
            update, event, said = {"tokens": before.tokens[-1:]}, "backend.token-revoked", "revoked the old tokens of"
        case c.ActivateBackend():
            update, event, said = {"active": True}, "backend.activated", "activated"
        case _:
            update, event, said = {"active": False}, "backend.deactivated", "deactivated"
    after = before.model_copy(update=update)
    return write(Kind.BACKEND, slug, before, after, event, f"{actor.name} {said} backend {slug}")


def _user(
    state: State,
    command: c.AddUser
    | c.EnsureAdmin
    | c.WelcomeUser
    | c.SetUserRoles
    | c.AddUserToken
    | c.RevokeUserToken
    | c.DisableUser
    | c.EnableUser,
    actor: Actor,
    now: datetime,
) -> Changes:
    name = command.username
    before = state.user(name)
    if isinstance(command, c.AddUser):
        absent(before, "user", name)
        after = _new_user(now, username=name, github_id=command.github_id, name=command.name, roles=command.roles)
        return write(Kind.USER, name, None, after, "user.created", f"{actor.name} added user {name}")
    if isinstance(command, c.WelcomeUser):
        return _welcome(state, command, now)
    if isinstance(command, c.EnsureAdmin):
        return _ensure_admin(state, command, before, now)
    user = present(before, "user", name)
    match command:
        case c.AddUserToken(_, label, sha256):
            if any(token.label == label for token in user.tokens):
                raise conflict(f"{name} has a token with the label {label!r} already")
            if not user.active:
                raise conflict(f"{name} is disabled: a token of theirs would not work")
            token = Token(sha256=sha256, label=label, created_at=now)
            after, event = user.model_copy(update={"tokens": (*user.tokens, token)}), "user.token-created"
            said = f"made a token of {name}"
        case c.RevokeUserToken(_, label):
            kept = tuple(token for token in user.tokens if token.label != label)
            if len(kept) == len(user.tokens):
                raise not_found(f"{name} has no token with the label {label!r}")
            after, event = user.model_copy(update={"tokens": kept}), "user.token-revoked"
            said = f"revoked a token of {name}"
        case c.SetUserRoles(_, roles, active):
            again = {"sessions_since": now} if active and not user.active else {}
            after, event = user.model_copy(update={"roles": roles, "active": active, **again}), "user.updated"
            said = f"made {name} {', '.join(roles) or 'nothing in particular'}{'' if active else ', and disabled'}"
        case c.EnableUser():
            anew = {"active": True, "sessions_since": user.sessions_since if user.active else now}
            after, event, said = user.model_copy(update=anew), "user.enabled", f"enabled user {name}"
        case _:
            after, event, said = user.model_copy(update={"active": False}), "user.disabled", f"disabled user {name}"
    return write(Kind.USER, name, user, after, event, f"{actor.name} {said}")


def _new_user(now: datetime, **values: object) -> User:
    """Sessions of an account of that name that was deleted are not this one's."""
    return User.model_validate({**values, "sessions_since": now})


def _welcome(state: State, command: c.WelcomeUser, now: datetime) -> Changes:
    login, number = command.username, command.github_id
    before = account_of(state.users(), number, login)
    event, said = "user.created", f"{login} logged in for the first time"
    if before is None:
        absent(state.user(login), "user", login)  # one that can't be read
        after = _new_user(now, username=login, github_id=number, name=command.name)
    elif before.active:
        after = before.model_copy(update={"github_id": number})
        event, said = "user.bound", f"{before.username} logged in from GitHub, and is its account {number} from now on"
    else:
        after = before
    changes = write(Kind.USER, after.username, before, after, event, said)
    return replace(changes, result={"username": after.username})


def _ensure_admin(state: State, command: c.EnsureAdmin, before: User | None, now: datetime) -> Changes:
    name, said = command.username, f"ADMIN_USERS makes {command.username} a SuperUser"
    if before is None:
        for other in state.users():
            if other.username.lower() == name.lower():
                raise invalid(f"there is the account {other.username!r}: spell {name!r} like that", "ADMIN_USERS")
    user = before or _new_user(now, username=name)
    if not user.active:
        # Who disabled them meant it. Only where nobody is left who could take that back, the settings have to.
        others = any(one.active and Role.SUPER_USER in one.roles for one in state.users())
        if others or not command.recovers:
            return write(Kind.USER, name, user, user, "user.updated", said)
        again = {"active": True, "tokens": (), "sessions_since": now}
        user, said = user.model_copy(update=again), f"{said} again: there was none"
    roles = user.roles if Role.SUPER_USER in user.roles else (*user.roles, Role.SUPER_USER)
    after = user.model_copy(update={"roles": roles})
    return write(Kind.USER, name, before, after, "user.updated" if before else "user.created", said)
