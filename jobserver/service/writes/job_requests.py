"""Requests, finds and cancels job requests, for every front end.

Reads the study before it calls the gate, so that no commit waits for GitHub.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from jobserver.domain.base import identifiers, layout
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.state import Stored
from jobserver.domain.job_requests import outcomes
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.pipelines import PipelineAction, pipeline_of
from jobserver.domain.job_requests.refs import HEADS
from jobserver.domain.job_requests.requests import CancelJobs, JobRequest, RequestJobs
from jobserver.errors import conflict, invalid, not_found
from jobserver.service.studies.codelists import FOLDER, Codelists
from jobserver.service.studies.registry import StudyRegistry
from jobserver.service.writes.gate import Gate, repeated_answer
from jobserver.service.writes.idempotency import Key
from jobserver.store.read.cancellations import cancellers
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.repo import StateRepo
from jobserver.store.write.submission import WriteResult


@dataclass(frozen=True, slots=True)
class RequestWithJobs:
    """A job request with its jobs on its backend's branch. ``warnings``: those of its project.yaml, if it is new.
    ``cancelled_by``: who cancelled actions of it, for those readers who ask `with_cancellers`."""

    stored: Stored
    jobs: tuple[Job, ...]
    warnings: tuple[str, ...] = ()
    cancelled_by: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        return outcomes.request_outcome([outcomes.outcome(job.status, job.status_code) for job in self.jobs])


@dataclass(frozen=True, slots=True)
class Rerun:
    """What to run again of a request: these actions, those that failed, or all. At the same commit, or else at the
    newest one of its branch: the branch that the person chose for it, or the workspace's."""

    actions: tuple[str, ...] = ()
    only_failed: bool = False
    same_commit: bool = False

    def chosen(self, earlier: RequestWithJobs, pipeline: Collection[str]) -> tuple[str, ...]:
        """Raises `Error` (invalid)."""
        if self.actions and self.only_failed:
            raise invalid("name actions, or ask for those that failed", "actions")
        if not self.only_failed:
            return self.actions or earlier.stored.request.requested_actions
        failed = (job.action for job in earlier.jobs if job.status == "failed" and job.action in pipeline)
        if actions := tuple(dict.fromkeys(failed)):
            return actions
        raise invalid("no jobs have failed", "only_failed")


class JobRequestService:
    def __init__(self, repo: StateRepo, gate: Gate, studies: StudyRegistry, codelists: Codelists) -> None:
        self._repo, self._gate, self._studies, self.codelists = repo, gate, studies, codelists

    def request_jobs(
        self,
        actor: Actor,
        workspace: str,
        actions: tuple[str, ...],
        backend: str,
        via: str,
        *,
        key: Key | None = None,
        force_run_dependencies: bool = False,
        will_notify: bool | None = None,
        database_name: str | None = None,
        rerun_of: str | None = None,
        note: str | None = None,
        ref: str | None = None,
    ) -> WriteResult:
        """Requests jobs at the tip of the workspace's branch, or at another ``ref``: a branch, a tag or a commit. The
        result's ``identifier`` is the new id."""
        if key is not None and (done := self._gate.ledger.find(key)) is not None:
            return repeated_answer(done, {})  # also while the study's host does not answer
        document = self._repo.writer.read(layout.MAIN, lambda state: state.workspace(workspace))
        if document is None:
            raise not_found(f"workspace {workspace!r} does not exist")
        study = self._studies.project(document.repo, document.branch, ref or "")
        pipeline = {
            name: PipelineAction(needs=tuple(action["needs"]), run=action["run"])
            for name, action in study.pipeline.as_document().items()
        }
        command = RequestJobs(
            workspace,
            backend,
            actions,
            study.sha,
            pipeline,
            force_run_dependencies=force_run_dependencies,
            will_notify=will_notify,
            database_name=database_name,
            warnings=tuple(str(fault)[:1000] for fault in study.pipeline.warnings),
            rerun_of=rerun_of,
            note=note,
            commit_subject=study.subject,
            ref=study.chosen.name if study.chosen else None,
            branch=study.chosen.branch if study.chosen else None,
            lines={name: action.line for name, action in study.pipeline.actions.items()},
        )
        return self._gate.submit(actor, self._checked(command, document.repo), via, key)

    def rerun(self, actor: Actor, identifier: str, rerun: Rerun, via: str, key: Key | None = None) -> WriteResult:
        """Requests actions of an earlier request again. The result's ``identifier`` is the new id."""
        if key is not None and (done := self._gate.ledger.find(key)) is not None:
            return repeated_answer(done, {})
        earlier = self.find(identifier)
        request, branch = earlier.stored.request, layout.backend_branch(earlier.stored.request.backend)
        pipeline = self._repo.writer.read(branch, lambda state: pipeline_of(state, earlier.stored))
        actions = rerun.chosen(earlier, pipeline.actions)
        is_forced = request.force_run_dependencies and actions == request.requested_actions
        if not rerun.same_commit:
            return self.request_jobs(
                actor,
                request.workspace.name,
                actions,
                request.backend,
                via,
                key=key,
                force_run_dependencies=is_forced,
                will_notify=request.will_notify,
                database_name=request.database_name,
                rerun_of=identifier,
                ref=request.ref if request.ref and request.ref.startswith(HEADS) else None,
            )
        own_branch = self._branch_now(request)
        command = RequestJobs(
            request.workspace.name,
            request.backend,
            actions,
            request.sha,
            pipeline.actions,
            force_run_dependencies=is_forced,
            will_notify=request.will_notify,
            database_name=request.database_name,
            warnings=pipeline.warnings,
            rerun_of=identifier,
            commit_subject=request.commit_subject,
            ref=request.ref or (None if request.workspace.branch == own_branch else request.sha),
            branch=request.workspace.branch,
        )
        return self._gate.submit(actor, self._checked(command, request.workspace.repo), via, key)

    def _checked(self, command: RequestJobs, repo: str) -> RequestJobs:
        """With what OpenCodelists says of it. Raises `Error` (invalid)."""
        check = self.codelists.require(
            repo, command.sha, command.requested_actions, command.pipeline, command.force_run_dependencies
        )
        warnings = [warning for warning in command.warnings if not warning.startswith(FOLDER)]  # of an earlier check
        return replace(command, codelists_ok=check.is_ok, warnings=(*warnings, *check.warnings))

    def _branch_now(self, request: JobRequest) -> str:
        """The workspace's. Raises `Error` (conflict) if it has another study now: its commits are not those of
        before."""
        name = request.workspace.name
        workspace = self._repo.writer.read(layout.MAIN, lambda state: state.workspace(name))
        if workspace is not None and workspace.repo != request.workspace.repo:
            raise conflict(
                f"workspace {name} has another repository now: run the actions at its newest commit", "commit"
            )
        return workspace.branch if workspace is not None else request.workspace.branch

    def cancel(
        self, actor: Actor, identifier: str, actions: tuple[str, ...], via: str, key: Key | None = None
    ) -> WriteResult:
        """Cancels these actions, or all that are not finished. Durable before the runner gets the list."""
        request = self.find(identifier).stored.request
        return self._gate.submit(actor, CancelJobs(identifier, request.backend, actions), via, key)

    def read_written(self, written: WriteResult) -> RequestWithJobs:
        """The job request of ``written``, as it was at that commit."""
        identifier = written.changes.result["identifier"]

        def read(state: Snapshot) -> RequestWithJobs | None:
            request = with_jobs(state, state.find(identifier))
            if request is None:
                return None
            pipeline = state.pipeline(request.stored.place) if not request.jobs else None
            return replace(request, warnings=pipeline.warnings if pipeline else ())

        request = self._repo.writer.read(written.branch, read, commit=written.commit)
        if request is None:
            raise not_found(f"job request {identifier!r} does not exist")
        return request

    def find(self, identifier: str) -> RequestWithJobs:
        """Raises `Error` (not_found)."""
        for branch in self._backend_branches() if identifiers.is_request_id(identifier) else ():
            request = self._repo.writer.read(branch, lambda state: with_jobs(state, state.find(identifier)))
            if request is not None:
                return request
        raise not_found(f"job request {identifier!r} does not exist")

    def with_cancellers(self, request: RequestWithJobs) -> RequestWithJobs:
        """As the function below, up to now."""
        tip = self._repo.writer.refs.tip(layout.backend_branch(request.stored.request.backend))
        return request if tip is None else with_cancellers(self._repo.path, tip, request)

    def active(self) -> list[RequestWithJobs]:
        """Every request that is not finished, newest first."""
        requests: list[RequestWithJobs] = []
        for branch in self._backend_branches():
            requests += self._repo.writer.read(
                branch, lambda state: [request for stored in state.active() if (request := with_jobs(state, stored))]
            )
        return sorted(
            requests,
            key=lambda request: (request.stored.request.created_at, request.stored.request.identifier),
            reverse=True,
        )

    def _backend_branches(self) -> list[str]:
        return [branch for branch in self._repo.writer.refs.branches() if layout.branch_backend(branch)]


def with_cancellers(repository: Path, tip: str, request: RequestWithJobs) -> RequestWithJobs:
    """The request with the names of those who cancelled actions of it up to the commit ``tip``."""
    document = request.stored.request
    if not document.cancelled_actions:
        return request
    usernames = cancellers(repository, tip, since=document.created_at).get(document.identifier, ())
    return replace(request, cancelled_by=usernames)


def with_jobs(state: Snapshot, stored: Stored | None) -> RequestWithJobs | None:
    """The request with its jobs; None for None."""
    return None if stored is None else RequestWithJobs(stored, tuple(state.jobs(stored.place).values()))
