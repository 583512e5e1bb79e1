"""What the verbs of job requests would change: ask, cancel, report. Part of `plan`; see there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jobserver.domain import commands as c
from jobserver.domain.base import names
from jobserver.domain.base.names import Area, Place
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.state import Change, Changes, Move, State, Stored
from jobserver.domain.documents import (
    MAX_MESSAGE_BYTES,
    Job,
    JobRequest,
    PipelineAction,
    RequestedWorkspace,
    StoredPipeline,
    cut_text,
    same,
)
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.pipeline.reader import RUN_ALL
from jobserver.errors import Error, conflict, invalid, not_found, some


def request(state: State, command: c.RequestJobs, actor: Actor, now: datetime, new_id: str) -> Changes:
    workspace = state.workspace(command.workspace)
    if workspace is None:
        raise not_found(f"there is no workspace {command.workspace!r}")
    if workspace.archived:
        raise conflict(f"workspace {workspace.name} is archived")
    backend = state.backend(command.backend)
    if backend is None:
        raise invalid(f"there is no backend {command.backend!r}", "backend")
    if not backend.active:
        raise conflict(f"backend {backend.slug} is not active", "backend")
    actions = tuple(dict.fromkeys(command.requested_actions))
    if not actions:
        raise invalid("name at least one action", "requested_actions")
    if unknown := [action for action in actions if action not in command.pipeline and action != RUN_ALL]:
        raise invalid(f"not in project.yaml: {some(unknown)}", "requested_actions")
    database = command.database_name or workspace.db
    if backend.databases and database not in backend.databases:
        raise invalid(f"backend {backend.slug} has {', '.join(backend.databases)}, not {database!r}", "database_name")
    document = JobRequest(
        identifier=new_id,
        backend=backend.slug,
        created_by=actor.name,
        created_at=now,
        sha=command.sha,
        requested_actions=actions,
        force_run_dependencies=command.force_run_dependencies,
        database_name=database,
        codelists_ok=command.codelists_ok,
        will_notify=workspace.should_notify if command.will_notify is None else command.will_notify,
        workspace=RequestedWorkspace(
            name=workspace.name,
            repo=workspace.repo,
            branch=workspace.branch,
            db=workspace.db,
            created_by=workspace.created_by,
            created_at=workspace.created_at,
        ),
        project=workspace.project,
    )
    pipeline = StoredPipeline(
        warnings=command.warnings,
        actions={name: action for name, action in command.pipeline.items() if name != RUN_ALL},
    )
    place = Place(Area.ACTIVE, now.date(), new_id)
    said = ", ".join(actions) if len(actions) <= 3 else f"{len(actions)} actions"
    return Changes(
        state.branch,
        "job-request.created",
        f"{actor.name} requested {said} on {workspace.name}",
        (Change(place.request, None, document), Change(place.pipeline, None, pipeline)),
        trailers=(("Job-Request", new_id), ("Workspace", workspace.name)),
        result={"identifier": new_id},
    )


def pipeline_of(state: State, stored: Stored) -> StoredPipeline:
    """The request's actions, in the order of the file; ``run_all`` is none, also where project.yaml had one.

    Raises `Error` (invalid) if they can't be read.
    """
    if (within := stored.request.pipeline) is not None:
        return StoredPipeline(actions={name: action for name, action in within.items() if name != RUN_ALL})
    if (pipeline := state.pipeline(stored.place)) is None:
        raise invalid("is missing", stored.place.pipeline)
    return pipeline


def expand(actions: Iterable[str], pipeline: Mapping[str, PipelineAction]) -> list[str]:
    """The actions and all that they need, each after what it needs; ``run_all`` stands for every action."""
    done: dict[str, None] = {}
    waiting = list(reversed(list(actions)))
    opened: set[str] = set()
    while waiting:
        action = waiting[-1]
        if action in opened:
            done[waiting.pop()] = None
        else:
            opened.add(action)
            needs: Iterable[str] = pipeline[action].needs if action in pipeline else ()
            if action == RUN_ALL:
                needs = pipeline
            waiting += reversed([need for need in needs if need not in opened])
    return [action for action in done if action != RUN_ALL]


def cancel(state: State, command: c.CancelJobs, actor: Actor) -> Changes:
    stored = state.find(command.identifier)
    if stored is None:
        raise not_found(f"there is no job request {command.identifier!r}")
    request, jobs, pipeline = stored.request, state.jobs(stored.place).values(), pipeline_of(state, stored).actions
    finished = {job.action for job in jobs if job.status in lifecycle.FINISHED}
    finished -= {job.action for job in jobs if job.status not in lifecycle.FINISHED}
    # What a runner calls a job may be any text; only names of actions can be cancelled.
    others = [job.action for job in jobs if names.is_action(job.action)]
    known = dict.fromkeys([*expand(request.requested_actions, pipeline), *others])
    wanted = command.actions or (() if stored.place.area is Area.ARCHIVE else tuple(known))
    asked = known.keys() | request.requested_actions
    if strange := [action for action in wanted if action not in asked]:
        raise invalid(f"not part of this job request: {some(strange)}", "actions")
    # A runner compares job by job, so run_all is cancelled as the actions it stands for.
    every = [action for action in known if action != RUN_ALL]
    added = dict.fromkeys(one for action in wanted for one in (every if action == RUN_ALL else [action]))
    done = finished.union(request.cancelled_actions)
    new = [action for action in added if action not in done]
    if not new or stored.place.area is Area.ARCHIVE:
        nothing = Change(stored.place.request, request, request)
        result = {"identifier": request.identifier}
        return Changes(state.branch, "job-request.cancelled", "", result=result, unchanged=(nothing,))
    after = request.model_copy(update={"cancelled_actions": (*request.cancelled_actions, *new)})
    said = ", ".join(new) if len(new) <= 3 else f"{len(new)} actions"
    return Changes(
        state.branch,
        "job-request.cancelled",
        f"{actor.name} cancelled {said} on {request.workspace.name}",
        (Change(stored.place.request, request, after),),
        trailers=(("Job-Request", request.identifier), ("Workspace", request.workspace.name)),
        result={"identifier": request.identifier},
    )


def fail(state: State, command: c.FailJob, actor: Actor, now: datetime) -> Changes:
    stored = state.find(command.request)
    job = state.jobs(stored.place).get(command.identifier) if stored else None
    if stored is None or job is None:
        raise not_found(f"there is no job {command.identifier!r}")
    if job.status in lifecycle.FINISHED:
        raise conflict(f"job {job.identifier} has {job.status} already")
    newest = now if job.updated_at is None or lifecycle.is_ahead(job.updated_at, now) else max(now, job.updated_at)
    after = job.model_copy(
        update={
            "status": "failed",
            "status_code": lifecycle.MARKED_FAILED,
            "status_message": f"Marked as failed by {actor.name}: its runner lost it",
            "updated_at": newest,
            "completed_at": newest,
        }
    )
    jobs = {**state.jobs(stored.place), job.identifier: after}
    done = lifecycle.finished(jobs.values()) and stored.place.area is Area.ACTIVE
    place = stored.place.moved(Area.ARCHIVE) if done else stored.place
    return Changes(
        state.branch,
        "jobs.updated",
        f"{actor.name} marked {job.action} as failed",
        (Change(place.job(job.identifier), job, after),),
        (Move(stored.place, Area.ARCHIVE),) if done else (),
        (("Job-Request", command.request), ("Workspace", stored.request.workspace.name)),
        {"identifier": command.request},
    )


def update(state: State, command: c.UpdateJobs, actor: Actor, now: datetime) -> Changes:
    """``result`` names what was ``ignored`` (job requests), and only if there are any, what was ``skipped`` (jobs) and
    run ``twice`` (job requests), and by how much a time was ``ahead`` of now, a timedelta."""
    reported: dict[str, dict[str, Job]] = {}
    owners: dict[str, str] = {}
    for identifier, job in command.jobs:
        if owners.setdefault(job.identifier, identifier) != identifier:
            raise invalid(f"job {job.identifier} is reported under two job requests", "identifier")
        reported.setdefault(identifier, {})[job.identifier] = (
            job.model_copy(update={"status_message": cut_text(job.status_message)})
            if len(job.status_message) * 4 > MAX_MESSAGE_BYTES
            else job
        )
    told = _Told()
    changes: list[Change] = []
    moves: list[Move] = []
    trailers: list[tuple[str, str]] = []
    workspaces: dict[str, None] = {}
    words: list[str] = []
    for identifier, jobs in reported.items():
        stored = _find(state, identifier)
        if stored is None:
            told.ignored.append(identifier)
            continue
        some, move = _update_one(state, stored, jobs, now, told)
        if some or move:
            changes += some
            moves += move
            trailers.append(("Job-Request", identifier))
            workspaces[stored.request.workspace.name] = None
            words += [_said(change) for change in some]
    said = ", ".join(words) if 0 < len(words) <= 3 else f"{len(words)} jobs"
    trailers += [("Workspace", name) for name in workspaces]
    return Changes(
        state.branch,
        "jobs.updated",
        f"{actor.name} reported {said}"[:200],
        tuple(changes),
        tuple(moves),
        tuple(trailers),
        told.result(),
    )


@dataclass(slots=True)
class _Told:
    """What a report's answer says beside what it changed."""

    ignored: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    ahead: timedelta = timedelta()

    def result(self) -> dict[str, Any]:
        more = {"skipped": self.skipped, "twice": self.twice, "ahead": self.ahead}
        return {"ignored": self.ignored, **{key: value for key, value in more.items() if value}}


def _said(change: Change) -> str:
    job = change.after or change.before
    assert isinstance(job, Job)
    return f"{job.action} {job.status if change.after else 'left out'}"


def _find(state: State, identifier: str) -> Stored | None:
    """None also for one that can't be read: it must not stop the report of the others."""
    try:
        return state.find(identifier) if names.is_request_id(identifier) else None
    except Error:
        return None


def _update_one(
    state: State, stored: Stored, sent: Mapping[str, Job], now: datetime, told: _Told
) -> tuple[list[Change], list[Move]]:
    before = state.jobs(stored.place)
    reported = {identifier: lifecycle.on_time(job, before.get(identifier), now) for identifier, job in sent.items()}
    told.ahead = max([told.ahead, *(_ahead(sent[one], now) for one in sent if sent[one] is not reported[one])])
    # A job of the same runner is reported again; another's is left out, or has the same id.
    others = [job for identifier, job in before.items() if identifier not in reported]
    again = [
        (old, job)
        for identifier, job in reported.items()
        if (old := before.get(identifier)) is not None and job.created_at < old.created_at
    ]
    if lifecycle.are_run_twice(others, reported.values()) or any(lifecycle.is_run_twice(*pair) for pair in again):
        told.twice.append(stored.request.identifier)
    after = dict(before)
    for identifier, job in reported.items():
        old = before.get(identifier)
        if old is None or lifecycle.takes(old, job, now):
            after[identifier] = job
        else:
            told.skipped.append(identifier)
    newest, known = lifecycle.newest(reported.values()), lifecycle.newest(before.values(), now)
    if newest is None or known is None or newest >= known:
        after = {identifier: job for identifier, job in after.items() if identifier in reported}
    area = Area.ARCHIVE if lifecycle.finished(after.values()) else Area.ACTIVE
    place = stored.place.moved(area)
    changes = [
        Change(place.job(identifier), before.get(identifier), after.get(identifier))
        for identifier in sorted(before.keys() | after.keys())
        if not same(before.get(identifier), after.get(identifier))
    ]
    return changes, [Move(stored.place, area)] if area is not stored.place.area else []


def _ahead(job: Job, now: datetime) -> timedelta:
    """How far the latest of its times is ahead of now."""
    times: list[datetime] = [moment for name in lifecycle.TIMES if (moment := getattr(job, name)) is not None]
    return max(times) - now
