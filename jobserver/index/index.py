"""The index: what pages and API answers read, never older than the branches are.

Every reader first compares the tip that its view is of with the ref file, which takes some microseconds. If they
differ, the reader applies what the writer announced, or else the difference of the two trees, before it goes on. So a
reader always sees a write that was confirmed to its caller, in every process. A thread does the same as soon as a tip
moves, for callers that wait; a reader seldom has anything left to do.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic

from jobserver.domain.base import layout
from jobserver.errors import Fault, unavailable
from jobserver.index import reader
from jobserver.index.directory import Directory
from jobserver.index.listing import Listing
from jobserver.index.live.directory import LiveDirectory
from jobserver.index.live.lag import Lag
from jobserver.index.live.listings import LiveListings
from jobserver.index.live.rows import LiveRows
from jobserver.index.sqlite import schema
from jobserver.index.sqlite.build import Progress, build_all, exclusive
from jobserver.index.sqlite.verify import differences
from jobserver.store.fs import reason
from jobserver.store.git.refs import Refs
from jobserver.store.write.submission import RefUpdate
from jobserver.worker import Worker

_log = logging.getLogger(__name__)
_BACKSTOP_SECONDS = 2.0  # for moves that nobody reported
_ROWS_SECONDS = 1.0  # between writes of rows that nobody reads: a job that runs changes several times meanwhile


class Index:
    """Thread-safe. ``refs`` and ``repository`` are the state repository's, ``path`` the index file."""

    def __init__(
        self, repository: Path, refs: Refs, path: Path, progress: Progress = lambda branch, count: None
    ) -> None:
        self._refs, self.path = refs, path
        self._lag = Lag()
        with exclusive(path):
            if not schema.usable(path):
                build_all(repository, refs, path, progress)
            elif faults := differences(repository, path, sampled=True):
                _log.warning("Rows of the index differ from the branches, so it is rebuilt: %s", "; ".join(faults[:5]))
                build_all(repository, refs, path, progress)
            self._rows = LiveRows(repository, refs, path, self._lag)
        self._directory = LiveDirectory(repository, refs, self._lag)
        self._listings = LiveListings(refs, self._rows, self._lag)
        self._on_change: list[Callable[[], None]] = []
        self._on_end: list[Callable[[], None]] = []
        self._reported_tips: tuple[str, ...] = ()
        self._write_rows_at = 0.0
        self._worker = Worker("index", self._follow)

    def start(self) -> None:
        """Starts the thread that follows the branches. Without it, readers still see everything."""
        self._worker.start()

    def close(self) -> None:
        """Ends the thread and every wait."""
        self.end_waits()
        self._worker.close()
        self._rows.close()
        self._directory.close()

    def end_waits(self) -> None:
        """Ends every wait, now and from now on, because the process is about to stop."""
        self._listings.end_waits()
        for callback in self._on_end:
            callback()

    @property
    def is_closing(self) -> bool:
        return self._listings.is_closing

    @property
    def problem(self) -> str:
        """Why readers may get older data than the branches have; empty while they do not."""
        return self._lag.problem

    def announce(self, update: RefUpdate) -> None:
        """For `Writer.listen`: a branch is about to move by this update."""
        if update.branch == layout.MAIN:
            self._directory.announced.add(update)
        else:
            self._listings.announced.add(update)
            self._rows.announced.add(update)

    def refs_moved(self) -> None:
        """For `Writer.listen` and `Watch`: some ref moved."""
        self._worker.wake()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Calls ``callback`` from the index's own thread after tips moved. The callback must return at once."""
        self._on_change.append(callback)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Calls ``callback`` when every wait ends."""
        self._on_end.append(callback)

    def directory(self) -> Directory:
        """``main`` as it is now, as far as the reader may see it."""
        return reader.seen(self._directory.current())

    def backend_name(self, slug: str) -> str:
        """As people call it, in the `directory` that was last read: lists call this for each row. The slug, if its
        document is gone."""
        backend = self._directory.known.backend(slug)
        return backend.name if backend is not None else slug

    def listing(self, slugs: Sequence[str]) -> Listing:
        """The active job requests of these backends together."""
        return self._seen(self._listings.of_backends(slugs))

    def wait(self, slugs: Sequence[str], etag: str, seconds: float) -> Listing:
        """The listing as soon as its ETag differs from ``etag``, or after ``seconds``."""
        if not reader.is_limited():
            return self._listings.wait(slugs, etag, seconds)
        ends = monotonic() + seconds
        while True:
            everything = self._listings.of_backends(slugs)
            seen = self._seen(everything)
            if seen.etag != etag or self.is_closing or (left := ends - monotonic()) <= 0:
                return seen
            self._listings.wait(slugs, everything.etag, left)

    def _seen(self, listing: Listing) -> Listing:
        everything = self._directory.current()
        seen = reader.seen(everything)
        return listing if seen is everything else listing.within(seen.workspaces)

    def peek(self) -> AbstractContextManager[sqlite3.Connection]:
        """The rows as last written, which can be older than the tips. For one query of callers that check again where
        it matters."""
        return self._rows.peek()

    @contextmanager
    def view(self) -> Iterator[sqlite3.Connection]:
        """The rows of all branches of backends at one moment, no older than the tips now."""
        for branch in self._backend_branches():
            self._rows.catch_up(branch)
        try:
            with self._view() as connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise unavailable(f"the index can't be read: {reason(error)}") from None

    def _view(self) -> AbstractContextManager[sqlite3.Connection]:
        everything = self._directory.current() if reader.is_limited() else None
        seen = reader.seen(everything) if everything is not None else None
        return self._rows.view() if seen is everything or seen is None else self._rows.limited_view(seen.workspaces)

    def faults(self) -> Iterator[tuple[str, Fault]]:
        """(branch, fault) of every document that can't be read."""
        for faults in self.directory().faults.values():
            yield from ((layout.MAIN, fault) for fault in faults)
        with self.view() as sql:
            rows = sql.execute(
                "SELECT name, message, path, line, key FROM faults JOIN branches ON id = branch"
                " ORDER BY name, path, line"
            ).fetchall()
        yield from ((name, Fault(message, path, line, key)) for name, message, path, line, key in rows)

    def branches_behind(self) -> int:
        """Backends' branches whose rows are older than their tips. Rows that nobody reads are written a moment late."""
        try:
            with self.peek() as sql:
                rows = dict(sql.execute("SELECT name, tip FROM branches"))
        except sqlite3.Error as error:
            raise unavailable(f"the index can't be read: {reason(error)}") from None
        return sum(rows.get(branch) != self._refs.tip(branch) for branch in self._backend_branches())

    def tips(self) -> tuple[str, ...]:
        """The tips of main and of each branch of a backend. While they stay the same, so do all pages and answers."""
        return (self.directory().tip or "", *(self._refs.tip(branch) or "" for branch in self._backend_branches()))

    def refresh(self) -> None:
        """Brings everything up to the tips."""
        self._refresh_lists()
        for branch in self._backend_branches():
            self._rows.catch_up(branch)

    def _backend_branches(self) -> Iterable[str]:
        known = {layout.backend_branch(slug) for slug in self.directory().backends}
        return sorted(known.union(self._listings.branches))

    def _refresh_lists(self) -> None:
        for branch in self._backend_branches():
            self._listings.of_branch(branch)

    def _follow(self) -> float:
        """One step of the thread. Returns the seconds until the next step."""
        self._refresh_lists()
        self._report_change()
        if (seconds := self._write_rows_at - monotonic()) > 0:
            return seconds
        self.refresh()
        self._write_rows_at = monotonic() + _ROWS_SECONDS
        return _BACKSTOP_SECONDS

    def _report_change(self) -> None:
        tips = self.tips()
        if tips != self._reported_tips:
            self._reported_tips = tips
            for callback in self._on_change:
                callback()
