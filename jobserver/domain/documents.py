"""One frozen, strict model per document kind. Field order is the canonical order of the YAML.

Values are checked here and nowhere else; whether a document may follow another is `admit`'s business.
"""

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from jobserver.domain.base import names
from jobserver.domain.base.values import (
    ActionName,
    Database,
    Document,
    JsonMap,
    Line,
    ProjectName,
    Repo,
    RequestVersion,
    RoleName,
    Slug,
    Text,
    Time,
    Username,
    Version,
    WorkspaceName,
    clean,
    mismatch,
    named,
)
from jobserver.domain.registration import Registration
from jobserver.errors import Error, Fault, invalid

D = TypeVar("D", bound="Document")

MISSING = "required, and missing"
MAX_BYTES = 64 * 1024
MAX_REQUEST_BYTES = 8 * 1024 * 1024  # it names actions, of which there may be many
MAX_PIPELINE_BYTES = 16 * 1024 * 1024  # of 8 MiB of project.yaml, with its names and commands in quotes
MAX_MESSAGE_BYTES = 8 * 1024


class Token(Document):
    """A secret's SHA-256; the secret itself was shown once."""

    sha256: Annotated[str, named(names.DIGEST)]
    label: Line
    created_at: Time


class Member(Document):
    username: Username
    roles: tuple[RoleName, ...] = Field(default=(), strict=False)


class Invitation(Document):
    """Of a user who is no member yet; it ends when they accept or decline it, or when somebody takes it back."""

    username: Username
    roles: tuple[RoleName, ...] = Field(min_length=1, strict=False)
    invited_by: Username
    created_at: Time


class Backend(Document):
    version: Version = 1
    slug: Slug
    name: Line
    parent_directory: Line = ""
    databases: tuple[Database, ...] = Field(default=(), strict=False)
    active: bool = True
    alert_after_minutes: Annotated[int, Field(ge=1, le=100_000)] = 5
    tokens: tuple[Token, ...] = Field(default=(), strict=False)
    created_at: Time


class User(Document):
    """``github_id``: who it is on GitHub, once they logged in from there. Sessions that began under another
    ``sessions_since`` are over."""

    version: Version = 1
    username: Username
    github_id: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    name: Line = ""
    roles: tuple[RoleName, ...] = Field(default=(), strict=False)
    active: bool = True
    sessions_since: Time | None = None
    tokens: tuple[Token, ...] = Field(default=(), strict=False)


class Org(Document):
    version: Version = 1
    slug: Slug
    name: Line
    members: tuple[Member, ...] = Field(default=(), strict=False)


class Project(Document):
    version: Version = 1
    slug: Slug
    name: Line
    org: Slug
    members: tuple[Member, ...] = Field(default=(), strict=False)
    registration: Registration | None = None
    invitations: tuple[Invitation, ...] = Field(default=(), strict=False)


class Workspace(Document):
    version: Version = 1
    name: WorkspaceName
    project: ProjectName | None = None
    repo: Repo
    branch: Line
    db: Database
    created_by: Username
    created_at: Time
    archived: bool = False
    should_notify: bool = False


class RequestedWorkspace(Document):
    """The workspace as it was when the job was asked for."""

    name: WorkspaceName
    repo: Line
    branch: Line
    db: Database
    created_by: Username | None
    created_at: Time


class PipelineAction(Document):
    needs: tuple[ActionName, ...] = Field(default=(), strict=False)
    run: Annotated[str, AfterValidator(clean)]


class StoredPipeline(Document):
    """What project.yaml at the request's commit said, beside the request that it is of: the same bytes however often a
    study runs. ``warnings`` were told when that was asked for."""

    version: Version = 1
    warnings: tuple[Line, ...] = Field(default=(), strict=False)
    actions: dict[ActionName, PipelineAction]


class JobRequest(Document):
    """In version 1 the ``pipeline`` stands within, in version 2 in a file beside (`StoredPipeline`)."""

    version: RequestVersion = 2
    identifier: Annotated[str, named(names.REQUEST_ID)]
    backend: Slug
    created_by: Username
    created_at: Time
    sha: Annotated[str, named(names.SHA)]
    requested_actions: tuple[ActionName, ...] = Field(min_length=1, strict=False)
    cancelled_actions: tuple[ActionName, ...] = Field(default=(), strict=False)
    force_run_dependencies: bool = False
    database_name: Database
    codelists_ok: bool = True
    will_notify: bool = False
    workspace: RequestedWorkspace
    project: ProjectName | None = None
    pipeline: dict[ActionName, PipelineAction] | None = None

    @model_validator(mode="after")
    def _one_pipeline(self) -> "JobRequest":
        if (self.version == 1) != (self.pipeline is not None):
            raise ValueError("expected `pipeline` in version 1, and in a file beside it in version 2")
        return self


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


class Receipt(Document):
    """A push that was judged and found good. An intent: git moves the branch only after this is durable."""

    version: Version = 1
    number: Annotated[int, Field(ge=1)]
    branch: Line
    old: Annotated[str, named(names.SHA)]
    new: Annotated[str, named(names.SHA)]
    pusher: Annotated[str, named(names.PUSHER)]
    received_at: Time


class Checkpoint(Document):
    """Where every other branch stood. Keys are branches, values commit ids."""

    version: Version = 1
    number: Annotated[int, Field(ge=1)]
    tips: dict[Line, Annotated[str, named(names.SHA)]]
    made_at: Time


AnyDocument: TypeAlias = (
    Backend | User | Org | Project | Workspace | JobRequest | StoredPipeline | Job | Receipt | Checkpoint
)

MODELS: dict[names.Kind, type[AnyDocument]] = {
    names.Kind.BACKEND: Backend,
    names.Kind.USER: User,
    names.Kind.ORG: Org,
    names.Kind.PROJECT: Project,
    names.Kind.WORKSPACE: Workspace,
    names.Kind.REQUEST: JobRequest,
    names.Kind.PIPELINE: StoredPipeline,
    names.Kind.JOB: Job,
    names.Kind.RECEIPT: Receipt,
    names.Kind.CHECKPOINT: Checkpoint,
}

# Of a job, written only where they are known (docs/contract.md, section 1).
OPTIONAL_KEYS = frozenset({"run_command", "trace_context", "metrics", "requires_db"})
_LEFT_OUT = OPTIONAL_KEYS | {"github_id", "sessions_since"}  # of people too


def is_written(key: str, value: object) -> bool:
    """Whether a document's YAML has this key: some are left out where there is nothing to say."""
    if value is None:
        return key not in _LEFT_OUT and key != "pipeline"
    return value != () or key not in ("invitations", "warnings")


def same(one: Document | None, other: Document | None) -> bool:
    """Whether two documents of one kind say the same; what ``==`` says, without pydantic's generality."""
    return one is other or (one is not None and other is not None and one.__dict__ == other.__dict__)


_CUT = " [cut by the server at 8 KiB]"


def cut_text(text: str) -> str:
    """What a runner says of a job, cut to what a document may hold: one that is too long must not stop its report."""
    data = text.encode(errors="replace")
    if len(data) <= MAX_MESSAGE_BYTES:
        return text
    return data[: MAX_MESSAGE_BYTES - len(_CUT)].decode(errors="ignore") + _CUT


def checked(model: type[D], values: dict[str, Any]) -> D:
    """A document from values. Raises `Error` (invalid) with a fault for each field that is wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid_values(error) from None


def invalid_values(error: ValidationError) -> Error:
    """pydantic's faults as ours."""
    faults = [Fault(reason(one), key=".".join(map(str, one["loc"]))) for one in error.errors(include_url=False)]
    return invalid(str(faults[0]), faults=faults)


_LIMITS = {
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
    "string_too_short": "expected at least {min_length} character",
    "too_short": "expected at least {min_length}",
}


def reason(fault: Any) -> str:
    """pydantic's reason, shortened to what the person who edits the document can use."""
    if fault["type"] == "missing":
        return MISSING
    if fault["loc"][-1:] == ("sha256",):  # what stands there may be the token itself
        return "expected the SHA-256 of a token, 64 hex digits"
    if fault["type"] == "string_pattern_mismatch":
        return mismatch(fault["ctx"]["pattern"], fault["input"])
    if (limit := _LIMITS.get(fault["type"])) is not None:
        return limit.format(**fault["ctx"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "too_long" and isinstance(fault["input"], str):
        message = f"at most {fault['ctx']['max_length']} characters are allowed"
    return message[0].lower() + message[1:]


def name_faults(where: names.DocPath, document: AnyDocument) -> list[tuple[str, str]]:
    """(key, message) for each name inside ``document`` that disagrees with the path it stands at."""
    expected: dict[str, object]
    match document:
        case Backend() | Org():
            expected = {"slug": where.name}
        case User():
            expected = {"username": where.name}
        case Workspace():
            expected = {"name": where.name}
        case Project():
            org, slug = where.name.split("/")
            expected = {"org": org, "slug": slug}
        case JobRequest() | Job():
            expected = {"identifier": where.name}
        case _:
            expected = {}
    faults = [
        (key, f"is {getattr(document, key)!r}, but the path says {value!r}")
        for key, value in expected.items()
        if getattr(document, key) != value
    ]
    if isinstance(document, JobRequest) and where.place and document.created_at.date() != where.place.day:
        faults.append(("created_at", f"is of {document.created_at.date()}, but the path says {where.place.day}"))
    return faults
