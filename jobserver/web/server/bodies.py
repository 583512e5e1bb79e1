"""Whose body is on its way: each caller has some at once, and those who did not say who they are have few together."""

from collections.abc import Callable, Sequence

from bottle import request

from jobserver.service.budgets import ConcurrencyLimit
from jobserver.web import http
from jobserver.web.clients import Network, address

_TOGETHER = "all together"


class Bodies:
    """Thread-safe. ``each`` is for a caller, ``strangers`` for all of those together whom nobody knows."""

    def __init__(self, each: ConcurrencyLimit, strangers: ConcurrencyLimit, proxies: Sequence[Network] = ()) -> None:
        self._each, self._strangers, self._proxies = each, strangers, proxies

    def offer(self) -> None:
        """Before a request is looked at: what `http.read_body` asks where the body is still with its sender."""
        request.environ[http.TURN] = self.turn

    def turn(self) -> Callable[[], None]:
        """Counts the body of the request at hand; whoever calls this calls what it returns once. Raises `Error`."""
        who: str | None = request.environ.get(http.CALLER)
        if who is not None:
            self._each.enter(who)
            return lambda: self._each.leave(who)
        where = address(self._proxies)
        self._each.enter(where)
        try:
            self._strangers.enter(_TOGETHER)
        except BaseException:
            self._each.leave(where)
            raise

        def ended() -> None:
            self._strangers.leave(_TOGETHER)
            self._each.leave(where)

        return ended
