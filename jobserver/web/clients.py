"""Who is calling, as an address; and how often they may guess. Behind a proxy only a trusted one's word counts."""

import ipaddress
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from time import monotonic

from bottle import request

from jobserver.web import http

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_REMEMBERED = 10_000  # addresses


def address(trusted: Sequence[Network]) -> str:
    """The client's address: the last in X-Forwarded-For that no trusted proxy has, or the connection's own."""
    found = str(request.environ.get("REMOTE_ADDR") or "unknown")
    for claimed in reversed((http.header("X-Forwarded-For") or "").split(",")):
        if not _is_trusted(found, trusted) or not claimed.strip():
            break
        found = claimed.strip()[:64]
    return found


def _is_trusted(text: str, trusted: Sequence[Network]) -> bool:
    try:
        one = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(one in network for network in trusted)


class Limit:
    """At most ``most`` failures within ``seconds`` from one address. Thread-safe; forgotten when the process ends."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._guard = threading.Lock()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, who: str) -> int:
        """Seconds until this address may try again; 0: now."""
        with self._guard:
            found = self._failures.get(who)
            if found is None:
                return 0
            now = self._clock()
            while found and found[0] <= now - self._seconds:
                found.popleft()
            return int(found[0] + self._seconds - now) + 1 if len(found) >= self._most else 0

    def failed(self, who: str) -> None:
        with self._guard:
            found = self._failures.setdefault(who, deque(maxlen=self._most))
            found.append(self._clock())
            self._failures.move_to_end(who)
            if len(self._failures) > _REMEMBERED:
                self._failures.popitem(last=False)
