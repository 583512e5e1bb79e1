"""What new job requests must keep to, whoever makes them: the limits of their projects and persons. Pure."""

from datetime import timedelta
from functools import partial

from jobserver.domain.base.layout import Area, Place, parse_path
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.base.rules import Proposal
from jobserver.domain.governance.refusals import refusals, runner_refusals
from jobserver.domain.job_requests.pipelines import StoredPipeline, runs_of
from jobserver.domain.job_requests.requests import JobRequest, scope_of
from jobserver.errors import Fault, forbidden

_CLOCKS_AGREE = timedelta(days=1)


def check_limits(proposal: Proposal, actor: Actor) -> None:
    """Raises `Error` (forbidden) with every reason why the new job requests are refused, whoever makes them.

    The day that counts is that of the request's `created_at`, so that an audit comes to the same answer; a pushed
    request is of today. The limits of whoever makes a request count as well as those of the person that it names.
    """
    created = proposal.created(JobRequest)
    if not created:
        return
    state = proposal.state
    faults: dict[Fault, None] = {}
    pipelines = _new_pipelines(proposal)
    for request in created:
        workspace = state.workspace(request.workspace.name)
        projects = dict.fromkeys([workspace.project if workspace is not None else None, request.project])
        for project in projects:
            people = dict.fromkeys([request.created_by, *([actor.name] if actor.kind is ActorKind.USER else [])])
            day = request.created_at.date()
            reasons = [why for name in people for why in refusals(state, name, project, request.backend, day)]
            runs = partial(_runs, request, pipelines.get(request.identifier))
            reasons += [reason for _, reason in runner_refusals(state, project, runs)]
            faults |= dict.fromkeys(reason.fault(state) for reason in reasons)
        if request.analysis_scope != scope_of(state, next(iter(projects))):
            message = f"is not that of the project of workspace {request.workspace.name}"
            faults[_fault(request, "analysis_scope", message)] = None
        now = proposal.now if proposal.changes.is_pushed else None
        if now is not None and abs(request.created_at - now) > _CLOCKS_AGREE:
            faults[_fault(request, "created_at", "is not the day of the push: set the clock")] = None
    if faults:
        raise forbidden("; ".join(map(str, faults)), faults=list(faults))


def _fault(request: JobRequest, key: str, message: str) -> Fault:
    place = Place(Area.ACTIVE, request.created_at.date(), request.identifier)
    return Fault(message, place.request, key=key)


def _new_pipelines(proposal: Proposal) -> dict[str, StoredPipeline]:
    """Request -> its pipeline."""
    branch = proposal.changes.branch
    files = ((parse_path(branch, change.path), change.after) for change in proposal.changes.changes)
    return {
        path.place.identifier: after
        for path, after in files
        if isinstance(after, StoredPipeline) and path is not None and path.place is not None
    }


def _runs(request: JobRequest, beside: StoredPipeline | None) -> dict[str, str]:
    return runs_of(request.requested_actions, request.pipeline or (beside.actions if beside is not None else {}))
