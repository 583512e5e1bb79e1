"""A connection for a reader who may see some workspaces only: its tables have no rows of the others.

Views of the connection's own stand before the tables that have a workspace, under the same names, so that no query has
to know of limits, and none can forget them. What a query says of ``main.requests`` is of all rows: for numbers that
concern everybody, such as the place in a queue.
"""

import re
import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from jobserver.index.sqlite import schema

# Views have no indexes that a query could name. What is before a main. is a table.
_HINT = re.compile(r"(?<!main\.)\b(\w+)\s+(?:NOT INDEXED|INDEXED BY \w+)")


class WorkspaceView(sqlite3.Connection):
    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return super().execute(_HINT.sub(r"\1", sql), parameters)

    def limit(self, workspaces: Collection[str]) -> None:
        """From now on, only these workspaces have rows."""
        super().execute("PRAGMA query_only=OFF")
        super().execute("DELETE FROM temp.readable")
        super().executemany("INSERT INTO temp.readable VALUES (?)", ((name,) for name in workspaces))
        super().execute("PRAGMA query_only=ON")


def connect(path: Path) -> WorkspaceView:
    connection = schema.connect_as(path, WorkspaceView)
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("CREATE TEMP TABLE readable (name TEXT PRIMARY KEY) WITHOUT ROWID")
    for table, has_numbers in list(_tables(connection)):
        columns = "rowid, *" if has_numbers else "*"
        connection.execute(
            f"CREATE TEMP VIEW {table} AS SELECT {columns} FROM main.{table}"
            " WHERE EXISTS (SELECT 1 FROM temp.readable)"  # where nothing is to be seen, nothing is read
            " AND workspace IN (SELECT name FROM temp.readable)"
        )
    return connection


def _tables(connection: sqlite3.Connection) -> Iterable[tuple[str, bool]]:
    """(name, whether rows have numbers) of each table that has a workspace."""
    for table, sql in connection.execute("SELECT name, sql FROM main.sqlite_master WHERE type = 'table'").fetchall():
        columns = {row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")}
        if "workspace" in columns:
            yield table, "WITHOUT ROWID" not in sql
