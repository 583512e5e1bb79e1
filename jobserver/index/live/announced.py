"""Updates of branches that the writer announced before they landed, so that the index need not compare trees."""

from jobserver.domain.base.state import Changes
from jobserver.store.write.submission import RefUpdate

_MOST = 1000  # updates of a branch; a reader that is further behind compares trees


class AnnouncedUpdates:
    """The writer adds updates. One reader at a time takes them, under a lock of its own."""

    def __init__(self) -> None:
        self._by_branch: dict[str, dict[str, RefUpdate]] = {}

    def add(self, update: RefUpdate) -> None:
        updates = self._by_branch.setdefault(update.branch, {})
        updates[update.new] = update
        if len(updates) > _MOST:
            updates.clear()

    def take(self, branch: str, old: str | None, new: str) -> list[Changes] | None:
        """All changes from ``old`` to ``new``, in order; None if some of them were not announced."""
        updates = self._by_branch.get(branch)
        chain: list[RefUpdate] = []
        tip: str | None = new
        while updates and tip != old:
            update = updates.pop(tip, None) if tip else None
            if update is None:
                return None
            chain.append(update)
            tip = update.old
        return [changes for update in reversed(chain) for changes in update.changes] if tip == old else None
