"""What new job requests must keep to, whoever makes them: the limits of their projects and persons. Pure."""

from jobserver.domain.base.layout import Area, Place, parse_path
from jobserver.domain.base.rules import Proposal
from jobserver.domain.governance.refusals import refusals, runner_refusals
from jobserver.domain.job_requests.pipelines import StoredPipeline, runs_of
from jobserver.domain.job_requests.requests import JobRequest, scope_of
from jobserver.errors import Fault, forbidden


def check_limits(proposal: Proposal) -> None:
    """Raises `Error` (forbidden) with every reason why the new job requests are refused, whoever makes them.

    The day that counts is that of the request's `created_at`, so that an audit comes to the same answer.
    """
    state = proposal.state
    faults: dict[Fault, None] = {}
    pipelines = _new_pipelines(proposal)
    for request in proposal.created(JobRequest):
        workspace = state.workspace(request.workspace.name)
        projects = dict.fromkeys([workspace.project if workspace is not None else None, request.project])
        for project in projects:
            reasons = refusals(state, request.created_by, project, request.backend, request.created_at.date())
            runs = _runs(request, pipelines.get(request.identifier))
            reasons += [reason for _, reason in runner_refusals(state, project, runs)]
            faults |= dict.fromkeys(reason.fault(state) for reason in reasons)
        if request.analysis_scope != scope_of(state, next(iter(projects))):
            message = f"is not that of the project of workspace {request.workspace.name}"
            place = Place(Area.ACTIVE, request.created_at.date(), request.identifier)
            faults[Fault(message, place.request, key="analysis_scope")] = None
    if faults:
        raise forbidden("; ".join(map(str, faults)), faults=list(faults))


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
