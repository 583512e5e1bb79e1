"""Counts job requests by backend, workspace, person and outcome, for the filters of the event log."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from jobserver.domain.base.layout import branch_backend
from jobserver.index.queries.requests import RequestFilter

_FIELDS = ("backend", "workspace", "username", "status")


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """``cells``: (backend, workspace, person, outcome, number of job requests)."""

    cells: Sequence[tuple[str, str, str, str, int]]

    def by_field(self, chosen: RequestFilter, backends: Collection[str]) -> dict[str, Counter[str]]:
        """For each field of the filter: its values with their counts, after all other filters are applied."""
        wanted = (chosen.backend, chosen.workspace, chosen.username, chosen.status)
        counts: dict[str, Counter[str]] = {name: Counter() for name in _FIELDS}
        for *values, count in self.cells:
            if values[0] not in backends:
                continue
            misses = [number for number in range(4) if wanted[number] and wanted[number] != values[number]]
            for number, name in enumerate(_FIELDS):
                if not misses or misses == [number]:
                    counts[name][values[number]] += count
        return counts

    def has(self, field: str, value: str, backends: Collection[str]) -> bool:
        """Whether a job request on these backends has this value."""
        number = _FIELDS.index(field)
        return any(cell[number] == value and cell[0] in backends for cell in self.cells)


def count_requests(sql: sqlite3.Connection) -> RequestCounts:
    rows = sql.execute(
        "SELECT name, workspace, created_by, outcome, count(*) FROM requests JOIN branches ON id = branch"
        " GROUP BY branch, workspace, created_by, outcome"
    )
    return RequestCounts([(branch_backend(name) or "", *rest) for name, *rest in rows])
