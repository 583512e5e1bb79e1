"""How far the index file is behind the branches. Changes nothing."""

import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jobserver.domain.base import layout
from jobserver.index.sqlite import schema
from jobserver.store.git.refs import Refs


@dataclass(frozen=True, slots=True)
class BranchStatus:
    """``indexed``: the tip that the rows were made from; None if there are no rows."""

    branch: str
    tip: str
    indexed: str | None
    requests: int = 0
    active: int = 0
    jobs: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_COUNTS = """
SELECT name, tip, (SELECT count(*) FROM requests WHERE branch = id),
    (SELECT count(*) FROM requests INDEXED BY requests_active WHERE branch = id AND active),
    (SELECT count(*) FROM jobs WHERE branch = id)
FROM branches
"""


def branch_statuses(refs: Refs, path: Path) -> list[BranchStatus]:
    """One row for each backend's branch."""
    indexed: dict[str, tuple[str, int, int, int]] = {}
    if schema.usable(path):
        connection = sqlite3.connect(path)
        try:
            indexed = {row[0]: row[1:] for row in connection.execute(_COUNTS)}
        finally:
            connection.close()
    return [
        BranchStatus(branch, tip, *indexed.get(branch, (None, 0, 0, 0)))
        for branch, tip in sorted(refs.branches().items())
        if layout.branch_backend(branch)
    ]
