"""How long to wait before trying again."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Waits that double from ``first`` to ``longest`` seconds.

    Each is cut by up to a half at random, so that many clients do not try at the same moment. ``chance`` returns a
    number from 0 up to 1.
    """

    first: float = 0.5
    longest: float = 60.0
    chance: Callable[[], float] = random.random
    failures: int = field(default=0, init=False)

    def failed(self) -> float:
        """Counts a failure. Returns the seconds to wait after it."""
        full = min(self.longest, self.first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return full * (1 - self.chance() / 2)

    def worked(self) -> None:
        self.failures = 0
