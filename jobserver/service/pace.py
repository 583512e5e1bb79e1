"""How often a host may be pushed to: what comes between two pushes waits, and goes with the next."""

import random
import threading
from time import monotonic

_MOST_DEBT = 60.0  # seconds
_REMEMBERED = 5.0  # seconds that others are taken to be at work after they were seen to be
_ROOM = 2.0  # pushes that would fit between two of ours: those who lost try again at once, and shall win then


class Pace:
    """``per_minute``: pushes; 0 is without limit. Used by one thread at a time, but for `hurry`."""

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._others_until = 0.0
        self._hurry = threading.Event()

    def wait(self) -> None:
        """Returns when the next push may go, or at once when somebody is in a hurry."""
        left = self._next - monotonic()
        if left > 0:
            self._hurry.wait(left)
        self._hurry.clear()

    def pushed(self, seconds: float) -> None:
        """Counts one that took so long. Those that did not wait are made up for by those that come after.

        Where others push too, they are left room, by chance, so that the same ones do not meet again.
        """
        now = monotonic()
        self._next = min(max(now, self._next) + self._gap, now + _MOST_DEBT)
        if now < self._others_until:
            self._next = max(self._next, now + seconds * random.uniform(0, 2 * _ROOM))

    def met_others(self) -> None:
        self._others_until = monotonic() + _REMEMBERED

    def hurry(self) -> None:
        self._hurry.set()
