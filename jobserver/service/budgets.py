"""How much each caller may use, over time and at once, so that one caller can't take everything from the others.

The counts are in memory, for this process. A refusal says after how many seconds to try again.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from jobserver.cache import Cache
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.errors import too_many

_REMEMBERED = 10_000  # callers
_MINUTE, _DAY = 60.0, 86_400.0
_MIB = 1024 * 1024


class RateLimit:
    """At most ``most`` at once, and as much again in ``seconds``; 0: no limit. Thread-safe.

    ``label`` says in words what is limited, and by which setting. A single use of more than ``most`` is allowed; the
    caller then waits longer for the next.
    """

    def __init__(self, most: float, seconds: float, label: str, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._seconds, self._label, self._clock = most, seconds, label, clock
        self._guard = threading.Lock()
        self._used = Cache[str, tuple[float, float]](_REMEMBERED)  # caller: (how much, when)

    def spend(self, caller: str, amount: float = 1) -> None:
        """Raises `Error` (too_many) and spends nothing if less than ``amount`` is left."""
        if not self._most:
            return
        with self._guard:
            used = self._now(caller)
            over = used + min(amount, self._most) - self._most
            if over <= 0:
                self._used.put(caller, (used + amount, self._clock()))
                return
        raise too_many(f"{caller} has used up {self._label}", int(over * self._seconds / self._most) + 1)

    def add(self, caller: str, amount: float) -> None:
        """Spends what can no longer be refused, or gives back what was not needed (less than 0)."""
        if self._most and amount:
            with self._guard:
                self._used.put(caller, (max(0.0, self._now(caller) + amount), self._clock()))

    def _now(self, caller: str) -> float:
        used, moment = self._used.get(caller) or (0.0, 0.0)
        return max(0.0, used - (self._clock() - moment) * self._most / self._seconds)


class ConcurrencyLimit:
    """At most ``most`` of a kind at once for each caller; 0: no limit. Thread-safe."""

    def __init__(self, most: int, label: str, seconds: int = 5) -> None:
        """``seconds``: after how long a refused caller should try again."""
        self._most, self._label, self._seconds = most, label, seconds
        self._guard = threading.Lock()
        self._held: dict[str, int] = {}

    @property
    def count(self) -> int:
        """Of all callers."""
        with self._guard:
            return sum(self._held.values())

    def enter(self, caller: str) -> None:
        """The caller calls `leave` once afterwards. Raises `Error` (too_many)."""
        with self._guard:
            held = self._held.get(caller, 0)
            if not self._most or held < self._most:
                self._held[caller] = held + 1
                return
        raise too_many(f"{caller} has {held} {self._label}", self._seconds)

    def leave(self, caller: str) -> None:
        with self._guard:
            left = self._held[caller] - 1
            if left:
                self._held[caller] = left
            else:
                del self._held[caller]


class WriteBudget:
    """Limits the commits and the bytes that each caller can write. The server itself has no limit."""

    def __init__(self, people: int = 0, backends: int = 0, stored_mib: int = 0) -> None:
        """``people``, ``backends``: commits of each in a minute; ``stored_mib``: in a day."""
        self._rates = {
            ActorKind.USER: RateLimit(people, _MINUTE, f"the {people} writes a minute of MAX_WRITES_PER_MINUTE"),
            ActorKind.BACKEND: RateLimit(
                backends, _MINUTE, f"the {backends} writes a minute of MAX_BACKEND_WRITES_PER_MINUTE"
            ),
        }
        self._stored = RateLimit(stored_mib * _MIB, _DAY, f"the {stored_mib} MiB a day of MAX_STORED_MIB_PER_DAY")

    def begin(self, actor: Actor) -> None:
        """Call before a write. Raises `Error` (too_many)."""
        if (rate := self._rates.get(actor.kind)) is not None:
            self._stored.spend(str(actor), 0)
            rate.spend(str(actor))

    def end(self, actor: Actor, size: int) -> None:
        """Call after a write. ``size``: the bytes by which the repository has grown; 0 if nothing was written."""
        if (rate := self._rates.get(actor.kind)) is not None:
            rate.add(str(actor), 0 if size else -1)
            self._stored.add(str(actor), size)


def _polls(most: int) -> ConcurrencyLimit:
    return ConcurrencyLimit(most, "polls waiting, as many as MAX_HELD_POLLS allows")


def _pages(most: int) -> ConcurrencyLimit:
    return ConcurrencyLimit(most, "pages open, as many as MAX_OPEN_PAGES allows", seconds=30)


def _bodies(most: int) -> ConcurrencyLimit:
    return ConcurrencyLimit(most, "uploads in progress, as many as MAX_BODIES allows")


def _strangers() -> ConcurrencyLimit:
    return ConcurrencyLimit(64, "uploads in progress by callers without a token")


def _released(mib: int) -> RateLimit:
    return RateLimit(mib * _MIB, _DAY, f"the {mib} MiB a day of MAX_RELEASED_MIB_PER_DAY")


@dataclass(frozen=True, slots=True)
class Budgets:
    """The limits of a serving process for each caller. Without settings only callers without a token have a limit."""

    polls: ConcurrencyLimit = field(default_factory=lambda: _polls(0))
    pages: ConcurrencyLimit = field(default_factory=lambda: _pages(0))
    bodies: ConcurrencyLimit = field(default_factory=lambda: _bodies(0))
    strangers: ConcurrencyLimit = field(default_factory=_strangers)
    released: RateLimit = field(default_factory=lambda: _released(0))

    @classmethod
    def of(cls, polls: int, pages: int, bodies: int, released_mib: int) -> "Budgets":
        return cls(_polls(polls), _pages(pages), _bodies(bodies), _strangers(), _released(released_mib))
