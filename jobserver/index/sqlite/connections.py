"""The open index file: one connection that writes, and a few that read, each with a consistent view."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobserver.index.sqlite import schema

_KEPT = 8  # idle connections; more are opened when needed, and closed after


class Database:
    """Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
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
            for connection in [*self._idle, self._writer]:
                connection.close()
            self._idle = []

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
    def view(self) -> Iterator[sqlite3.Connection]:
        """A connection that reads the state of one moment."""
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._open()
        kept = False
        try:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
            with self._guard:
                if len(self._idle) < _KEPT and not self._closed:
                    self._idle.append(connection)
                    kept = True
        finally:
            if not kept:
                connection.close()
