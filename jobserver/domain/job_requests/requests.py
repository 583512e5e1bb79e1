"""Job requests: a person requests actions of a workspace on a backend, and can cancel them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated, ClassVar, TypeAlias, assert_never

from pydantic import Field, StringConstraints, model_validator

from jobserver.domain.backends import Backend
from jobserver.domain.base import names
from jobserver.domain.base.layout import Area, DocPath, Kind, Place, branch_backend, parse_path
from jobserver.domain.base.permissions import Actor, Permission
from jobserver.domain.base.planning import require
from jobserver.domain.base.rights import Rights
from jobserver.domain.base.rules import KeyFault, Proposal, Rules
from jobserver.domain.base.state import Change, Changes, Main, Move, State, Stored
from jobserver.domain.base.values import (
    ActionName,
    Database,
    Document,
    Line,
    ProjectName,
    RequestVersion,
    Slug,
    Time,
    Username,
    WorkspaceName,
    named,
)
from jobserver.domain.governance.analysis_scope import AnalysisScope
from jobserver.domain.governance.refusals import check_runner_types
from jobserver.domain.job_requests import lifecycle, refs
from jobserver.domain.job_requests.pipelines import (
    PipelineAction,
    StoredPipeline,
    pipeline_faults,
    pipeline_of,
    runs_of,
)
from jobserver.domain.pipeline.graph import RUN_ALL, closure
from jobserver.domain.workspaces import Workspace
from jobserver.errors import conflict, invalid, not_found, some

MAX_NOTE = 200  # characters
RequestNote: TypeAlias = Annotated[Line, StringConstraints(max_length=MAX_NOTE)]


def one_line(text: str) -> str:
    """The text as a document can have it: on one line, without what cannot be printed."""
    return "".join(filter(str.isprintable, " ".join(text.split()))).strip()


class RequestedWorkspace(Document):
    """The workspace as it was when the jobs were requested. ``branch``: a branch that contains the commit, as runners
    demand; the workspace's own, unless the person chose another commit."""

    name: WorkspaceName
    repo: Line
    branch: Line
    db: Database
    created_by: Username | None
    created_at: Time


_REQUESTED = tuple(RequestedWorkspace.model_fields)


class JobRequest(Document):
    """In version 1 the request holds its ``pipeline``; in version 2 a `StoredPipeline` is in a file beside it."""

    version: RequestVersion = 2
    identifier: Annotated[str, named(names.REQUEST_ID)]
    backend: Slug
    created_by: Username
    created_at: Time
    sha: Annotated[str, named(names.SHA)]
    requested_actions: tuple[ActionName, ...] = Field(min_length=1, strict=False)
    cancelled_actions: tuple[ActionName, ...] = Field(default=(), strict=False)
    force_run_dependencies: bool = False
    database_name: Database
    codelists_ok: bool = True
    will_notify: bool = False
    workspace: RequestedWorkspace
    project: ProjectName | None = None
    rerun_of: Annotated[str, named(names.REQUEST_ID)] | None = None
    note: RequestNote | None = None
    commit_subject: RequestNote | None = None
    ref: Line | None = None
    analysis_scope: AnalysisScope | None = None
    pipeline: dict[ActionName, PipelineAction] | None = None

    max_bytes: ClassVar[int] = 8 * 1024 * 1024  # it names actions, of which there may be many
    optional_keys: ClassVar[frozenset[str]] = frozenset(
        {"pipeline", "rerun_of", "note", "commit_subject", "ref", "analysis_scope"}
    )

    @model_validator(mode="after")
    def _one_pipeline(self) -> "JobRequest":
        if (self.version == 1) != (self.pipeline is not None):
            raise ValueError("expected `pipeline` in version 1, and a pipeline.yaml in version 2")
        return self

    @model_validator(mode="after")
    def _own_ref(self) -> "JobRequest":
        if self.ref is not None and not refs.is_ref_of(self.ref, self.sha, self.workspace.branch):
            raise ValueError("expected `ref` to be a tag (refs/tags/...), the branch of `workspace`, or `sha`")
        return self

    def path_keys(self, path: DocPath) -> dict[str, object]:
        return {"identifier": path.name}

    def path_faults(self, path: DocPath) -> list[KeyFault]:
        faults = super().path_faults(path)
        day = self.created_at.date()
        if path.place is not None and day != path.place.day:
            faults.append(("created_at", f"is of {day}, but the path says {path.place.day}"))
        return faults


@dataclass(frozen=True, slots=True)
class RequestJobs:
    """``sha``, ``pipeline`` and ``warnings`` come from the study's repository: a commit and its project.yaml.

    ``rerun_of``: an earlier request of the workspace on this backend, whose actions run again. ``note``: what the
    person says about it. ``commit_subject``: the first line of the message of the commit ``sha``, if that is known.
    ``ref``, ``branch``: the ref that the person chose, in full, and a branch that contains its commit; None for the
    workspace's branch. ``lines``: those of project.yaml where each action's command is."""

    workspace: str
    backend: str
    requested_actions: tuple[str, ...]
    sha: str
    pipeline: Mapping[str, PipelineAction]
    force_run_dependencies: bool = False
    will_notify: bool | None = None
    database_name: str | None = None
    codelists_ok: bool = True
    warnings: tuple[str, ...] = ()
    rerun_of: str | None = None
    note: str | None = None
    commit_subject: str | None = None
    ref: str | None = None
    branch: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CancelJobs:
    """``backend`` is the backend of the request. Without actions, all that are not finished are cancelled."""

    identifier: str
    backend: str
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArchiveFinished:
    """Archives the requests that a push finished. A report over HTTP archives its requests itself."""

    backend: str


Command: TypeAlias = RequestJobs | CancelJobs | ArchiveFinished


def plan(state: State, command: Command, actor: Actor, now: datetime, new_id: str) -> Changes:
    match command:
        case RequestJobs():
            return _request(state, command, actor, now, new_id)
        case CancelJobs():
            return _cancel(state, command, actor)
        case ArchiveFinished():
            return _archive(state)
        case _:
            assert_never(command)


def _request(state: State, command: RequestJobs, actor: Actor, now: datetime, new_id: str) -> Changes:
    workspace = require(state.workspace(command.workspace), Kind.WORKSPACE, command.workspace)
    if workspace.archived:
        raise conflict(f"workspace {workspace.name} is archived")
    backend = state.backend(command.backend)
    if backend is None:
        raise invalid(f"backend {command.backend!r} does not exist", "backend")
    if not backend.active:
        raise conflict(f"backend {backend.slug} is not active", "backend")
    if backend.is_paused:
        raise conflict(
            f"backend {backend.slug} is paused and takes no new requests: choose another or try again later", "backend"
        )
    database = _database(command, workspace, backend)
    if backend.rap is not None and (faults := backend.rap.faults(backend.slug, database, workspace.repo)):
        raise invalid(faults[0][1], faults[0][0])
    runs = partial(runs_of, command.requested_actions, command.pipeline)
    check_runner_types(state, workspace.project, runs, command.lines)
    document = JobRequest(
        identifier=new_id,
        backend=backend.slug,
        created_by=actor.name,
        created_at=now,
        sha=command.sha,
        requested_actions=_requested_actions(command),
        force_run_dependencies=command.force_run_dependencies,
        database_name=database,
        codelists_ok=command.codelists_ok,
        will_notify=workspace.should_notify if command.will_notify is None else command.will_notify,
        workspace=_requested_workspace(workspace, command.branch),
        project=workspace.project,
        rerun_of=command.rerun_of,
        note=_note(command.note),
        commit_subject=command.commit_subject or None,
        ref=command.ref,
        analysis_scope=scope_of(state, workspace.project),
    )
    pipeline = StoredPipeline(
        warnings=command.warnings,
        actions={name: action for name, action in command.pipeline.items() if name != RUN_ALL},
    )
    place = Place(Area.ACTIVE, now.date(), new_id)
    chosen = f" at {refs.in_words(command.ref)}" if command.ref else ""
    return Changes(
        state.branch,
        "job-request.created",
        f"{actor.name} requested {_summary(document.requested_actions)} on {workspace.name}{chosen}",
        (Change(place.request, None, document), Change(place.pipeline, None, pipeline)),
        trailers=(("Job-Request", new_id), ("Workspace", workspace.name)),
        result={"identifier": new_id},
    )


def _requested_workspace(workspace: Workspace, branch: str | None) -> RequestedWorkspace:
    fields = {key: getattr(workspace, key) for key in _REQUESTED}
    return RequestedWorkspace(**{**fields, "branch": branch or workspace.branch})


def scope_of(main: Main, project: str | None) -> AnalysisScope | None:
    """That of the project now: the request keeps it."""
    document = main.project(project) if project is not None else None
    return document.analysis_scope if document is not None else None


def _note(text: str | None) -> str | None:
    """Raises `Error` (invalid)."""
    note = one_line(text or "")
    if len(note) > MAX_NOTE:
        raise invalid(f"at most {MAX_NOTE} characters, found {len(note)}", "note")
    return note or None


def _requested_actions(command: RequestJobs) -> tuple[str, ...]:
    actions = tuple(dict.fromkeys(command.requested_actions))
    check_actions(actions, command.pipeline)
    return actions


def check_actions(actions: Sequence[str], pipeline: Collection[str]) -> None:
    """Raises `Error` (invalid) without any, or with those that the pipeline does not have."""
    if not actions:
        raise invalid("name at least one action", "requested_actions")
    if unknown := [action for action in actions if action not in pipeline and action != RUN_ALL]:
        raise invalid(f"not in project.yaml: {some(unknown)}", "requested_actions")


def _database(command: RequestJobs, workspace: Workspace, backend: Backend) -> str:
    database = command.database_name or workspace.db
    if backend.databases and database not in backend.databases:
        raise invalid(
            f"backend {backend.slug} has no database {database!r}: expected one of {', '.join(backend.databases)}",
            "database_name",
        )
    return database


def _summary(actions: Collection[str]) -> str:
    return ", ".join(actions) if len(actions) <= 3 else f"{len(actions)} actions"


def _cancel(state: State, command: CancelJobs, actor: Actor) -> Changes:
    stored = state.find(command.identifier)
    if stored is None:
        raise not_found(f"job request {command.identifier!r} does not exist")
    request = stored.request
    is_archived = stored.place.area is Area.ARCHIVE
    actions, finished = _actions_of(state, stored)
    wanted = command.actions or (() if is_archived else actions)
    cancellable = {*actions, *request.requested_actions}
    if strange := [action for action in wanted if action not in cancellable]:
        raise invalid(f"not part of this job request: {some(strange)}", "actions")
    # A runner compares job by job, so run_all is cancelled as the actions that it stands for.
    every = [action for action in actions if action != RUN_ALL]
    expanded = dict.fromkeys(name for action in wanted for name in (every if action == RUN_ALL else [action]))
    done = finished.union(request.cancelled_actions)
    new = [action for action in expanded if action not in done]
    if not new or is_archived:
        unchanged = Change(stored.place.request, request, request)
        result = {"identifier": request.identifier}
        return Changes(state.branch, "job-request.cancelled", "", result=result, unchanged=(unchanged,))
    after = request.model_copy(update={"cancelled_actions": (*request.cancelled_actions, *new)})
    return Changes(
        state.branch,
        "job-request.cancelled",
        f"{actor.name} cancelled {_summary(new)} on {request.workspace.name}",
        (Change(stored.place.request, request, after),),
        trailers=(("Job-Request", request.identifier), ("Workspace", request.workspace.name)),
        result={"identifier": request.identifier},
    )


def _actions_of(state: State, stored: Stored) -> tuple[tuple[str, ...], set[str]]:
    """(every action of the request, those whose jobs are finished). The jobs name actions, too."""
    jobs = state.jobs(stored.place).values()
    finished = {job.action for job in jobs if job.status in lifecycle.FINISHED}
    finished -= {job.action for job in jobs if job.status not in lifecycle.FINISHED}
    # A runner may call a job anything, but only names of actions can be cancelled.
    reported = [job.action for job in jobs if names.is_action(job.action)]
    actions = closure(stored.request.requested_actions, pipeline_of(state, stored).actions)
    return tuple(dict.fromkeys([*actions, *reported])), finished


def _archive(state: State) -> Changes:
    moves = [
        Move(stored.place, Area.ARCHIVE)
        for stored in state.active()
        if lifecycle.finished(state.jobs(stored.place).values())
    ]
    identifiers = [move.place.identifier for move in moves]
    summary = ", ".join(identifiers) if len(identifiers) <= 3 else f"{len(identifiers)} job requests"
    return Changes(
        state.branch,
        "job-requests.archived",
        f"jobserver archived {summary}",
        moves=tuple(moves),
        trailers=tuple(("Job-Request", identifier) for identifier in identifiers),
    )


def _faults(proposal: Proposal, change: Change) -> list[KeyFault]:
    before, after = change.of(JobRequest)
    if after is None:
        return []
    faults = []
    branch = proposal.changes.branch
    if after.backend != branch_backend(branch):
        faults.append(("backend", f"is {after.backend!r}, but the branch is {branch}"))
    if before is None and after.rerun_of is not None:
        original = proposal.state.find(after.rerun_of)
        if original is None or original.request.workspace.name != after.workspace.name:
            faults.append(("rerun_of", f"is not a job request of {after.workspace.name} on {after.backend}"))
    if before is None and proposal.policy >= 4:
        backend = proposal.state.backend(after.backend)
        if backend is not None and backend.rap is not None:
            faults += backend.rap.faults(backend.slug, after.database_name, after.workspace.repo)
    if before is not None:
        faults += [
            (key, "a job request cannot be changed, only cancelled")
            for key in JobRequest.model_fields
            if key != "cancelled_actions" and getattr(before, key) != getattr(after, key)
        ]
        if after.cancelled_actions[: len(before.cancelled_actions)] != before.cancelled_actions:
            faults.append(("cancelled_actions", "a cancelled action stays cancelled"))
    return faults


def _may_create(rights: Rights, change: Change) -> bool:
    after = change.created(JobRequest)
    return rights.is_user(after.created_by) and rights.may(Permission.RUN_JOB, after.project)


def _may_update(rights: Rights, change: Change) -> bool:
    """An update can only cancel (`_faults`). People cancel their own requests without any permission."""
    before, _ = change.updated(JobRequest)
    return rights.is_user(before.created_by) or rights.may(Permission.CANCEL_JOB, before.project)


RULES = Rules(faults=_faults, create=_may_create, update=_may_update)


def _pipeline_faults(proposal: Proposal, change: Change) -> list[KeyFault]:
    before, after = change.of(StoredPipeline)
    if after is None:
        return []
    if before is not None:
        return [("", "a job request cannot be changed, only cancelled")]
    return [("actions", message) for message in pipeline_faults(after)]


def _may_create_pipeline(rights: Rights, change: Change) -> bool:
    """A pipeline comes with its request, in one commit."""
    path = parse_path(rights.changes.branch, change.path)
    assert path is not None
    assert path.place is not None
    request = next((other for other in rights.changes.changes if other.path == path.place.request), None)
    return request is not None and request.before is None and request.after is not None and _may_create(rights, request)


PIPELINE_RULES = Rules(faults=_pipeline_faults, create=_may_create_pipeline)
