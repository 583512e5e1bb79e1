"""The bodies of the calls of a controller's API, as a controller demands them."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from jobserver.errors import invalid

RapId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{16}$")]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class RapScope(_Body):
    """What a request's project may use."""

    dataset_permissions: list[str] = []
    population_permissions: list[str] = []
    component_access: list[str] = []


class RapCreation(_Body):
    backend: str
    rap_id: RapId
    workspace: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]+$")]
    repo_url: str
    branch: str
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    database_name: Literal["default"]
    requested_actions: Annotated[list[str], Field(min_length=1)]
    codelists_ok: bool
    force_run_dependencies: bool
    created_by: str
    project: str
    orgs: list[str]
    analysis_scope: RapScope


class RapCancellation(_Body):
    rap_id: RapId
    actions: Annotated[list[str], Field(min_length=1)]


class RapStatusRequest(_Body):
    rap_ids: list[RapId]


B = TypeVar("B", bound=_Body)


def read_body(model: type[B], body: bytes) -> B:
    """Raises `Error` (invalid) that names the first field that is wrong."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        fault: Any = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise invalid(f"Invalid request body received{f' at {where}' if where else ''}: {fault['msg']}") from None


def schema_of(model: type[_Body], references: str) -> dict[str, Any]:
    """The JSON Schema of a body. ``references``: what refers to its parts, with ``{model}`` for a part's name."""
    return model.model_json_schema(ref_template=references)
