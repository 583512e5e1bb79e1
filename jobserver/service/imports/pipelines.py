"""The pipelines of old job requests, from the project.yaml that the old server kept with each request."""

from collections.abc import Sequence
from functools import lru_cache

from jobserver.domain.base import names
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.pipelines import PipelineAction, StoredPipeline, pipeline_faults
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.pipeline.graph import RUN_ALL
from jobserver.errors import Error
from jobserver.service.studies.base import read_study


def imported_pipeline(definition: str, request: JobRequest, jobs: Sequence[Job]) -> StoredPipeline:
    """The actions of ``definition``, and those that were requested. If it can't be read, the jobs' actions."""
    pipeline = _read(definition)
    wanted = [name for name in request.requested_actions if name != RUN_ALL]
    if not pipeline.actions:
        wanted += [job.action for job in jobs if names.is_action(job.action) and job.action != RUN_ALL]
    missing = [name for name in wanted if name not in pipeline.actions]
    if not missing:
        return pipeline
    commands = {job.action: job.run_command or "" for job in jobs}
    added = {name: PipelineAction(run=commands.get(name, "")) for name in missing}
    return StoredPipeline(actions={**pipeline.actions, **added})


@lru_cache(maxsize=1000)  # the requests of a study share a project.yaml
def _read(definition: str) -> StoredPipeline:
    """Without actions if today's rules of project.yaml refuse it."""
    empty = StoredPipeline(actions={})
    if not definition.strip():
        return empty
    try:
        study = read_study("", definition.encode())
    except Error:
        return empty
    actions = {
        name: PipelineAction(needs=action.needs, run=action.run) for name, action in study.pipeline.actions.items()
    }
    pipeline = StoredPipeline(actions=actions)
    return empty if any(pipeline_faults(pipeline)) else pipeline
