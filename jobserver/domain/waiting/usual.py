"""How long something usually takes: the middle half of its past runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

_FEWEST = 5  # runs from which "slower than usual" means something
_MINUTE = 60_000_000


@dataclass(frozen=True, slots=True)
class UsualDuration:
    """In microseconds: half of the past ``runs`` took between ``low`` and ``high``."""

    low: int
    middle: int
    high: int
    runs: int

    def is_exceeded(self, duration: int) -> bool:
        """Whether a run is much slower than usual: by half of ``high`` and by a minute. False where few runs are
        known."""
        return self.runs >= _FEWEST and duration > max(self.high * 3 // 2, self.high + _MINUTE)


def usual(durations: Sequence[int]) -> UsualDuration | None:
    """Of successful runs. None without any."""
    if not durations:
        return None
    if len(durations) == 1:
        return UsualDuration(durations[0], durations[0], durations[0], 1)
    low, _, high = quantiles(durations, n=4, method="inclusive")
    return UsualDuration(int(low), int(median(durations)), int(high), len(durations))
