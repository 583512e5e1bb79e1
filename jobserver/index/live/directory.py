"""The directory of `main` as it is now."""

import threading
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.index.directory import Directory
from jobserver.index.live.announced import AnnouncedUpdates
from jobserver.index.live.branch_diff import BranchDiff
from jobserver.index.live.lag import Lag
from jobserver.index.sqlite.apply import Delta
from jobserver.store.git.refs import Refs


class LiveDirectory:
    """Thread-safe. Readers bring it up to the tip of `main`, which they compare with the ref file first."""

    def __init__(self, repository: Path, refs: Refs, lag: Lag) -> None:
        self._refs, self._lag = refs, lag
        self._guard = threading.Lock()
        self._diff = BranchDiff(repository)  # under `_guard`
        self._directory = Directory()
        self.announced = AnnouncedUpdates()

    def close(self) -> None:
        self._diff.close()

    def current(self) -> Directory:
        tip = self._refs.tip(layout.MAIN)
        if tip is not None and tip != self._directory.tip:
            with self._guard, self._lag.tolerated(layout.MAIN):
                if tip != self._directory.tip:
                    self._directory = self._directory.updated(tip, self._deltas(tip))
        return self._directory

    @property
    def known(self) -> Directory:
        """As somebody last read it, without a look at the ref."""
        return self._directory

    def _deltas(self, tip: str) -> list[Delta]:
        known = self._directory.tip
        announced = self.announced.take(layout.MAIN, known, tip)
        if announced is None:
            return list(self._diff.between(layout.MAIN, known, tip))
        return [Delta(change.path, change.after) for changes in announced for change in changes.changes]
