"""Makes commits durable and moves the branches to them: one pack, then the upstream repository if there is one, then
the refs here.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobserver import steps
from jobserver.domain.base import layout
from jobserver.domain.base.state import Changes
from jobserver.errors import Error
from jobserver.store.git.packs import Pack
from jobserver.store.git.refs import Refs
from jobserver.store.upstream import Authority, NewTips, RefConflict
from jobserver.store.write.compactor import Compactor
from jobserver.store.write.submission import RefUpdate

_LARGE = 1024 * 1024  # bytes; larger packs are few, and joining a hundred of them would take much memory


@dataclass(slots=True)
class Landing:
    """How a pack landed. ``failures``: branches that did not move, and why: `RefConflict`, OSError or `Error`.

    ``behind``: branches that moved upstream and not here, and why.
    """

    failures: dict[str, Exception] = field(default_factory=dict)
    behind: dict[str, Exception] = field(default_factory=dict)


class Lander:
    """Not thread-safe: the writer's turn guards it. ``on_moved`` is called with each branch that moved and its tip."""

    def __init__(self, refs: Refs, packs: Path, compactor: Compactor, on_moved: Callable[[str, str], None]) -> None:
        self._refs, self._packs, self._compactor, self._on_moved = refs, packs, compactor, on_moved
        self._listeners: list[tuple[Callable[[RefUpdate], None], Callable[[], None]]] = []

    def listen(self, announce: Callable[[RefUpdate], None], landed: Callable[[], None]) -> None:
        """See `Writer.listen`."""
        self._listeners.append((announce, landed))

    def land(self, pack: Pack, new_tips: NewTips, authority: Authority | None) -> Landing:
        """Makes the pack durable and moves the branches. Raises OSError with no branch moved if the disk refuses."""
        return self._land(pack, new_tips, authority, lambda branch, old, new: None)

    def land_batch(
        self, pack: Pack, new_tips: NewTips, authority: Authority | None, changes: Callable[[str], tuple[Changes, ...]]
    ) -> Landing:
        """As `land`, and tells the listeners. ``changes``: what the batch changes on a branch."""

        def announce(branch: str, old: str | None, new: str) -> None:
            if old is not None:
                update = RefUpdate(branch, old, new, changes(branch))
                for listener, _ in self._listeners:
                    listener(update)

        try:
            return self._land(pack, new_tips, authority, announce)
        finally:
            for _, landed in self._listeners:
                landed()

    def _land(
        self,
        pack: Pack,
        new_tips: NewTips,
        authority: Authority | None,
        announce: Callable[[str, str | None, str], None],
    ) -> Landing:
        with self._refs.prepared([new for _, new in new_tips.values()]) as descriptors:
            with steps.timed("sync"):
                stem = pack.save(self._packs, beside=descriptors)
            return self._publish(pack, stem, new_tips, authority, announce)

    def _publish(
        self,
        pack: Pack,
        stem: Path,
        new_tips: NewTips,
        authority: Authority | None,
        announce: Callable[[str, str | None, str], None],
    ) -> Landing:
        """Moves the branches to commits that are durable in the pack ``stem``."""
        landing = Landing()
        try:
            if authority is not None:
                with steps.timed("publish"):
                    landing.failures.update(authority.publish(new_tips))
            # What was decided on a main of this batch may not land without it, so main moves first.
            for branch in sorted(new_tips, key=lambda branch: branch != layout.MAIN):
                if layout.MAIN in landing.failures:
                    landing.failures.setdefault(branch, RefConflict())
                if branch not in landing.failures and (problem := self._move(branch, new_tips[branch], announce)):
                    (landing.failures if authority is None else landing.behind)[branch] = problem
        finally:
            with contextlib.suppress(OSError):
                stem.with_suffix(".keep").unlink()
            if pack.size < _LARGE:
                self._compactor.add(stem)
        return landing

    def _move(
        self, branch: str, move: tuple[str | None, str], announce: Callable[[str, str | None, str], None]
    ) -> Exception | None:
        """Why the branch did not move here."""
        try:
            announce(branch, *move)
            if not self._refs.move(branch, *move):
                return RefConflict()
        except (OSError, Error) as error:
            return error
        self._on_moved(branch, move[1])
        return None
