"""Decides which server writes next on a branch that several servers write.

Each server computes the same order from the branch's commits. Nothing but fairness depends on it: the host's branches
say what was written (docs/decisions/0012). No clock and no I/O; times are seconds of any clock that never goes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

_ACTIVE_SECONDS = 30.0  # a server counts as a writer of the branch for this long after its last commit there
_MAX_IN_A_ROW = 4  # pushes by this server alone, after which it leaves one window for servers that it can't see
_WINDOW_PUSHES = 3.0  # a window has time for a push that lost, a fetch, and the next push
_MAX_WINDOW = 5.0  # seconds: one push that hangs must not stop every server


@dataclass(slots=True)
class _Branch:
    """``writer``: the server that wrote the tip, which arrived here at ``moved_at``.

    ``seen_at``: when each server's last commit arrived. ``in_a_row``: this server's latest pushes with no other
    server's between them.
    """

    writer: str = ""
    moved_at: float = 0.0
    in_a_row: int = 0
    seen_at: dict[str, float] = field(default_factory=dict)


class Turns:
    """A turn for each server that wrote the branch lately, in the order of their ids, starting after the tip's writer.

    The first may write at once, and each further one a window later, so a server with nothing to write need not say
    so. Once all windows have passed, every server may write.

    A server that loses every time writes no commits, so the others can't see it. A server that writes alone therefore
    leaves a window now and then.
    """

    def __init__(self, server: str) -> None:
        """``server``: the id of this one."""
        self._server = server
        self._push_seconds = 0.0
        self._branches: dict[str, _Branch] = {}

    def moved(self, branch: str, servers: Sequence[str], now: float) -> None:
        """The branch moved, by commits of ``servers``, oldest first; "" stands for a person's or a runner's push."""
        known = self._branches.setdefault(branch, _Branch())
        known.writer, known.moved_at = servers[-1] if servers else "", now
        known.in_a_row = known.in_a_row + 1 if known.writer == self._server else 0
        known.seen_at = known.seen_at | {server: now for server in servers if server}

    def pushed(self, seconds: float) -> None:
        """A push took this long. A slow push counts at once, a fast one gradually."""
        self._push_seconds = max(seconds, 0.8 * self._push_seconds + 0.2 * seconds)

    @property
    def window(self) -> float:
        """Seconds that each server has for its push."""
        return min(_WINDOW_PUSHES * self._push_seconds, _MAX_WINDOW)

    def is_shared(self, branch: str, now: float) -> bool:
        """Whether other servers write the branch too."""
        return bool(self._others(branch, now))

    def wait(self, branch: str, now: float) -> float:
        """Seconds until this server's turn, if the branch does not move before; 0 if its turn is now."""
        known = self._branches.get(branch)
        if known is None:
            return 0.0
        others = self._others(branch, now)
        order = sorted({self._server, *others}, key=lambda server: (server <= known.writer, server))
        position = order.index(self._server)
        if not others and known.in_a_row >= _MAX_IN_A_ROW and known.in_a_row % _MAX_IN_A_ROW == 0:
            position = 1
        return max(0.0, known.moved_at + position * self.window - now)

    def _others(self, branch: str, now: float) -> list[str]:
        known = self._branches.get(branch)
        if known is None:
            return []
        return [
            server
            for server, seen_at in known.seen_at.items()
            if server != self._server and now - seen_at < _ACTIVE_SECONDS
        ]
