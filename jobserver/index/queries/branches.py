"""The numbers by which rows name their branches, and conditions on them."""

import sqlite3
from collections.abc import Collection, Iterable

from jobserver.domain.base.layout import backend_branch

LOOK_BACK = 400  # job requests that a query reads at most, so that no page grows with history


def branch_numbers(sql: sqlite3.Connection, backends: Iterable[str]) -> list[int]:
    wanted = {backend_branch(slug) for slug in backends}
    return [number for number, name in sql.execute("SELECT id, name FROM branches") if name in wanted]


def marks(values: Collection[object]) -> str:
    """As many question marks as there are values, for ``IN (...)``. Without values: what no value equals.

    Not nothing: SQLite takes ``IN ()`` for false, and then refuses a query that names an index."""
    return ",".join("?" * len(values)) or "NULL"
