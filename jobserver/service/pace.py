"""How often a host may be pushed to: what comes between two pushes waits, and goes with the next."""

import threading
from time import monotonic

_MOST_DEBT = 60.0  # seconds


class Pace:
    """``per_minute``: pushes; 0 is without limit. Used by one thread at a time, but for `hurry`."""

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._hurry = threading.Event()

    def wait(self) -> None:
        """Returns when the next push may go, or at once when somebody is in a hurry."""
        left = self._next - monotonic()
        if left > 0:
            self._hurry.wait(left)
        self._hurry.clear()

    def pushed(self) -> None:
        """Counts one. Those that did not wait are made up for by those that come after."""
        now = monotonic()
        self._next = min(max(now, self._next) + self._gap, now + _MOST_DEBT)

    def hurry(self) -> None:
        self._hurry.set()
