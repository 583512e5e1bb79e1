"""The analysis scope: which data a project may use beyond what every project may. Sent to runners and controllers.

`KNOWN` is the list of names, and the one place to add a name to. A name that leaves it stays readable in old documents.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, Field

from jobserver.domain.base import names
from jobserver.domain.base.values import Document, named

KNOWN: Mapping[str, Sequence[str]] = {
    "dataset_permissions": (
        "appointments",
        "covid_therapeutics",
        "icnarc",
        "isaric",
        "occupation_on_covid_vaccine_record",
        "open_prompt",
        "sgss_covid_all_tests",
        "ukrr",
        "waiting_list",
    ),
    "population_permissions": ("include_gp_unactivated", "include_ndoo", "include_t1oo"),
    "component_access": ("event_level_data",),
}
"""Key of `AnalysisScope` -> the names that it may have. As OpenSAFELY's controllers know them."""


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("has a name twice")
    return values


_Names: TypeAlias = Annotated[
    tuple[Annotated[str, named(names.DATA)], ...],
    AfterValidator(_unique),
    Field(json_schema_extra={"uniqueItems": True}),
]


class AnalysisScope(Document):
    dataset_permissions: _Names = Field(default=(), strict=False)
    population_permissions: _Names = Field(default=(), strict=False)
    component_access: _Names = Field(default=(), strict=False)

    optional_keys: ClassVar[frozenset[str]] = frozenset(KNOWN)

    def as_json(self) -> dict[str, list[str]]:
        """In the shape of controllers: without the lists that are empty."""
        return {key: list(value) for key, value in self.written_items()}


def scope_json(scope: AnalysisScope | None) -> dict[str, list[str]]:
    return scope.as_json() if scope is not None else {}


def unknown_names(before: AnalysisScope | None, after: AnalysisScope | None) -> list[tuple[str, str]]:
    """(key, message) for each name that is new in ``after`` and that nobody knows."""
    faults = []
    for key, known in KNOWN.items():
        old: Sequence[str] = getattr(before, key, ())
        for name in getattr(after, key, ()):
            if name not in known and name not in old:
                near = get_close_matches(name, known, 1)
                meant = f"did you mean {near[0]}?" if near else f"expected one of: {', '.join(known)}"
                faults.append((f"analysis_scope.{key}", f"{name!r:.80} is not known: {meant}"))
    return faults
