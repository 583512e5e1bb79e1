"""Readings: what a runner reports of a job that runs or waits, between events. They are live; some minutes after they
were heard, the record takes them. What is a reading: `lifecycle.is_reading`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from pydantic import TypeAdapter, ValidationError

from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.state import Change, Changes, State
from jobserver.domain.base.values import same
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import Job

_JOBS = TypeAdapter(dict[str, Job])


@dataclass(frozen=True, slots=True)
class RecordReadings:
    """``jobs``: job request -> id of a job -> the job, as it was last reported."""

    backend: str
    jobs: Mapping[str, Mapping[str, Job]]


Command: TypeAlias = RecordReadings


def plan(state: State, command: RecordReadings, actor: Actor, now: datetime) -> Changes:
    """Leaves out what something newer was recorded of since it was heard."""
    changes: list[Change] = []
    trailers: list[tuple[str, str]] = []
    workspaces: dict[str, None] = {}
    for identifier, jobs in sorted(command.jobs.items()):
        stored = state.find(identifier)
        if stored is None:
            continue
        before = state.jobs(stored.place)
        newer = [
            Change(stored.place.job(name), old, job)
            for name, job in sorted(jobs.items())
            if (old := before.get(name)) is not None and _is_newer(old, job, now)
        ]
        if newer:
            changes += newer
            trailers.append(("Job-Request", identifier))
            workspaces[stored.request.workspace.name] = None
    actions = [change.updated(Job)[1].action for change in changes]
    summary = ", ".join(actions) if len(actions) <= 3 else f"{len(actions)} jobs"
    trailers += [("Workspace", name) for name in workspaces]
    subject = f"{actor.name} reported readings of {summary}"[:200]
    return Changes(state.branch, "jobs.updated", subject, tuple(changes), (), tuple(trailers))


def _is_newer(stored: Job, heard: Job, now: datetime) -> bool:
    return lifecycle.is_reading(stored, heard) and not same(stored, heard) and lifecycle.takes(stored, heard, now)


def jobs_to_json(jobs: Mapping[str, Job]) -> str:
    """For `jobs_from_json`, when the server starts again."""
    return _JOBS.dump_json(dict(jobs)).decode()


def jobs_from_json(text: str) -> dict[str, Job]:
    """Empty if a server of another version wrote the text: the runner's next report has them again."""
    try:
        return _JOBS.validate_json(text)
    except ValidationError:
        return {}
