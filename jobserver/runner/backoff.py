"""How long to wait before trying again. Imports nothing of ours; chance is passed in."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Seconds that double from ``first`` to ``most``, each cut by up to a half so that many clients don't beat in time.

    ``chance`` returns a number from 0 up to 1.
    """

    first: float = 0.5
    most: float = 60.0
    chance: Callable[[], float] = random.random
    failures: int = field(default=0, init=False)

    def failed(self) -> float:
        """Counts one more failure; how long to wait after it."""
        full = min(self.most, self.first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return full * (1 - self.chance() / 2)

    def worked(self) -> None:
        self.failures = 0
