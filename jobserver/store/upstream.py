"""The authority over branches, where that is another repository than this one: what the writer asks of it."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from jobserver.errors import Code, Error

NewTips = Mapping[str, tuple[str | None, str]]
"""Branch -> (its tip before, None if the branch must not exist; its new tip)."""


class RefConflict(Exception):
    """Another process moved the branch after the decision: decide again, on the current tip."""


class Unconfirmed(Error):
    """The write may have happened or not: the caller has to look for it before trying again."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.UNAVAILABLE, message)


class Authority(Protocol):
    """All methods but `pace` and `hurry` are called in the writer's turn.

    ``server``: the name of this server in its commits, so that other servers know who wrote a branch.
    """

    server: str

    def pace(self, waiting: Callable[[], Collection[str]]) -> None:
        """Returns when the next batch may go; later submissions join it. ``waiting``: the branches that it writes."""

    def hurry(self) -> None:
        """Ends a `pace`, because an urgent submission waits."""

    def permit(self) -> None:
        """Raises `Error` (unavailable) if nothing may be written now."""

    def publish(self, new_tips: NewTips) -> Mapping[str, Exception]:
        """Makes these moves. Returns those that failed: `RefConflict`, or `Error` if the result is not known."""

    def await_turn(self, branches: Collection[str]) -> None:
        """After a `RefConflict`: returns when the next move may be made. Raises `Error` (unavailable)."""

    def refresh(self) -> bool:
        """Moves the branches here to where they are there; True if any moved. Raises `Error` (unavailable)."""
