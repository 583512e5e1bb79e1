"""Every kind of document of the record, with its model."""

from typing import TypeAlias

from jobserver.domain.backends import Backend
from jobserver.domain.base.layout import Kind
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.pipelines import StoredPipeline
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.orgs import Org
from jobserver.domain.outputs.documents import CheckedRelease
from jobserver.domain.projects import Project
from jobserver.domain.record import Checkpoint, ImportStatement, Receipt
from jobserver.domain.site_messages import SiteMessage
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace

AnyDocument: TypeAlias = (
    Backend
    | User
    | Org
    | Project
    | Workspace
    | SiteMessage
    | JobRequest
    | StoredPipeline
    | Job
    | CheckedRelease
    | Receipt
    | Checkpoint
    | ImportStatement
)

MODELS: dict[Kind, type[AnyDocument]] = {
    Kind.BACKEND: Backend,
    Kind.USER: User,
    Kind.ORG: Org,
    Kind.PROJECT: Project,
    Kind.WORKSPACE: Workspace,
    Kind.MESSAGE: SiteMessage,
    Kind.REQUEST: JobRequest,
    Kind.PIPELINE: StoredPipeline,
    Kind.JOB: Job,
    Kind.RELEASE: CheckedRelease,
    Kind.RECEIPT: Receipt,
    Kind.CHECKPOINT: Checkpoint,
    Kind.IMPORT: ImportStatement,
}
