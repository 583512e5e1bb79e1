"""How often a host may be pushed to: what comes between two pushes waits, and goes with the next."""

_MOST_DEBT = 60.0  # seconds


class Pace:
    """``per_minute``: pushes; 0 is without limit. Times are seconds of any clock that never goes back."""

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    def left(self, now: float) -> float:
        """Seconds until the next push may go; 0: now."""
        return max(0.0, self._next - now)

    def pushed(self, now: float) -> None:
        """Counts one. Those that did not wait are made up for by those that come after."""
        self._next = min(max(now, self._next) + self._gap, now + _MOST_DEBT)
