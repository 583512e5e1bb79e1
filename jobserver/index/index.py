"""The index follows the branches' tips, and hands out views that are never older than the tip on disk.

Every reader first compares the tip that a view is of with the ref file (some microseconds). If they differ, what the
writer told of, or else the difference of the two trees, is applied before the reader goes on: whoever has been told
that a write is done sees it at the next read, in every process. A thread does the same as soon as a tip moves, for
those who wait; a reader seldom finds anything left to do.
"""

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from jobserver.domain.base import names
from jobserver.domain.documents import AnyDocument, StoredPipeline
from jobserver.errors import Error, Fault, unavailable
from jobserver.index import schema
from jobserver.index.apply import Delta, PendingUpdate, write
from jobserver.index.build import Progress, build
from jobserver.index.database import Database
from jobserver.index.directory import Directory
from jobserver.index.listing import Listing
from jobserver.index.verify import differences
from jobserver.store.fs import reason
from jobserver.store.git.diff import diff
from jobserver.store.git.objects import Objects
from jobserver.store.git.refs import Refs
from jobserver.store.read.snapshot import Head
from jobserver.store.read.validate import read_document
from jobserver.store.write.submission import RefUpdate

_log = logging.getLogger(__name__)
_BACKSTOP_SECONDS = 2.0  # should a moved ref go unnoticed by all else
_GATHER_SECONDS = 0.25  # rows are written this seldom where nobody reads them: the writer needs the time
_NOTED = 1000  # batches; whoever falls further behind compares trees


class Index:
    """Thread-safe. ``refs`` and ``repository`` are the state repository's, ``path`` the index file."""

    def __init__(
        self, repository: Path, refs: Refs, path: Path, progress: Progress = lambda branch, count: None
    ) -> None:
        self._repository, self._refs, self.path = repository, refs, path
        self._guard = threading.Lock()  # of what is in memory; taken before the next one
        self._writing = threading.Lock()
        self._of_main, self._of_backends = Objects(repository), Objects(repository)  # under the one, and the other
        self._unlisted: dict[str, dict[str, RefUpdate]] = {}
        self._unwritten: dict[str, dict[str, RefUpdate]] = {}
        self._directory = Directory()
        self._rows: dict[str, str] = {}  # branch -> the tip that its rows are of, at least
        self._listings: dict[str, _Listed] = {}
        self._joined: dict[tuple[str, ...], Listing] = {}
        self._waiters: dict[str, set[threading.Event]] = {}
        self._moved = threading.Event()
        self._released: list[Callable[[], None]] = []
        self._told: list[Callable[[], None]] = []
        self._tips: tuple[str, ...] = ()
        self._closing = False
        self.problem = ""  # why views may be older than the tips; empty: they are not
        with _alone(path):
            if not schema.usable(path):
                _rebuild(repository, refs, path, progress)
            elif found := differences(repository, path, sampled=True):
                _log.warning("the index is made anew, as rows are not what the branches have: %s", "; ".join(found[:5]))
                _rebuild(repository, refs, path, progress)
            self._database = Database(path)
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)

    def start(self) -> None:
        """Begins to follow by itself; without it, readers still find everything."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and every wait."""
        self.end_waits()
        if self._thread.ident is not None:
            self._thread.join()
        self._database.close()
        self._of_main.close()
        self._of_backends.close()

    def end_waits(self) -> None:
        """Ends every wait, now and from now on: the process is about to stop."""
        self._closing = True
        self._moved.set()
        for callback in self._released:
            callback()
        with self._guard:
            for waiters in self._waiters.values():
                for waiter in waiters:
                    waiter.set()

    @property
    def is_closing(self) -> bool:
        return self._closing

    def announce(self, landing: RefUpdate) -> None:
        """For `Writer.listen`: what is about to move, so that it need not be found out."""
        for noted in (self._unlisted, self._unwritten):
            of_branch = noted.setdefault(landing.branch, {})
            of_branch[landing.new] = landing
            if len(of_branch) > _NOTED:
                of_branch.clear()

    def refs_moved(self) -> None:
        """For `Writer.listen` and `Watch`: some ref moved."""
        self._moved.set()

    def directory(self) -> Directory:
        """``main`` as it is now."""
        tip = self._refs.tip(names.MAIN)
        if tip is not None and tip != self._directory.tip:
            with self._guard, self._stale(names.MAIN):
                if tip != self._directory.tip:
                    noted = _chain(self._unlisted.get(names.MAIN), self._directory.tip, tip)
                    deltas = (
                        self._difference(names.MAIN, self._directory.tip, tip)
                        if noted is None
                        else [
                            Delta(one.path, one.after)
                            for landing in noted
                            for changes in landing.changes
                            for one in changes.changes
                        ]
                    )
                    self._directory = self._directory.updated(tip, deltas)
        return self._directory

    def listing(self, slugs: Sequence[str]) -> Listing:
        """The active job requests of these backends together."""
        found = [self._listing(names.backend_branch(slug)) for slug in slugs]
        if len(found) == 1:
            return found[0]
        key = tuple(one.etag for one in found)
        joined = self._joined.get(key)
        if joined is None:
            joined = Listing.joined(found)
            self._joined = {key: joined}
        return joined

    def wait(self, slugs: Sequence[str], etag: str, seconds: float) -> Listing:
        """The listing as soon as it is another than ``etag``'s, or as it is after ``seconds``."""
        waiter = threading.Event()
        ends = monotonic() + seconds
        branches = [names.backend_branch(slug) for slug in slugs]
        with self._guard:
            for branch in branches:
                self._waiters.setdefault(branch, set()).add(waiter)
        try:
            while (listing := self.listing(slugs)).etag == etag and not self._closing:
                left = ends - monotonic()
                if left <= 0 or not waiter.wait(left):
                    break
                waiter.clear()
        finally:
            with self._guard:
                for branch in branches:
                    self._waiters[branch].discard(waiter)
        return listing

    @contextmanager
    def peek(self) -> Iterator[sqlite3.Connection]:
        """The rows as they were last written, which may be a moment ago: for what is looked at again if it matters."""
        with self._database.view() as connection:
            yield connection

    @contextmanager
    def view(self) -> Iterator[sqlite3.Connection]:
        """The rows of all backends' branches, of one moment, no older than the tips are now."""
        for branch in self._backend_branches():
            self._written(branch)
        try:
            with self._database.view() as connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise unavailable(f"the index can't be read: {reason(error)}") from None

    def faults(self) -> Iterator[tuple[str, Fault]]:
        """(branch, fault) of every document that can't be read."""
        for faults in self.directory().faults.values():
            yield from ((names.MAIN, fault) for fault in faults)
        with self.view() as sql:
            found = sql.execute(
                "SELECT name, message, path, line, key FROM faults JOIN branches ON id = branch"
                " ORDER BY name, path, line"
            ).fetchall()
        yield from ((name, Fault(message, path, line, key)) for name, message, path, line, key in found)

    def refresh(self) -> None:
        """Catches up with every branch."""
        self.directory()
        for branch in self._backend_branches():
            self._listing(branch)
            self._written(branch)

    def _backend_branches(self) -> Iterable[str]:
        known = {names.backend_branch(slug) for slug in self.directory().backends}
        return sorted(known | self._listings.keys())

    def _run(self) -> None:
        write_at, behind = 0.0, True
        while not self._closing:
            self._moved.wait(max(0.0, write_at - monotonic()) if behind else _BACKSTOP_SECONDS)
            self._moved.clear()
            try:
                self.directory()
                for branch in self._backend_branches():
                    self._listing(branch)
                self._tell()
                behind = monotonic() < write_at
                if not behind:
                    self.refresh()
                    write_at = monotonic() + _GATHER_SECONDS
            except Error as error:
                _log.warning("the index could not follow: %s", error)
            except Exception:  # noqa: BLE001 - this thread must outlive whatever a reader can be told of
                _log.exception("the index could not follow")

    def on_change(self, callback: Callable[[], None]) -> None:
        """Has ``callback`` called, from the index's own thread, after tips moved. It must return at once."""
        self._told.append(callback)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Has ``callback`` called when every wait ends."""
        self._released.append(callback)

    def tips(self) -> tuple[str, ...]:
        """What all that is shown follows from: main's tip, and each backend's."""
        return (self.directory().tip or "", *(self._refs.tip(branch) or "" for branch in self._backend_branches()))

    def _tell(self) -> None:
        tips = self.tips()
        if tips != self._tips:
            self._tips = tips
            for callback in self._told:
                callback()

    @contextmanager
    def _stale(self, branch: str) -> Iterator[None]:
        """A full disk must not stop reads: they go on with what was there, and the next one tries again.

        Raises `Error` (unavailable) where it is only that another process writes for so long: what was there may be
        older than what a caller was told is done.
        """
        try:
            yield
            self.problem = ""
        except (sqlite3.Error, OSError, KeyError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise unavailable(f"the index is being written by another process: {reason(error)}") from None
            self.problem = f"{branch} can't be followed: {reason(error)}"
            _log.warning("%s: %s", self.problem, error)

    def _listing(self, branch: str) -> Listing:
        tip = self._refs.tip(branch)
        listed = self._listings.get(branch)
        if tip is None or (listed is not None and listed.tip == tip):
            return listed.listing if listed else _EMPTY
        with self._guard, self._stale(branch):
            listed = self._listings.get(branch)
            if listed is None or listed.tip != tip:
                self._listings[branch] = now = self._listed(branch, tip, listed)
                if listed is None or listed.listing.etag != now.listing.etag:
                    for waiter in self._waiters.get(branch, ()):
                        waiter.set()
        listed = self._listings.get(branch)
        return listed.listing if listed else _EMPTY

    def _listed(self, branch: str, tip: str, known: "_Listed | None") -> "_Listed":
        if known is not None and (noted := _chain(self._unlisted.get(branch), known.tip, tip)) is not None:
            listing = known.listing.followed(changes for landing in noted for changes in landing.changes)
            if listing is not None:
                return _Listed(tip, listing)
        self._written(branch)
        with self._database.view() as sql:
            number, tip = sql.execute("SELECT id, tip FROM branches WHERE name=?", (branch,)).fetchone()
            found = sql.execute(
                "SELECT created_at, identifier, item FROM requests WHERE branch=? AND active", (number,)
            ).fetchall()
        listing = Listing.of(((time, identifier), item.encode()) for time, identifier, item in found)
        return _Listed(tip, listing if known is None or known.listing.etag != listing.etag else known.listing)

    def _written(self, branch: str) -> None:
        """Brings the rows up to the tip."""
        tip = self._refs.tip(branch)
        if tip is not None and tip != self._rows.get(branch):
            with self._writing, self._stale(branch):
                if tip != self._rows.get(branch):
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
                gathered = PendingUpdate(branch)
                noted = _chain(self._unwritten.get(branch), old, tip)
                if noted is None:
                    gathered.add_deltas(self._difference(branch, old, tip))
                else:
                    for landing in noted:
                        for changes in landing.changes:
                            gathered.add_changes(changes)
                write(sql, number, gathered)
                sql.execute("UPDATE branches SET tip=? WHERE id=?", (tip, number))
        self._rows[branch] = tip

    def _difference(self, branch: str, old: str | None, new: str) -> Iterator[Delta]:
        objects = self._of_main if branch == names.MAIN else self._of_backends
        before, after = (Head.read(branch, tip, objects).root for tip in (old, new))
        for path, _, blob, _ in diff(objects, before, after):
            if blob is None:
                yield Delta(path)
            else:
                document, faults = _read(objects, branch, path, blob)
                if document is not None or faults:
                    yield Delta(path, document, tuple(faults))


def _read(objects: Objects, branch: str, path: str, blob: bytes) -> tuple[AnyDocument | None, list[Fault]]:
    known = objects.known(blob) if path.endswith(names.PIPELINE_FILE) else None
    if isinstance(known, StoredPipeline):
        return known, []
    document, faults = read_document(branch, path, objects.raw(blob))
    if isinstance(document, StoredPipeline):  # large, and the next rerun has the same
        objects.remember_document(blob, document)
    return document, faults


@dataclass(frozen=True, slots=True)
class _Listed:
    tip: str
    listing: Listing


def _chain(noted: dict[str, RefUpdate] | None, old: str | None, new: str) -> list[RefUpdate] | None:
    """Takes what was noted from ``old`` to ``new``, without a gap; None if that is not all of it."""
    chain: list[RefUpdate] = []
    at: str | None = new
    while noted and at != old:
        landing = noted.pop(at, None) if at else None
        if landing is None:
            return None
        chain.append(landing)
        at = landing.old
    return chain[::-1] if at == old else None


_EMPTY = Listing.of([])


def rebuild(repository: Path, refs: Refs, path: Path, progress: Progress = lambda branch, count: None) -> int:
    """Makes the index file anew; how many branches it holds. Raises `Error` (unavailable)."""
    with _alone(path):
        return _rebuild(repository, refs, path, progress)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Servers that start at the same time make the index once, and none opens it half made."""
    try:
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unavailable(f"the index can't be written: {reason(error)}", str(path)) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _rebuild(repository: Path, refs: Refs, path: Path, progress: Progress) -> int:
    tips = {branch: tip for branch, tip in refs.branches().items() if names.branch_backend(branch)}
    try:
        build(repository, path, tips, progress)
    except (sqlite3.Error, OSError) as error:
        raise unavailable(f"the index can't be written: {reason(error)}", str(path)) from None
    return len(tips)
