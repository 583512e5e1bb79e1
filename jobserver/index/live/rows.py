"""The rows of all backends' branches, brought up to the tips before anybody reads them."""

import sqlite3
import threading
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path

from jobserver.index.live.announced import AnnouncedUpdates
from jobserver.index.live.branch_diff import BranchDiff
from jobserver.index.live.lag import Lag
from jobserver.index.sqlite.apply import PendingUpdate, write
from jobserver.index.sqlite.connections import Database
from jobserver.store.git.refs import Refs
from jobserver.store.read.cancellations import cancellers


class LiveRows:
    """Thread-safe; other processes may write the same file."""

    def __init__(self, repository: Path, refs: Refs, path: Path, lag: Lag) -> None:
        self._refs, self._lag = refs, lag
        self._writing = threading.Lock()
        self._repository, self._diff = repository, BranchDiff(repository)  # the latter under `_writing`
        self._tips: dict[str, str] = {}  # branch -> the tip that its rows are of, at least
        self._database = Database(path)
        self.announced = AnnouncedUpdates()

    def close(self) -> None:
        self._database.close()
        self._diff.close()

    def view(self) -> AbstractContextManager[sqlite3.Connection]:
        """The rows as last written. A reader sees the state of one moment."""
        return self._database.view()

    def peek(self) -> AbstractContextManager[sqlite3.Connection]:
        """As `view`, for one query."""
        return self._database.peek()

    def limited_view(self, workspaces: Collection[str]) -> AbstractContextManager[sqlite3.Connection]:
        """As `view`, of these workspaces only."""
        return self._database.limited_view(workspaces)

    def catch_up(self, branch: str) -> None:
        """Brings the rows of the branch up to its tip."""
        tip = self._refs.tip(branch)
        if tip is not None and tip != self._tips.get(branch):
            with self._writing, self._lag.tolerated(branch):
                if tip != self._tips.get(branch):
                    self._write(branch)

    def _write(self, branch: str) -> None:
        with self._database.write() as sql:
            # Read within the transaction: no other process can have brought the rows further than this.
            tip = self._refs.tip(branch)
            if tip is None:
                return
            row = sql.execute("SELECT id, tip FROM branches WHERE name=?", (branch,)).fetchone()
            if row is None:
                sql.execute("INSERT INTO branches (name, tip) VALUES (?, ?)", (branch, tip))
                row = (sql.execute("SELECT last_insert_rowid()").fetchone()[0], None)
            number, old = row
            if old != tip:
                write(sql, number, self._pending(branch, old, tip))
                sql.execute("UPDATE branches SET tip=? WHERE id=?", (tip, number))
        self._tips[branch] = tip

    def _pending(self, branch: str, old: str | None, tip: str) -> PendingUpdate:
        pending = PendingUpdate(branch)
        announced = self.announced.take(branch, old, tip)
        if announced is None:
            pending.add_deltas(self._diff.between(branch, old, tip))
        else:
            for changes in announced:
                pending.add_changes(changes)
        if pending.has_cancellations:
            pending.cancellers = cancellers(self._repository, tip, old)
        return pending
