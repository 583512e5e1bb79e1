"""The list of active job requests of each backend, ready as bytes for polls, which wait here until it changes."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from time import monotonic

from jobserver.domain.base import layout
from jobserver.index.listing import Listing
from jobserver.index.live.announced import AnnouncedUpdates
from jobserver.index.live.lag import Lag
from jobserver.index.live.rows import LiveRows
from jobserver.store.git.refs import Refs

_EMPTY = Listing.of([])


@dataclass(frozen=True, slots=True)
class _ListingAtTip:
    tip: str
    listing: Listing


class LiveListings:
    """Thread-safe."""

    def __init__(self, refs: Refs, rows: LiveRows, lag: Lag) -> None:
        self._refs, self._rows, self._lag = refs, rows, lag
        self._guard = threading.Lock()  # taken before the lock of the rows
        self._by_branch: dict[str, _ListingAtTip] = {}
        self._joined: dict[tuple[str, ...], Listing] = {}
        self._waiters: dict[str, set[threading.Event]] = {}
        self.is_closing = False
        self.announced = AnnouncedUpdates()

    @property
    def branches(self) -> Collection[str]:
        """The branches whose list somebody has read."""
        return self._by_branch.keys()

    def of_backends(self, slugs: Sequence[str]) -> Listing:
        """The active job requests of these backends together."""
        listings = [self.of_branch(layout.backend_branch(slug)) for slug in slugs]
        if len(listings) == 1:
            return listings[0]
        key = tuple(listing.etag for listing in listings)
        joined = self._joined.get(key)
        if joined is None:
            joined = Listing.joined(listings)
            self._joined = {key: joined}
        return joined

    def wait(self, slugs: Sequence[str], etag: str, seconds: float) -> Listing:
        """The listing as soon as its ETag differs from ``etag``, or after ``seconds``."""
        waiter = threading.Event()
        ends = monotonic() + seconds
        branches = [layout.backend_branch(slug) for slug in slugs]
        with self._guard:
            for branch in branches:
                self._waiters.setdefault(branch, set()).add(waiter)
        try:
            while (listing := self.of_backends(slugs)).etag == etag and not self.is_closing:
                left = ends - monotonic()
                if left <= 0 or not waiter.wait(left):
                    break
                waiter.clear()
        finally:
            with self._guard:
                for branch in branches:
                    self._waiters[branch].discard(waiter)
        return listing

    def end_waits(self) -> None:
        """Ends every wait, now and from now on."""
        self.is_closing = True
        with self._guard:
            for branch in self._waiters:
                self._wake(branch)

    def _wake(self, branch: str) -> None:
        for waiter in self._waiters.get(branch, ()):
            waiter.set()

    def of_branch(self, branch: str) -> Listing:
        tip = self._refs.tip(branch)
        known = self._by_branch.get(branch)
        if tip is None or (known is not None and known.tip == tip):
            return known.listing if known else _EMPTY
        with self._guard, self._lag.tolerated(branch):
            known = self._by_branch.get(branch)
            if known is None or known.tip != tip:
                self._by_branch[branch] = now = self._at_tip(branch, tip, known)
                if known is None or known.listing.etag != now.listing.etag:
                    self._wake(branch)
        known = self._by_branch.get(branch)
        return known.listing if known else _EMPTY

    def _at_tip(self, branch: str, tip: str, known: _ListingAtTip | None) -> _ListingAtTip:
        if known is not None and (announced := self.announced.take(branch, known.tip, tip)) is not None:
            listing = known.listing.followed(announced)
            if listing is not None:
                return _ListingAtTip(tip, listing)
        self._rows.catch_up(branch)
        with self._rows.view() as sql:
            number, tip = sql.execute("SELECT id, tip FROM branches WHERE name=?", (branch,)).fetchone()
            rows = sql.execute(
                "SELECT created_at, identifier, item FROM requests INDEXED BY requests_active"
                " WHERE branch=? AND active",
                (number,),
            ).fetchall()
        listing = Listing.of(((time, identifier), item.encode()) for time, identifier, item in rows)
        return _ListingAtTip(tip, listing if known is None or known.listing.etag != listing.etag else known.listing)
