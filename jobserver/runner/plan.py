"""Decides which jobs a request has, which of them may start, and which must end.

Pure: takes jobs and the time, returns jobs. The states are those of docs/contract.md and of OpenSAFELY's runners of
2021 and 2025.
"""

import base64
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobserver.domain.pipeline.graph import RUN_ALL, select
from jobserver.domain.pipeline.reader import Action, Pipeline
from jobserver.runner.model import RunnerJob, RunnerRequest

ERROR_ACTION = "__error__"
CANCELLED = ("failed", "cancelled_by_user", "Cancelled by user")
CREATED = ("pending", "created", "Created")
WAITING_FOR_NEEDS = ("pending", "waiting_on_dependencies", "Waiting on dependencies")
WAITING_FOR_WORKER = ("pending", "waiting_on_workers", "Waiting on available workers")
NOTHING_TO_DO = ("succeeded", "succeeded", "Nothing to do: all actions have succeeded already")
REBOOTED = ("pending", "waiting_on_reboot", "The runner stopped while this was running. It will run again")


@dataclass(frozen=True, slots=True)
class Plan:
    """The jobs of a request, each after the jobs it needs, and the actions that they run."""

    jobs: tuple[RunnerJob, ...]
    actions: Mapping[str, Action]


def job_id(request: str, action: str) -> str:
    """The same for the same request and action, so that a runner that lost its folder reports the same jobs."""
    digest = hashlib.sha1(f"{request}\n{action}".encode(), usedforsecurity=False).digest()
    return base64.b32encode(digest[:10]).decode().lower()


def new_job(request: RunnerRequest, action: str, now: datetime, command: str | None = None) -> RunnerJob:
    identifier = job_id(request.identifier, action)
    return RunnerJob(identifier, action, *CREATED, created_at=now, updated_at=now, run_command=command)


def cancels_all(request: RunnerRequest) -> bool:
    """Whether every requested action is cancelled. Needs no pipeline, and so no checkout."""
    return set(request.cancelled_actions).issuperset(request.requested_actions)


def cancelled_at_once(request: RunnerRequest, now: datetime) -> Plan:
    """For a request that was cancelled before the runner read its pipeline."""
    actions = dict.fromkeys(request.requested_actions)
    return Plan(tuple(new_job(request, action, now).moved(*CANCELLED, now) for action in actions), {})


def failed_to_begin(request: RunnerRequest, code: str, message: str, now: datetime) -> Plan:
    """One job that says why the request can't run.

    ``code``: job_error if the request or its study is wrong, internal_error if the runner or the network is.
    """
    return Plan((new_job(request, ERROR_ACTION, now).moved("failed", code, message, now),), {})


def expand(request: RunnerRequest, pipeline: Pipeline, succeeded: Collection[str], now: datetime) -> Plan:
    """The jobs of a request, see `select`. ``succeeded``: actions whose outputs are still in this workspace.

    Raises `Error` (invalid) that names the actions that do not exist.
    """
    closure = pipeline.closure(request.requested_actions)
    selection = select(request.requested_actions, pipeline.actions, succeeded, request.force_run_dependencies)
    if not selection.runs:
        # A request that was cancelled before the runner read it was not done, even if its actions succeeded earlier.
        state = CANCELLED if set(closure) <= set(request.cancelled_actions) else NOTHING_TO_DO
        return Plan((new_job(request, request.requested_actions[0], now).moved(*state, now),), {})
    actions = {name: pipeline.actions[name] for name in selection.runs}
    return Plan(tuple(new_job(request, name, now, action.run) for name, action in actions.items()), actions)


def settle(
    jobs: Sequence[RunnerJob], needs: Mapping[str, Sequence[str]], request: RunnerRequest, now: datetime
) -> tuple[RunnerJob, ...]:
    """The jobs, with each pending one in the state that follows from cancels and from the jobs it needs.

    ``jobs`` are in an order where each follows the jobs it needs. A need without a job had succeeded before.
    """
    settled: dict[str, RunnerJob] = {}
    cancelled = _cancelled(jobs, request)
    for job in jobs:
        state = None
        if job.status == "pending":
            needed = [settled[need] for need in needs.get(job.action, ()) if need in settled]
            state = CANCELLED if job.action in cancelled else _pending_state(job, needed)
        if state is not None and state[1] != job.status_code:
            job = job.moved(*state, now)
        settled[job.action] = job
    return tuple(settled.values())


def _pending_state(job: RunnerJob, needed: Sequence[RunnerJob]) -> tuple[str, str, str] | None:
    failed = [need.action for need in needed if need.status == "failed"]
    if failed:
        return ("failed", "dependency_failed", f"Not run because {', '.join(failed)} failed")
    if any(need.status != "succeeded" for need in needed):
        return WAITING_FOR_NEEDS
    return None if job.status_code == REBOOTED[1] else WAITING_FOR_WORKER


def _cancelled(jobs: Sequence[RunnerJob], request: RunnerRequest) -> Collection[str]:
    """The cancelled actions, as a set: there may be thousands of them, and of jobs to look up."""
    cancelled = frozenset(request.cancelled_actions)
    if RUN_ALL in cancelled and RUN_ALL in request.requested_actions:
        return {job.action for job in jobs}
    return cancelled


def ready(jobs: Sequence[RunnerJob]) -> tuple[RunnerJob, ...]:
    """The settled jobs that wait only for a free worker."""
    return tuple(job for job in jobs if job.status_code in (WAITING_FOR_WORKER[1], REBOOTED[1]))


def to_kill(jobs: Sequence[RunnerJob], request: RunnerRequest) -> tuple[RunnerJob, ...]:
    cancelled = _cancelled(jobs, request)
    return tuple(job for job in jobs if job.status == "running" and job.action in cancelled)


def finished(jobs: Sequence[RunnerJob]) -> bool:
    return bool(jobs) and all(job.finished for job in jobs)


def rebooted(jobs: Sequence[RunnerJob], now: datetime) -> tuple[RunnerJob, ...]:
    """For the start of a runner: the jobs that were running when it stopped will run again."""
    return tuple(job.moved(*REBOOTED, now) if job.status == "running" else job for job in jobs)
