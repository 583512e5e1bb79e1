"""admit(state, changes, actor, now) -> Admitted: the one place that decides.

Judges what would be so, not how it was asked for, so that a form, a command and a pushed commit are judged alike:
the path and the names in it, references, the lifecycle, and the actor's rights (a table keyed by kind and operation).
Only this module builds an `Admitted`, and only an `Admitted` can be committed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobserver.domain import invitations
from jobserver.domain.base import names
from jobserver.domain.base.names import Area, Kind
from jobserver.domain.base.permissions import (
    GLOBAL_ROLES,
    ORG_ROLES,
    PROJECT_ROLES,
    Actor,
    ActorKind,
    Permission,
    Role,
    granted,
)
from jobserver.domain.base.state import Change, Changes, Main, Move, State
from jobserver.domain.documents import (
    Backend,
    Checkpoint,
    Job,
    JobRequest,
    Member,
    Org,
    Project,
    Receipt,
    StoredPipeline,
    User,
    Workspace,
    name_faults,
)
from jobserver.domain.job_requests import folders as integrity
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.releases import Release
from jobserver.errors import Error, Fault, forbidden, invalid

# Which rules a commit was judged by. Since 2: no token and no name of a person is somebody else's already
# (`integrity`); who let a release out is known and has the right to; who is switched on again begins new sessions;
# a pushed commit is not older than the one before it, and says nothing that only the server says.
POLICY = 2
_NEW = timedelta(minutes=1)  # what is as young as this was made by the command that is judged


@dataclass(frozen=True, slots=True)
class Admitted:
    """Changes that may be committed on ``tip`` and nowhere else."""

    tip: str | None
    changes: Changes
    actor: Actor
    now: datetime


def admit(state: State, changes: Changes, actor: Actor, now: datetime, policy: int = POLICY) -> Admitted:
    """Raises `Error` (forbidden, invalid) with every fault. ``policy``: an older one judges what is in the history."""
    rights = _Rights(state, actor, changes)
    if shapes := _shapes(changes):
        raise invalid(str(shapes[0]), faults=shapes)
    for change in (*changes.changes, *changes.unchanged):
        rights.check(change)
    for move in changes.moves:
        rights.check_move(move)
    if changes.release is not None:
        rights.check_release(changes.release)
        if policy >= 2:
            rights.check_releaser(changes.release)
    if faults := _faults(state, changes, policy, now):
        raise invalid(str(faults[0]), faults=faults)
    return Admitted(state.tip, changes, actor, now)


def review(state: State, changes: Changes) -> list[Fault]:
    """Every fault that `admit` would find, but for who makes the change: for whoever edits documents by hand."""
    return _shapes(changes) or _faults(state, changes, POLICY)


def _shapes(changes: Changes) -> list[Fault]:
    return [fault for change in changes.changes for fault in _shape(changes.branch, change)]


def _faults(state: State, changes: Changes, policy: int, now: datetime | None = None) -> list[Fault]:
    after = _After(state, changes)
    faults = [
        Fault(message, change.path, key=key)
        for change in changes.changes
        for key, message in _references(state, after, change, now)
    ]
    for move in changes.moves:
        faults += _misplaced(state, changes, move)
    if changes.release is not None and state.workspace(changes.release.workspace) is None:
        faults.append(Fault(f"there is no workspace {changes.release.workspace!r}", key="workspace"))
    if policy >= 2:
        faults += [fault for change in changes.changes for fault in _resumed(change, now)]
    return faults + integrity.faults(state, changes, policy)


class _After:
    """What documents may refer to: also to what the same changes bring."""

    def __init__(self, state: State, changes: Changes) -> None:
        self._state = state
        self._brought = {change.path: change.after for change in changes.changes}

    def has_org(self, slug: str) -> bool:
        path = names.main_path(Kind.ORG, slug)
        return self._brought.get(path) is not None or (path not in self._brought and self._state.org(slug) is not None)

    def user(self, username: str) -> User | None:
        path = names.main_path(Kind.USER, username)
        brought = self._brought.get(path)
        if path in self._brought:
            return brought if isinstance(brought, User) else None
        return self._state.user(username)

    def users(self) -> list[User]:
        others = [one for one in self._state.users() if names.main_path(Kind.USER, one.username) not in self._brought]
        return others + [one for one in self._brought.values() if isinstance(one, User)]

    def has_project(self, name: str) -> bool:
        path = names.main_path(Kind.PROJECT, name)
        if path in self._brought:
            return self._brought[path] is not None
        return self._state.project(name) is not None


def _shape(branch: str, change: Change) -> list[Fault]:
    where = names.parse_path(branch, change.path)
    if where is None:
        return [Fault(names.misplaced(branch, change.path), change.path)]
    document = change.after or change.before
    assert document is not None
    return [Fault(message, change.path, key=key) for key, message in name_faults(where, document)]


def _references(state: State, there: _After, change: Change, now: datetime | None) -> list[tuple[str, str]]:
    after, before = change.after, change.before
    faults: list[tuple[str, str]] = []
    where = names.parse_path(state.branch, change.path)
    if before is None and where is not None and names.is_page(where.kind, where.name):
        key = "name" if where.kind is Kind.WORKSPACE else "slug"
        faults.append((key, f"{where.name.rpartition('/')[2]!r} is a page of the server: choose another name"))
    match after:
        case Workspace(project=str(project)) if not there.has_project(project):
            faults.append(("project", f"there is no project {project!r}"))
        case Project():
            if not there.has_org(after.org):
                faults.append(("org", f"there is no org {after.org!r}"))
            faults += _members(after.members, PROJECT_ROLES, there)
            faults += _roles(((one.username, one.roles) for one in after.invitations), PROJECT_ROLES)
            faults += invitations.faults(before if isinstance(before, Project) else None, after, there.user)
        case Org():
            faults += _members(after.members, ORG_ROLES, there)
        case User():
            faults += _roles([(after.username, after.roles)], GLOBAL_ROLES)
            faults += _bound(there, before, after)
        case JobRequest():
            if after.backend != names.branch_backend(state.branch):
                faults.append(("backend", f"is {after.backend!r}, but the branch is {state.branch}"))
            if isinstance(before, JobRequest):
                faults += _request_update(before, after)
        case StoredPipeline() if before is not None:
            faults.append(("", "what was asked for can't be changed, only cancelled"))
        case Job() if isinstance(before, Job) and not lifecycle.takes(before, after, now):
            faults.append(("updated_at", f"{before.status} -> {after.status} needs a newer time than what is stored"))
    return faults


def _bound(there: "_After", before: object, after: User) -> list[tuple[str, str]]:
    """GitHub's number is one account's."""
    if after.github_id is None or (isinstance(before, User) and before.github_id == after.github_id):
        return []
    others = [one for one in there.users() if one.github_id == after.github_id and one.username != after.username]
    return [("github_id", f"{after.github_id} is {one.username}'s already") for one in others]


def _resumed(change: Change, now: datetime | None) -> list[Fault]:
    """Who is switched on again, or deleted and added again, logs in anew: the sessions that they had are over."""
    before, after = change.before, change.after
    if before is None and isinstance(after, User):
        if after.sessions_since is None or now is None or now - after.sessions_since <= _NEW:
            return []
        said = "the sessions of an account that is new begin now: leave this out"
        return [Fault(said, change.path, key="sessions_since")]
    if not isinstance(before, User) or not isinstance(after, User) or before.active or not after.active:
        return []
    if after.sessions_since not in (None, before.sessions_since):
        return []
    said = "who is switched on again needs another time than before, such as now: their old sessions are over"
    return [Fault(said, change.path, key="sessions_since")]


def _members(members: tuple[Member, ...], allowed: frozenset[Role], there: _After) -> list[tuple[str, str]]:
    faults = _roles(((member.username, member.roles) for member in members), allowed)
    unknown = [member.username for member in members if there.user(member.username) is None]
    return faults + [("members", f"there is no user {username!r}") for username in unknown]


def _roles(given: Iterable[tuple[str, tuple[Role, ...]]], allowed: frozenset[Role]) -> list[tuple[str, str]]:
    return [
        ("roles", f"{role} is not for {username} here, expected one of: {', '.join(sorted(allowed))}")
        for username, roles in given
        for role in roles
        if role not in allowed
    ]


def _request_update(before: JobRequest, after: JobRequest) -> list[tuple[str, str]]:
    faults = [
        (key, "what was asked for can't be changed, only cancelled")
        for key in JobRequest.model_fields
        if key != "cancelled_actions" and getattr(before, key) != getattr(after, key)
    ]
    if after.cancelled_actions[: len(before.cancelled_actions)] != before.cancelled_actions:
        faults.append(("cancelled_actions", "a cancelled action stays cancelled"))
    return faults


def _misplaced(state: State, changes: Changes, move: Move) -> list[Fault]:
    jobs = dict(state.jobs(move.place))
    folder = move.place.moved(move.to).folder + "/"
    for change in changes.changes:
        if change.path.startswith(folder) and isinstance(change.after or change.before, Job):
            identifier = change.path.rsplit("/", 1)[1].removesuffix(".yaml")
            if isinstance(change.after, Job):
                jobs[identifier] = change.after
            else:
                jobs.pop(identifier, None)
    if lifecycle.finished(jobs.values()) != (move.to is Area.ARCHIVE):
        return [Fault("a request is in archive/ when all of its jobs are finished, and only then", folder)]
    return []


class _Rights:
    def __init__(self, state: State, actor: Actor, changes: Changes) -> None:
        self.state, self.actor, self.branch = state, actor, changes.branch
        self.brought = {change.path: change for change in changes.changes if isinstance(change.after, JobRequest)}
        self.user = state.user(actor.name) if actor.kind is ActorKind.USER else None
        if actor.kind is ActorKind.USER and (self.user is None or not self.user.active):
            raise forbidden(f"{actor.name} is not an active user")
        if actor.kind is ActorKind.BACKEND:
            backend = state.backend(actor.name)
            if backend is None or not backend.active:
                raise forbidden(f"{actor.name} is not an active backend")

    def may(self, permission: Permission, project: str | None = None) -> bool:
        return self.user is not None and permission in permissions_of(self.state, self.user, project)

    def need(self, allowed: bool, what: str) -> None:
        if not allowed:
            raise forbidden(f"{self.actor.name} may not {what}")

    def check(self, change: Change) -> None:
        """Raises `Error` (forbidden) unless the actor may make this change."""
        if self.actor.kind is ActorKind.SERVER:
            # ADMIN_USERS, and the record of the record; nothing else.
            self.need(isinstance(change.after, User | Receipt | Checkpoint), "change this")
            return
        self.need(self.branch != names.AUDIT, f"write {names.AUDIT}")
        where = names.parse_path(self.branch, change.path)
        assert where is not None
        operation = "create" if change.before is None else "update" if change.after is not None else "delete"
        what = f"{operation} the {where.kind.value} {where.name}"
        if isinstance(change.after, Project):
            before = change.before if isinstance(change.before, Project) else None
            for one in invitations.new(before, change.after):
                self.need(one.invited_by == self.actor.name, f"invite {one.username} as {one.invited_by}")
        self.need(self.may(Permission.ADMINISTER) or self._rule(where.kind, operation, change), what)
        self.need(not self._resigns(change), "stop being a SuperUser by themselves: another SuperUser can do that")

    def _resigns(self, change: Change) -> bool:
        """Whether a SuperUser locks themselves out; so there is always one left."""
        before, after = change.before, change.after
        if not isinstance(before, User) or before.username != self.actor.name or Role.SUPER_USER not in before.roles:
            return False
        return not isinstance(after, User) or not after.active or Role.SUPER_USER not in after.roles

    def _rule(self, kind: Kind, operation: str, change: Change) -> bool:
        before, after = change.before, change.after
        match kind, operation:
            case Kind.JOB, _:
                return self.actor.kind is ActorKind.BACKEND and names.branch_backend(self.branch) == self.actor.name
            case Kind.REQUEST, "create":
                assert isinstance(after, JobRequest)
                return after.created_by == self.actor.name and self.may(Permission.RUN_JOB, after.project)
            case Kind.PIPELINE, "create":
                where = names.parse_path(self.branch, change.path)
                request = self.brought.get(where.place.request) if where and where.place else None
                return request is not None and request.before is None and self._rule(Kind.REQUEST, operation, request)
            case Kind.REQUEST, "update":
                assert isinstance(before, JobRequest)
                own = before.created_by == self.actor.name and self.user is not None
                return own or self.may(Permission.CANCEL_JOB, before.project)
            case Kind.WORKSPACE, "create":
                assert isinstance(after, Workspace)
                return after.created_by == self.actor.name and self.may(Permission.RUN_JOB, after.project)
            case Kind.WORKSPACE, "update":
                assert isinstance(before, Workspace)
                assert isinstance(after, Workspace)
                return self._may_change_workspace(before, after)
            case Kind.PROJECT, "update":
                assert isinstance(before, Project)
                assert isinstance(after, Project)
                return self._may_change_project(before, after)
            case Kind.USER, "update":
                assert isinstance(before, User)
                assert isinstance(after, User)
                return before.username == self.actor.name and _changed(before, after) <= {"tokens", "name"}
        return False

    def _may_change_workspace(self, before: Workspace, after: Workspace) -> bool:
        changed = _changed(before, after)
        if changed == {"project"}:
            of_both = [project for project in (before.project, after.project) if project is not None]
            own = before.created_by == self.actor.name or self.may(Permission.RUN_JOB, before.project)
            manages = all(self.may(Permission.MANAGE_PROJECT_WORKSPACES, project) for project in of_both)
            return manages and (own or after.project is None)
        return changed <= {"archived", "should_notify"} and self.may(Permission.RUN_JOB, before.project)

    def _may_change_project(self, before: Project, after: Project) -> bool:
        mine = self.actor.name
        if invitations.of(before, mine) is not None and after in (
            invitations.accepted(before, mine),
            invitations.without(before, mine),
        ):
            return True
        name = f"{before.org}/{before.slug}"
        changed = _changed(before, after)
        manages = self.may(Permission.MANAGE_PROJECT_MEMBERS, name)
        invites = self.may(Permission.INVITE_PROJECT_MEMBERS, name)
        if "invitations" in changed and not (invites or (manages and not invitations.new(before, after))):
            return False
        return changed <= {"invitations", "members", "name"} and (manages or changed == {"invitations"})

    def check_move(self, move: Move) -> None:
        own = self.actor.kind is ActorKind.BACKEND and names.branch_backend(self.branch) == self.actor.name
        allowed = own or self.actor.kind is ActorKind.SERVER or self.may(Permission.ADMINISTER)
        self.need(allowed, f"move job request {move.place.identifier}")

    def check_release(self, release: Release) -> None:
        """Only a backend lets files out, and only its own: a SuperUser can't say it did."""
        own = self.actor.kind is ActorKind.BACKEND and names.branch_backend(self.branch) == self.actor.name
        self.need(own, f"release files of {release.workspace} on {self.branch}")

    def check_releaser(self, release: Release) -> None:
        """That there is such a workspace is asked elsewhere."""
        is_there = self.state.workspace(release.workspace) is not None
        if is_there and not may_release(self.state, release.user, release.workspace):
            raise no_releaser(release.user, release.workspace)


def _changed(before: Backend | User | Project | Workspace, after: Backend | User | Project | Workspace) -> set[str]:
    return {key for key in type(before).model_fields if getattr(before, key) != getattr(after, key)}


def may_release(main: Main, username: str, workspace: str) -> bool:
    """Whether this person may let files of ``workspace`` out of a backend."""
    user, document = main.user(username), main.workspace(workspace)
    if user is None or document is None:
        return False
    return Permission.UPLOAD_RELEASE in permissions_of(main, user, document.project)


def no_releaser(username: str, workspace: str) -> Error:
    return forbidden(f"Backend-User not valid: {username} is no active user who may release files of {workspace}")


def permissions_of(main: Main, user: User, project: str | None = None) -> frozenset[Permission]:
    """What ``user`` may do everywhere, or within ``project`` (``org/slug``); nothing if disabled."""
    if not user.active:
        return frozenset()
    roles = [user.roles]
    if project is not None and (document := main.project(project)) is not None:
        roles += [member.roles for member in document.members if member.username == user.username]
        if (org := main.org(document.org)) is not None:
            roles += [member.roles for member in org.members if member.username == user.username]
    return granted(*roles)
