"""The number and the status that the old server has for a project."""

import re

from jobserver.domain.base import names
from jobserver.domain.governance.project_limits import ProjectStatus
from jobserver.service.imports import database as tables
from jobserver.service.imports.database import Row
from jobserver.service.imports.notes import ImportNotes
from jobserver.service.imports.values import line_of

_NUMBER = re.compile(names.PROJECT_NUMBER)


class ProjectLimits:
    """Each number is one project's."""

    def __init__(self, notes: ImportNotes) -> None:
        self._notes = notes
        self._numbers: set[str] = set()

    def of(self, row: Row) -> dict[str, str | None]:
        return {"number": self._number(row), "status": self._status(row)}

    def _number(self, row: Row) -> str | None:
        number = line_of(row.get("number")).strip()
        if not number:
            return None
        problem = "is not valid" if _NUMBER.fullmatch(number) is None else "is another project's too"
        if problem == "is not valid" or number.casefold() in self._numbers:
            self._notes.add(tables.PROJECTS, row["id"], "number", f"{number!r:.60} {problem}", "not taken")
            return None
        self._numbers.add(number.casefold())
        return number

    def _status(self, row: Row) -> str | None:
        """The old server adds to a status whether there is a paper: ``completed-and-linked``."""
        status = line_of(row.get("status")).strip()
        word = status.partition("-")[0]
        if word in ("", ProjectStatus.ONGOING):
            return None
        if word not in set(ProjectStatus):
            self._notes.add(tables.PROJECTS, row["id"], "status", f"{status!r:.60} is not known", "takes 'ongoing'")
            return None
        return word
