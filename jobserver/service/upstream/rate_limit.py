"""Limits how often this server pushes to the host. Writes that arrive between two pushes share the next one."""

_MAX_DEBT = 60.0  # seconds


class PushRate:
    """``per_minute``: pushes; 0 means no limit. Times are seconds of any clock that never goes back."""

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next push is allowed; 0 if it is allowed now."""
        return max(0.0, self._next - now)

    def pushed(self, now: float) -> None:
        """Counts a push. Pushes that did not wait, such as cancels, make later ones wait longer."""
        self._next = min(max(now, self._next) + self._gap, now + _MAX_DEBT)
