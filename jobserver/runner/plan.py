"""What is to be done, decided and nothing else: which jobs a request means, which may start, which must end.

Pure: jobs and the time go in, jobs come out. Facts: docs/contract.md, and what the 2021 and 2025 runners did.
"""

import base64
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobserver.domain.pipeline.graph import RUN_ALL
from jobserver.domain.pipeline.reader import Action, Pipeline
from jobserver.runner.model import Job, Request

ERROR_ACTION = "__error__"
CANCELLED = ("failed", "cancelled_by_user", "Cancelled by user")
CREATED = ("pending", "created", "Created")
WAITING_FOR_NEEDS = ("pending", "waiting_on_dependencies", "Waiting on dependencies")
WAITING_FOR_WORKER = ("pending", "waiting_on_workers", "Waiting on available workers")
NOTHING_TO_DO = ("succeeded", "succeeded", "Nothing to do: all actions have succeeded already")
REBOOTED = ("pending", "waiting_on_reboot", "The runner stopped while this ran; it will run again")


@dataclass(frozen=True, slots=True)
class Plan:
    """The jobs of a request, each after what it needs, and the actions that they run."""

    jobs: tuple[Job, ...]
    actions: Mapping[str, Action]


def job_id(request: str, action: str) -> str:
    """The same job gets the same id, whoever asks and however often."""
    digest = hashlib.sha1(f"{request}\n{action}".encode(), usedforsecurity=False).digest()
    return base64.b32encode(digest[:10]).decode().lower()


def new_job(request: Request, action: str, now: datetime, command: str | None = None) -> Job:
    return Job(
        job_id(request.identifier, action),
        action,
        *CREATED,
        created_at=now,
        updated_at=now,
        run_command=command,
    )


def cancels_all(request: Request) -> bool:
    """Whether nothing of it is wanted any more: known without its pipeline, so without a checkout."""
    cancelled = set(request.cancelled_actions)
    return cancelled.issuperset(request.requested_actions)


def cancelled_at_once(request: Request, now: datetime) -> Plan:
    """For a request that was cancelled before anybody looked at it."""
    actions = dict.fromkeys(request.requested_actions)
    return Plan(tuple(new_job(request, action, now).moved(*CANCELLED, now) for action in actions), {})


def failed_to_begin(request: Request, code: str, message: str, now: datetime) -> Plan:
    """One job that says what is wrong with the request. ``code``: job_error, or internal_error where it is ours."""
    return Plan((new_job(request, ERROR_ACTION, now).moved("failed", code, message, now),), {})


def expand(request: Request, pipeline: Pipeline, succeeded: Collection[str], now: datetime) -> Plan:
    """Its jobs. What was asked for by name always runs; what that needs, and what run_all stands for, runs unless
    it is among ``succeeded`` (in this workspace, outputs still there) or the request forces it.

    Raises `Error` (invalid) that names the actions that do not exist.
    """
    order = pipeline.closure(request.requested_actions)
    wanted = set(request.requested_actions)
    chosen = {a for a in order if a in wanted or a not in succeeded or request.force_run_dependencies}
    # A need runs for what needs it: of what is left out, nothing that only it needed has to run.
    reached: set[str] = set(wanted)
    reached.update(pipeline.actions if RUN_ALL in wanted else ())
    for action in reversed(order):
        if action in reached and action in chosen:
            reached.update(pipeline.actions[action].needs)
    names = [action for action in order if action in reached and action in chosen]
    if not names:
        # What was cancelled before anybody looked at it was not done, whether or not it succeeded some other time.
        is_cancelled_whole = {*order} - {RUN_ALL} <= {*request.cancelled_actions}
        state = CANCELLED if is_cancelled_whole else NOTHING_TO_DO
        return Plan((new_job(request, request.requested_actions[0], now).moved(*state, now),), {})
    jobs = tuple(new_job(request, name, now, pipeline.actions[name].run) for name in names)
    return Plan(jobs, {name: pipeline.actions[name] for name in names})


def settle(jobs: Sequence[Job], needs: Mapping[str, Sequence[str]], request: Request, now: datetime) -> tuple[Job, ...]:
    """The jobs, each pending one in the state that follows from the cancels and from the jobs that it needs.

    ``jobs`` stand after what they need. A need without a job here was satisfied before.
    """
    after: dict[str, Job] = {}
    for job in jobs:
        state = None
        if job.status == "pending":
            state = _pending_state(job, [after[need] for need in needs.get(job.action, ()) if need in after], request)
        if state is not None and state[1] != job.status_code:
            job = job.moved(*state, now)
        after[job.action] = job
    return tuple(after.values())


def _pending_state(job: Job, needed: Sequence[Job], request: Request) -> tuple[str, str, str] | None:
    if is_cancelled(job, request):
        return CANCELLED
    failed = [need.action for need in needed if need.status == "failed"]
    if failed:
        return ("failed", "dependency_failed", f"Not run: {', '.join(failed)} failed")
    if any(need.status != "succeeded" for need in needed):
        return WAITING_FOR_NEEDS
    return None if job.status_code == REBOOTED[1] else WAITING_FOR_WORKER


def is_cancelled(job: Job, request: Request) -> bool:
    whole = RUN_ALL in request.cancelled_actions and RUN_ALL in request.requested_actions
    return whole or job.action in request.cancelled_actions


def ready(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Of settled jobs, those that only wait for a free worker."""
    return tuple(job for job in jobs if job.status_code in (WAITING_FOR_WORKER[1], REBOOTED[1]))


def to_kill(jobs: Sequence[Job], request: Request) -> tuple[Job, ...]:
    return tuple(job for job in jobs if job.status == "running" and is_cancelled(job, request))


def finished(jobs: Sequence[Job]) -> bool:
    return bool(jobs) and all(job.finished for job in jobs)


def rebooted(jobs: Sequence[Job], now: datetime) -> tuple[Job, ...]:
    """After the runner itself stopped: what ran then will run again."""
    return tuple(job.moved(*REBOOTED, now) if job.status == "running" else job for job in jobs)
