"""Workspaces: a study's repository and branch, on which people run jobs."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias, assert_never

from jobserver.domain.base.layout import DocPath, Kind
from jobserver.domain.base.permissions import Actor, Permission
from jobserver.domain.base.planning import require, require_absent, require_free_url, write_document
from jobserver.domain.base.rights import Rights, permissions_of
from jobserver.domain.base.rules import KeyFault, Proposal, Rules
from jobserver.domain.base.state import Change, Changes, Main, State, changed_keys
from jobserver.domain.base.values import (
    Database,
    Document,
    Line,
    ProjectName,
    Repo,
    Time,
    Username,
    Version,
    WorkspaceName,
)
from jobserver.domain.outputs.approvals import project_approvals

if TYPE_CHECKING:
    from jobserver.domain.users import User


class Workspace(Document):
    version: Version = 1
    name: WorkspaceName
    project: ProjectName | None = None
    repo: Repo
    branch: Line
    db: Database
    created_by: Username
    created_at: Time
    archived: bool = False
    should_notify: bool = False

    def path_keys(self, path: DocPath) -> dict[str, object]:
        return {"name": path.name}

    def refers_to(self, kind: Kind, name: str) -> bool:
        return (kind, name) in ((Kind.USER, self.created_by), (Kind.PROJECT, self.project))


@dataclass(frozen=True, slots=True)
class AddWorkspace:
    name: str
    repo: str
    branch: str
    db: str = "full"
    project: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeWorkspace:
    """None leaves a key as it is. Only administrators may change the repository."""

    name: str
    archived: bool | None = None
    should_notify: bool | None = None
    repo: str | None = None
    branch: str | None = None
    db: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectWorkspace:
    """Moves a workspace to a project (``org/slug``), or with None out of its project."""

    name: str
    project: str | None


Command: TypeAlias = AddWorkspace | ChangeWorkspace | ConnectWorkspace


def plan(state: State, command: Command, actor: Actor, now: datetime) -> Changes:
    name = command.name
    before = state.workspace(name)
    if isinstance(command, AddWorkspace):
        require_free_url(Kind.WORKSPACE, name)
        require_absent(before, Kind.WORKSPACE, name)
        after = Workspace(
            name=name,
            project=command.project,
            repo=command.repo,
            branch=command.branch,
            db=command.db,
            created_by=actor.name,
            created_at=now,
        )
        event, action = "workspace.created", f"added workspace {name}"
    else:
        before, event = require(before, Kind.WORKSPACE, name), "workspace.updated"
        match command:
            case ChangeWorkspace():
                after, action = _edited(before, command)
            case ConnectWorkspace():
                after, action = _connected(state, before, command.project)
            case _:
                assert_never(command)
    subject = f"{actor.name} {action}"
    return write_document(Kind.WORKSPACE, name, before, after, event, subject, (("Workspace", name),))


def _edited(before: Workspace, command: ChangeWorkspace) -> tuple[Workspace, str]:
    keys = ("archived", "should_notify", "repo", "branch", "db")
    wanted = {key: getattr(command, key) for key in keys}
    update = {key: value for key, value in wanted.items() if value is not None and getattr(before, key) != value}
    verbs = {
        ("archived", True): "archived",
        ("archived", False): "unarchived",
        ("should_notify", True): "turned on notifications for",
        ("should_notify", False): "turned off notifications for",
    }
    actions = [verb for (key, value), verb in verbs.items() if update.get(key) is value]
    if edited := [key for key in ("repo", "branch", "db") if key in update]:
        actions.append(f"changed {', '.join(edited)} of")
    return Workspace(**{**dict(before), **update}), f"{' and '.join(actions)} workspace {before.name}"


def _connected(state: State, before: Workspace, project: str | None) -> tuple[Workspace, str]:
    if project is not None:
        require(state.project(project), Kind.PROJECT, project)
        action = f"connected workspace {before.name} to {project}"
    else:
        action = f"disconnected workspace {before.name} from {before.project}"
    return before.model_copy(update={"project": project}), action


def _faults(proposal: Proposal, change: Change) -> list[KeyFault]:
    _, after = change.of(Workspace)
    if after is None:
        # Made anew, it could be in a project whose outputs need fewer approvals.
        message = "a workspace cannot be deleted: set `archived: true`"
        return [("", message)] if proposal.policy >= 4 else []
    if after.project is None or proposal.project(after.project) is not None:
        return []
    return [("project", f"project {after.project!r} does not exist")]


def changeable(main: Main, user: "User", workspace: Workspace) -> frozenset[str]:
    """The keys that this person may change. The project has a rule of its own (`_may_update`)."""
    permissions = permissions_of(main, user, workspace.project)
    if Permission.ADMINISTER in permissions:
        return frozenset({"archived", "should_notify", "branch", "db", "repo"})
    runs_jobs = Permission.RUN_JOB in permissions
    # Who created a workspace could as well create another one with the new branch and database.
    manages = Permission.MANAGE_PROJECT_WORKSPACES in permissions or (
        runs_jobs and user.username == workspace.created_by
    )
    switches, defaults = {"archived", "should_notify"}, {"branch", "db"}
    return frozenset((switches if runs_jobs else set()) | (defaults if manages else set()))


def _may_create(rights: Rights, change: Change) -> bool:
    after = change.created(Workspace)
    return rights.is_user(after.created_by) and rights.may(Permission.RUN_JOB, after.project)


def _may_update(rights: Rights, change: Change) -> bool:
    before, after = change.updated(Workspace)
    changed = changed_keys(before, after)
    if changed == {"project"}:
        projects = [project for project in (before.project, after.project) if project is not None]
        manages = all(rights.may(Permission.MANAGE_PROJECT_WORKSPACES, project) for project in projects)
        may_run_jobs = rights.may(Permission.RUN_JOB, before.project)
        return manages and (rights.is_user(before.created_by) or may_run_jobs or after.project is None)
    allowed = changeable(rights.state, rights.user, before) if rights.user is not None else frozenset()
    return bool(allowed) and changed <= allowed


def _limits(rights: Rights, change: Change) -> None:
    """Only governance moves a workspace to where its outputs need fewer approvals."""
    before, after = change.of(Workspace)
    if before is None or after is None or before.project == after.project:
        return
    fewer = project_approvals(rights.state, after.project) < project_approvals(rights.state, before.project)
    allowed = not fewer or rights.may(Permission.GOVERN, before.project)
    place = f"to {after.project}" if after.project is not None else f"out of {before.project}"
    why = "outputs need fewer approvals there, which takes the role GovernanceReviewer"
    rights.need(allowed, f"move {before.name} {place}: {why}")


RULES = Rules(faults=_faults, create=_may_create, update=_may_update, limits=_limits)
