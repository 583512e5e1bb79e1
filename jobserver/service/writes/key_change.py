"""Ends one of the server's signing keys, with signed checkpoints before and after."""

from collections.abc import Callable
from datetime import datetime

from jobserver.domain.base.permissions import Actor
from jobserver.service.background.checkpointer import Checkpointer
from jobserver.service.writes.gate import Gate
from jobserver.store.keys.rotation import is_current, rotate
from jobserver.store.repo import StateRepo


def change_key(
    repo: StateRepo,
    gate: Gate,
    clock: Callable[[], datetime],
    by: Actor,
    via: str,
    revoked: str = "",
    as_of: datetime | None = None,
) -> str:
    """Ends the current key, or the key ``revoked``, as of ``as_of`` or else now. See `rotate`. Raises `Error`.

    Returns the fingerprint of the current key. The first checkpoint, by the key that ends, is left out if the key is
    revoked as of an earlier time: nothing that it signs now counts.
    """
    checkpointer = Checkpointer(repo, gate)
    if as_of is None and is_current(repo):
        checkpointer.checkpoint()
    fingerprint = rotate(repo, clock(), revoked, as_of, by, via)
    checkpointer.checkpoint()
    return fingerprint
