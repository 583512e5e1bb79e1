"""What an action's command says: its words, the image that runs it, and whether it uses the database. Pure.

Source of the commands that use the database: `opensafely._vendor.pipeline`; a test compares this module with it. Those
of cohortextractor are of older runners.
"""

import re
import shlex
from collections.abc import Container, Iterable, Mapping
from typing import Protocol

_QUOTES = re.compile(r"""['"\\]""")
_SPACE = re.compile(r"[ \t\r\n]+")
# Image -> its commands that use the database; None for all.
_DATABASE: Mapping[str, Container[str] | None] = {
    "ehrql": ("generate-dataset", "generate-measures"),
    "sqlrunner": None,
    "cohortextractor": ("generate_cohort", "generate_codelist_report"),
    "databuilder": ("generate-dataset",),
}


class HasRun(Protocol):
    """An action: `reader.Action`, or `PipelineAction` of a stored request."""

    @property
    def run(self) -> str: ...


def words_of(run: str) -> list[str]:
    """The words of a command, split as a shell does; empty if that is not possible."""
    if not _QUOTES.search(run):  # a hundred times as fast
        return [word for word in _SPACE.split(run) if word]
    try:
        return shlex.split(run)
    except ValueError:
        return []


def runner_type(run: str) -> str:
    """The name of the image that runs the command, such as ``ehrql``; empty if it can't be read."""
    return next(iter(words_of(run)), "").partition(":")[0]


def uses_database(run: str) -> bool:
    image, *rest = words_of(run) or [""]
    known = _DATABASE.get(image.partition(":")[0], ())
    return known is None or bool(rest and rest[0] in known)


def database_actions(names: Iterable[str], pipeline: Mapping[str, HasRun]) -> list[str]:
    """Those of the actions that use the database."""
    return [name for name in names if name in pipeline and uses_database(pipeline[name].run)]
