"""Limits the large bodies that are being sent: a few for each caller, and a few for all strangers together."""

from collections.abc import Callable, Sequence

from bottle import request

from jobserver.service.budgets import ConcurrencyLimit
from jobserver.web import http
from jobserver.web.clients import Network, address

_TOGETHER = "all together"


class Bodies:
    """Thread-safe. ``each`` limits each caller or address, ``strangers`` all calls without a known caller together."""

    def __init__(self, each: ConcurrencyLimit, strangers: ConcurrencyLimit, proxies: Sequence[Network] = ()) -> None:
        self._each, self._strangers, self._proxies = each, strangers, proxies

    def offer(self) -> None:
        """A hook for each request: gives `http.read_body` the way to count a body that was not read yet."""
        request.environ[http.TURN] = self.turn

    def turn(self) -> Callable[[], None]:
        """Counts the current request's body. The caller has to call the result once. Raises `Error` (too_many)."""
        caller: str | None = request.environ.get(http.CALLER)
        if caller is not None:
            self._each.enter(caller)
            return lambda: self._each.leave(caller)
        client = address(self._proxies)
        self._each.enter(client)
        try:
            self._strangers.enter(_TOGETHER)
        except BaseException:
            self._each.leave(client)
            raise

        def ended() -> None:
            self._strangers.leave(_TOGETHER)
            self._each.leave(client)

        return ended
