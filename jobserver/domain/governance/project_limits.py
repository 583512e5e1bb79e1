"""What a project is called outside, whether it goes on, until when, and what its members may use.

These are keys of the project's document. People who govern projects change them; its coordinators cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

from jobserver.domain.base import names
from jobserver.domain.base.layout import Kind, main_path
from jobserver.domain.base.rules import KeyFault, Proposal
from jobserver.domain.base.state import changed_keys
from jobserver.domain.base.values import Slug, named
from jobserver.domain.governance.analysis_scope import AnalysisScope, scope_json, unknown_names
from jobserver.errors import invalid

if TYPE_CHECKING:
    from jobserver.domain.projects import Project
    from jobserver.domain.users import User

LIMITS = frozenset({"number", "status", "end_date", "backends", "runner_types", "analysis_scope", "requires_training"})
"""The keys of a project that only people who govern projects change."""


class ProjectStatus(StrEnum):
    """People can request jobs for an ongoing project only."""

    ONGOING = "ongoing"
    COMPLETED = "completed"
    POSTPONED = "postponed"
    RETIRED = "retired"


def _status(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ProjectStatus(value)
    except ValueError:
        raise ValueError(f"{value!r:.60} is not a status: expected one of {', '.join(ProjectStatus)}") from None


StatusName: TypeAlias = Annotated[ProjectStatus, BeforeValidator(_status)]
ProjectNumber: TypeAlias = Annotated[str, named(names.PROJECT_NUMBER)]
Backends: TypeAlias = Annotated[tuple[Slug, ...], Field(min_length=1, strict=False)]
"""The only backends that may be used. Empty is an error: it could be read as all, and as none."""

RunnerTypes: TypeAlias = Annotated[tuple[Slug, ...], Field(min_length=1, strict=False)]
"""The only images that may run the project's actions, without their versions. Empty is an error, likewise."""


@dataclass(frozen=True, slots=True)
class ChangeProject:
    """``values``: key of `LIMITS` -> its new value; None removes it. An analysis scope is a mapping of the lists that
    change."""

    project: str
    values: Mapping[str, Any]


def limited(before: Project, values: Mapping[str, Any]) -> Project:
    """``before`` with these values. Raises `Error` (invalid), or pydantic's `ValidationError`."""
    if not values:
        raise invalid(f"expected at least one of {', '.join(sorted(LIMITS))}")
    values = dict(values)
    if (lists := values.get("analysis_scope")) is not None:
        values["analysis_scope"] = scope_json(before.analysis_scope) | dict(lists)
    after = type(before)(**{**dict(before), **values})
    return after if after.analysis_scope != AnalysisScope() else after.model_copy(update={"analysis_scope": None})


def limit_faults(before: Project | None, after: Project, proposal: Proposal) -> list[KeyFault]:
    changed = changed_keys(before, after) if before is not None else LIMITS
    faults = unknown_names(before.analysis_scope if before is not None else None, after.analysis_scope)
    if "backends" in changed:
        faults += backend_faults(before, after, proposal)
    if "number" in changed and after.number is not None:
        for other in _others(after, proposal):
            if other.number is not None and other.number.casefold() == after.number.casefold():
                faults.append(("number", f"{after.number} already belongs to project {_name(other)}"))
    return faults


def backend_faults(before: Project | User | None, after: Project | User, proposal: Proposal) -> list[KeyFault]:
    """Backends that the change adds and that do not exist."""
    known = (before.backends if before is not None else None) or ()
    added = [slug for slug in after.backends or () if slug not in known]
    return [("backends", f"backend {slug!r} does not exist") for slug in added if proposal.backend(slug) is None]


def _others(project: Project, proposal: Proposal) -> list[Project]:
    """Every other project, as it would be after the changes."""
    changed = {change.path for change in proposal.changes.changes}
    stored = [other for other in proposal.state.projects() if main_path(Kind.PROJECT, _name(other)) not in changed]
    return [other for other in (*stored, *proposal.changed(type(project))) if _name(other) != _name(project)]


def _name(project: Project) -> str:
    return f"{project.org}/{project.slug}"
