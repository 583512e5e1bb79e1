"""The address of a caller, and a limit on how often it may guess. Only trusted proxies may name another address."""

import ipaddress
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic

from bottle import request

from jobserver.cache import Cache
from jobserver.web import http

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_REMEMBERED = 10_000  # addresses


def address(trusted: Sequence[Network]) -> str:
    """The last address in X-Forwarded-For that is not a trusted proxy's, or else the connection's own."""
    client = str(request.environ.get("REMOTE_ADDR") or "unknown")
    for claimed in reversed((http.header("X-Forwarded-For") or "").split(",")):
        if not claimed.strip() or not _is_trusted(client, trusted):
            break
        client = claimed.strip()[:64]
    return client


def _is_trusted(text: str, trusted: Sequence[Network]) -> bool:
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(ip in network for network in trusted)


class Limit:
    """At most ``most`` failures within ``seconds`` from one address. Thread-safe. Kept in memory only."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._guard = threading.Lock()
        self._failures = Cache[str, deque[float]](_REMEMBERED)

    def wait(self, client: str) -> int:
        """Seconds until this address may try again; 0 if it may now."""
        with self._guard:
            failures = self._failures.get(client)
            if failures is None:
                return 0
            now = self._clock()
            while failures and failures[0] <= now - self._seconds:
                failures.popleft()
            return int(failures[0] + self._seconds - now) + 1 if len(failures) >= self._most else 0

    def failed(self, client: str) -> None:
        with self._guard:
            failures = self._failures.get(client)
            if failures is None:
                failures = deque(maxlen=self._most)
                self._failures.put(client, failures)
            failures.append(self._clock())
