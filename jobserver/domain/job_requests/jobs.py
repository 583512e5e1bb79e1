"""Jobs: the runs of a job request's actions. A runner reports them; an administrator can mark one as failed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, assert_never

from jobserver.domain.base import names
from jobserver.domain.base.identifiers import is_request_id
from jobserver.domain.base.layout import Area, DocPath
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.rights import Rights
from jobserver.domain.base.rules import KeyFault, Proposal, Rules
from jobserver.domain.base.state import Change, Changes, Move, State, Stored
from jobserver.domain.base.values import Document, JsonMap, Text, Time, Version, named, same
from jobserver.domain.job_requests import lifecycle
from jobserver.errors import Error, conflict, invalid, not_found

MAX_MESSAGE_BYTES = 8 * 1024


class Job(Document):
    version: Version = 1
    identifier: Annotated[str, named(names.JOB_ID)]
    action: Text
    status: Literal["pending", "running", "failed", "succeeded"]
    status_code: Text
    status_message: Text
    created_at: Time
    updated_at: Time | None
    started_at: Time | None
    completed_at: Time | None
    run_command: Text | None = None
    trace_context: JsonMap | None = None
    metrics: JsonMap | None = None
    requires_db: bool | None = None

    # Only some runners report these (docs/contract.md, section 1).
    optional_keys: ClassVar[frozenset[str]] = frozenset({"run_command", "trace_context", "metrics", "requires_db"})

    def path_keys(self, path: DocPath) -> dict[str, object]:
        return {"identifier": path.name}


@dataclass(frozen=True, slots=True)
class UpdateJobs:
    """A runner's report: (identifier of the job request, job), with all jobs of each request that it names."""

    backend: str
    jobs: tuple[tuple[str, Job], ...]


@dataclass(frozen=True, slots=True)
class FailJob:
    """Marks a job that its runner lost as failed, until the runner reports that it is finished.

    ``heard``: the job with readings that are not recorded yet, if there are any.
    """

    identifier: str
    request: str
    backend: str
    heard: Job | None = None


@dataclass(frozen=True, slots=True)
class RetryRequest:
    """Removes the jobs of a request of a controller, which then is asked for it again. It creates what it does not
    have, and reports what it has."""

    identifier: str
    backend: str


Command: TypeAlias = UpdateJobs | FailJob | RetryRequest


def plan(state: State, command: Command, actor: Actor, now: datetime) -> Changes:
    match command:
        case UpdateJobs():
            return _update(state, command, actor, now)
        case FailJob():
            return _fail(state, command, actor, now)
        case RetryRequest():
            return _retry(state, command, actor)
        case _:
            assert_never(command)


def cut_message(text: str, cut_by: str = "the server") -> str:
    """Cuts a message of a runner to the size that a document may have: a long message must not stop a report."""
    data = text.encode(errors="replace")
    if len(data) <= MAX_MESSAGE_BYTES:
        return text
    mark = f" [cut by {cut_by} at 8 KiB]"
    return data[: MAX_MESSAGE_BYTES - len(mark)].decode(errors="ignore") + mark


@dataclass(slots=True)
class _Report:
    """The changes of a report, and the result that its answer uses: see `_update`. ``events``: those of the changes
    that are no readings."""

    changes: list[Change] = field(default_factory=list)
    events: list[Change] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    requests: list[Stored] = field(default_factory=list)
    readings: dict[str, dict[str, Job]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    ahead: timedelta = timedelta()

    def result(self) -> dict[str, Any]:
        more = {"skipped": self.skipped, "twice": self.twice, "ahead": self.ahead, "readings": self.readings}
        return {"ignored": self.ignored, **{key: value for key, value in more.items() if value}}


def _update(state: State, command: UpdateJobs, actor: Actor, now: datetime) -> Changes:
    """The result names the job requests that were ``ignored`` because they do not exist. Only if there are any, it
    also has the jobs that were ``skipped`` because they are older than what is stored, the job requests that two
    runners ran ``twice``, how far a time was ``ahead`` of now, as a timedelta, and the ``readings`` that this report
    does not write: by job request, then by job."""
    report = _Report()
    for identifier, jobs in _by_request(command.jobs).items():
        stored = _find(state, identifier)
        if stored is None:
            report.ignored.append(identifier)
        else:
            _update_request(state, stored, jobs, now, report)
    count = len(report.events)
    summary = ", ".join(map(_summary, report.events)) if 0 < count <= 3 else f"{count} jobs"
    trailers = [("Job-Request", stored.request.identifier) for stored in report.requests]
    workspaces = dict.fromkeys(stored.request.workspace.name for stored in report.requests)
    trailers += [("Workspace", name) for name in workspaces]
    return Changes(
        state.branch,
        "jobs.updated",
        f"{actor.name} reported {summary}"[:200],
        tuple(report.changes),
        tuple(report.moves),
        tuple(trailers),
        report.result(),
    )


def _by_request(reported: Iterable[tuple[str, Job]]) -> dict[str, dict[str, Job]]:
    """identifier of the job request -> identifier of the job -> job, with messages that fit."""
    requests: dict[str, dict[str, Job]] = {}
    owners: dict[str, str] = {}
    for identifier, job in reported:
        if owners.setdefault(job.identifier, identifier) != identifier:
            raise invalid(f"job {job.identifier} is reported for two job requests", "identifier")
        if len(job.status_message) * 4 > MAX_MESSAGE_BYTES:
            job = job.model_copy(update={"status_message": cut_message(job.status_message)})
        requests.setdefault(identifier, {})[job.identifier] = job
    return requests


def _find(state: State, identifier: str) -> Stored | None:
    """None also for a request that cannot be read, which must not stop the report of the others."""
    try:
        return state.find(identifier) if is_request_id(identifier) else None
    except Error:
        return None


def _update_request(state: State, stored: Stored, sent: Mapping[str, Job], now: datetime, report: _Report) -> None:
    before = state.jobs(stored.place)
    reported = {identifier: lifecycle.on_time(job, before.get(identifier), now) for identifier, job in sent.items()}
    late = [_ahead(job, now) for identifier, job in sent.items() if job is not reported[identifier]]
    report.ahead = max([report.ahead, *late])
    if _are_run_twice(before, reported):
        report.twice.append(stored.request.identifier)
    after = dict(before)
    for identifier, job in reported.items():
        old = before.get(identifier)
        if old is None or lifecycle.takes(old, job, now):
            after[identifier] = old if old is not None and lifecycle.is_repeated_end(old, job) else job
        else:
            report.skipped.append(identifier)
    newest, known = lifecycle.newest(reported.values()), lifecycle.newest(before.values(), now)
    if newest is None or known is None or newest >= known:
        after = {identifier: job for identifier, job in after.items() if identifier in reported}
    _note_changes(stored, before, after, report)


def _note_changes(stored: Stored, before: Mapping[str, Job], after: Mapping[str, Job], report: _Report) -> None:
    """If nothing but readings is new of the request, the record does not take them yet."""
    area = Area.ARCHIVE if lifecycle.finished(after.values()) else Area.ACTIVE
    place, is_moved = stored.place.moved(area), area is not stored.place.area
    changes = [
        Change(place.job(identifier), before.get(identifier), after.get(identifier))
        for identifier in sorted(before.keys() | after.keys())
        if not same(before.get(identifier), after.get(identifier))
    ]
    events = [change for change in changes if not _is_reading(change)]
    if changes and not events and not is_moved:
        readings = [job for change in changes if (job := change.of(Job)[1]) is not None]
        report.readings[stored.request.identifier] = {job.identifier: job for job in readings}
    elif changes or is_moved:
        report.requests.append(stored)
        report.changes += changes
        report.events += events
        report.moves += [Move(stored.place, area)] if is_moved else []


def _is_reading(change: Change) -> bool:
    before, after = change.of(Job)
    return before is not None and after is not None and lifecycle.is_reading(before, after)


def _are_run_twice(before: Mapping[str, Job], reported: Mapping[str, Job]) -> bool:
    """Whether two runners seem to run the request. One runner repeats its own jobs, and never those of another."""
    others = [job for identifier, job in before.items() if identifier not in reported]
    again = [
        (old, job)
        for identifier, job in reported.items()
        if (old := before.get(identifier)) is not None and job.created_at < old.created_at
    ]
    return lifecycle.are_run_twice(others, reported.values()) or any(lifecycle.is_run_twice(*pair) for pair in again)


def _ahead(job: Job, now: datetime) -> timedelta:
    """How far the latest of the job's times is ahead of now."""
    times: list[datetime] = [moment for name in lifecycle.TIMES if (moment := getattr(job, name)) is not None]
    return max(times) - now


def _summary(change: Change) -> str:
    before, after = change.of(Job)
    job = after or before
    assert job is not None
    return f"{job.action} {job.status if after else 'removed'}"


def _fail(state: State, command: FailJob, actor: Actor, now: datetime) -> Changes:
    stored = state.find(command.request)
    jobs = state.jobs(stored.place) if stored is not None else {}
    job = jobs.get(command.identifier)
    if stored is None or job is None:
        raise not_found(f"job {command.identifier!r} does not exist")
    if job.status in lifecycle.FINISHED:
        raise conflict(f"job {job.identifier} has already {job.status}")
    if command.heard is not None and lifecycle.is_reading(job, command.heard) and lifecycle.takes(job, command.heard):
        job = command.heard
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
    is_finished = lifecycle.finished({**jobs, job.identifier: after}.values())
    is_moved = is_finished and stored.place.area is Area.ACTIVE
    place = stored.place.moved(Area.ARCHIVE) if is_moved else stored.place
    return Changes(
        state.branch,
        "jobs.updated",
        f"{actor.name} marked {job.action} as failed",
        (Change(place.job(job.identifier), jobs[job.identifier], after),),
        (Move(stored.place, Area.ARCHIVE),) if is_moved else (),
        (("Job-Request", command.request), ("Workspace", stored.request.workspace.name)),
        {"identifier": command.request},
    )


def _retry(state: State, command: RetryRequest, actor: Actor) -> Changes:
    stored = state.find(command.identifier)
    if stored is None:
        raise not_found(f"job request {command.identifier!r} does not exist")
    backend = state.backend(command.backend)
    if backend is None or backend.rap is None:
        raise conflict(f"backend {command.backend} has no controller: its runner asks for the request by itself")
    jobs = state.jobs(stored.place)
    if jobs and all(job.status == "succeeded" for job in jobs.values()):
        raise conflict(f"job request {command.identifier} has already succeeded")
    is_archived = stored.place.area is Area.ARCHIVE
    place = stored.place.moved(Area.ACTIVE)
    return Changes(
        state.branch,
        "jobs.updated",
        f"{actor.name} had the controller asked for {command.identifier} again",
        tuple(Change(place.job(identifier), job, None) for identifier, job in jobs.items()),
        (Move(stored.place, Area.ACTIVE),) if is_archived else (),
        (("Job-Request", command.identifier), ("Workspace", stored.request.workspace.name)),
        {"identifier": command.identifier},
    )


def _faults(proposal: Proposal, change: Change) -> list[KeyFault]:
    before, after = change.of(Job)
    if before is None or after is None or lifecycle.takes(before, after, proposal.now):
        return []
    return [("updated_at", f"{before.status} -> {after.status} needs a later time than the stored job has")]


def _is_own_backend(rights: Rights, change: Change) -> bool:
    return rights.is_own_backend


RULES = Rules(faults=_faults, create=_is_own_backend, update=_is_own_backend, delete=_is_own_backend)
