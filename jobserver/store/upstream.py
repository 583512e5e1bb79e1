"""Who has the last word on where the branches are, if it is not this repository: what the writer asks of it."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from jobserver.errors import Code, Error

Moves = Mapping[str, tuple[str | None, str]]
"""Branch -> (the tip that it has to have, None: there must be no such branch; the tip that it gets)."""


class RefConflict(Exception):
    """Somebody else moved the branch between our look and our move: decide again, on what is there now."""


class Unconfirmed(Error):
    """It may have been done, and may not: whoever asked has to look for it before they ask again."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.UNAVAILABLE, message)


class Authority(Protocol):
    """All but `pace` and `hurry` are called in the writer's turn.

    ``server``: what the commits made here name as theirs, so that other servers know who wrote a branch.
    """

    server: str

    def pace(self, waiting: Callable[[], Collection[str]]) -> None:
        """Returns when the next batch may go; what comes meanwhile joins it. ``waiting``: the branches it writes."""

    def hurry(self) -> None:
        """Something waits that can't: ends a `pace`."""

    def permit(self) -> None:
        """Raises `Error` (unavailable) if nothing may be written now."""

    def publish(self, moves: Moves) -> Mapping[str, Exception]:
        """Makes these moves; those that were not made, each with why: `RefConflict`, or `Error` where nobody knows."""

    def await_turn(self, branches: Collection[str]) -> None:
        """After a move was `RefConflict`: returns when the next may be made. Raises `Error` (unavailable)."""

    def refresh(self) -> bool:
        """Brings the branches here to where they are there; whether any moved. Raises `Error` (unavailable)."""
