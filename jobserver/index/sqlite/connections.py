"""The open index file: one connection that writes, and a few that read, each with a consistent view."""

import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from jobserver.index.sqlite import limited, schema

C = TypeVar("C", bound=sqlite3.Connection)
_KEPT = 8  # idle connections; more are opened when needed, and closed after


class Database:
    """Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._limited: list[limited.WorkspaceView] = []
        self._guard = threading.Lock()
        self._closed = False
        self._writing = threading.Lock()
        self._writer = schema.connect(path)
        self._writer.execute("PRAGMA journal_mode=WAL")
        self._writer.execute("PRAGMA synchronous=NORMAL")
        # Opened at the start, because a full disk allows no new connections, and reads must go on.
        self._idle = [self._open() for _ in range(_KEPT)]

    def close(self) -> None:
        with self._guard, self._writing:
            self._closed = True
            for connection in [*self._idle, *self._limited, self._writer]:
                connection.close()
            self._idle.clear()
            self._limited.clear()

    def _open(self) -> sqlite3.Connection:
        connection = schema.connect(self._path)
        connection.execute("PRAGMA query_only=ON")
        connection.execute("SELECT count(*) FROM branches").fetchone()
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all or nothing. Other processes wait for it."""
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    @contextmanager
    def peek(self) -> Iterator[sqlite3.Connection]:
        """A connection for one query, which reads the state of one moment without a transaction around it."""
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        with self._lent(connection or self._open(), self._idle) as lent:
            yield lent

    @contextmanager
    def view(self) -> Iterator[sqlite3.Connection]:
        """A connection that reads the state of one moment."""
        with self.peek() as lent, _transaction(lent):
            yield lent

    @contextmanager
    def limited_view(self, workspaces: Collection[str]) -> Iterator[sqlite3.Connection]:
        """As `view`, of these workspaces only."""
        with self._guard:
            connection = self._limited.pop() if self._limited else None
        connection = connection or limited.connect(self._path)
        connection.limit(workspaces)
        with self._lent(connection, self._limited), _transaction(connection):
            yield connection

    @contextmanager
    def _lent(self, connection: C, idle: list[C]) -> Iterator[C]:
        """Keeps the connection for the next reader unless something failed."""
        kept = False
        try:
            yield connection
            with self._guard:
                if len(idle) < _KEPT and not self._closed:
                    idle.append(connection)
                    kept = True
        finally:
            if not kept:
                connection.close()


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One that reads. After a failure the connection is closed, which ends it."""
    connection.execute("BEGIN")
    yield
    connection.execute("COMMIT")
