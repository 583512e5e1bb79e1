"""Who goes next on a branch that several servers write: an order that each of them reads off the commits.

Only fairness hangs on it: what is done is what the host's branches say (docs/decisions/0012). No clock and no I/O;
times are seconds of any clock that never goes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

_REMEMBERED = 30.0  # seconds that a server is taken to write a branch after it was seen to have written it
_ALONE = 4  # pushes in a row, without anybody else to be seen, after which a window is left for who can't be seen
_WINDOW = 3.0  # pushes that have to fit into the time that each server is left: one that lost, a look, and the next one
_LONGEST = 5.0  # seconds of such a time: a host that hangs for once must not stop everybody


@dataclass(slots=True)
class _Branch:
    """``last`` wrote its tip, which was seen ``at`` first; ``seen``: when each server was last seen to write it;
    ``alone``: this one's pushes in a row.
    """

    last: str = ""
    at: float = 0.0
    alone: int = 0
    seen: dict[str, float] = field(default_factory=dict)


class Turns:
    """After each tip the servers that wrote the branch lately come one after the other, by their ids, from the one
    that wrote the tip on: the next one at once, each further one a window later, so that whoever has nothing to write
    need not say so. When all windows have passed, everybody may.

    A server that only ever loses can't be seen: so who pushes one time after the other leaves a window now and then.
    """

    def __init__(self, server: str) -> None:
        """``server``: this one's id."""
        self._server = server
        self._push = 0.0
        self._branches: dict[str, _Branch] = {}

    def saw(self, branch: str, servers: Sequence[str], now: float) -> None:
        """The branch moved, by commits of these servers (oldest first; "": of somebody who pushed)."""
        known = self._branches.setdefault(branch, _Branch())
        known.last, known.at = servers[-1] if servers else "", now
        known.alone = known.alone + 1 if known.last == self._server else 0
        known.seen = known.seen | {server: now for server in servers if server}

    def pushed(self, seconds: float) -> None:
        """A push took so long: believed at once if that is longer than before, else little by little."""
        self._push = max(seconds, 0.8 * self._push + 0.2 * seconds)

    @property
    def window(self) -> float:
        """Seconds that a server is left to push, from when the ones before it could have been seen to have pushed."""
        return min(_WINDOW * self._push, _LONGEST)

    def is_shared(self, branch: str, now: float) -> bool:
        """Whether other servers write the branch too."""
        return bool(self._others(branch, now))

    def left(self, branch: str, now: float) -> float:
        """Seconds until this server's turn on the branch, if nobody moves it before; 0: now."""
        known = self._branches.get(branch)
        if known is None:
            return 0.0
        others = self._others(branch, now)
        order = sorted({self._server, *others}, key=lambda server: (server <= known.last, server))
        before = order.index(self._server)
        if not others and known.alone >= _ALONE and known.alone % _ALONE == 0:
            before = 1
        return max(0.0, known.at + before * self.window - now)

    def _others(self, branch: str, now: float) -> list[str]:
        known = self._branches.get(branch)
        if known is None:
            return []
        return [server for server, at in known.seen.items() if server != self._server and now - at < _REMEMBERED]
