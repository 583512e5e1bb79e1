"""The pipeline of a job request as its pipeline.yaml stores it: the actions of project.yaml at the request's commit."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from jobserver.domain.base.state import State, Stored
from jobserver.domain.base.values import ActionName, Document, Line, Version, clean
from jobserver.domain.pipeline.graph import RUN_ALL, closure, cycles
from jobserver.domain.pipeline.reader import MAX_ACTIONS
from jobserver.errors import invalid, some


class PipelineAction(Document):
    needs: tuple[ActionName, ...] = Field(default=(), strict=False)
    run: Annotated[str, AfterValidator(clean)]


class StoredPipeline(Document):
    """In a file of its own, so that git stores it once, however often a study runs.

    ``warnings``: those of project.yaml that the request showed.
    """

    version: Version = 1
    warnings: tuple[Line, ...] = Field(default=(), strict=False)
    actions: dict[ActionName, PipelineAction]

    max_bytes: ClassVar[int] = 16 * 1024 * 1024  # of 8 MiB of project.yaml, with its names and commands in quotes
    optional_keys: ClassVar[frozenset[str]] = frozenset({"warnings"})


def pipeline_of(state: State, stored: Stored) -> StoredPipeline:
    """The request's actions, in the order of the file and without ``run_all``. Raises `Error` (invalid) if they cannot
    be read."""
    if (within := stored.request.pipeline) is not None:
        return StoredPipeline(actions={name: action for name, action in within.items() if name != RUN_ALL})
    if (pipeline := state.pipeline(stored.place)) is None:
        raise invalid("is missing", stored.place.pipeline)
    return pipeline


def runs_of(requested: Iterable[str], actions: Mapping[str, PipelineAction]) -> dict[str, str]:
    """Action -> its command, of those that a request may run: the requested ones, and what they need."""
    return {name: actions[name].run for name in closure(requested, actions) if name in actions}


def pipeline_faults(pipeline: StoredPipeline) -> Iterator[str]:
    """Problems that no pipeline of a project.yaml can have."""
    if len(pipeline.actions) > MAX_ACTIONS:
        yield f"more than {MAX_ACTIONS} actions"
    if RUN_ALL in pipeline.actions:
        yield "`run_all` is not an action: it means all of them"
    for name, action in pipeline.actions.items():
        if unknown := [need for need in action.needs if need not in pipeline.actions]:
            yield f"{name} needs {some(unknown)}, which does not exist"
    for cycle in cycles({name: action.needs for name, action in pipeline.actions.items()}):
        yield f"need each other: {some([*cycle, cycle[0]], ' -> ')}"
