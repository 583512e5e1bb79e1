"""What the writer takes and gives: a submission, what was written of it, and one branch's part of a batch."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from jobserver.domain.admit import Admitted
from jobserver.domain.base.state import Changes
from jobserver.store.git.objects import Objects
from jobserver.store.read.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class WriteResult:
    """``commit`` is durable; where nothing had to change (``changed`` is False), it is the tip that says so already.

    ``size``: bytes by which it made the repository grow.
    """

    branch: str
    commit: str
    changed: bool
    changes: Changes
    size: int = 0


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One branch's part of a batch: its ref is about to move from ``old`` to ``new`` by these changes, in order."""

    branch: str
    old: str
    new: str
    changes: tuple[Changes, ...]


class TipCheck(Protocol):
    """Whether the writer may build on what stands on a branch."""

    def check(self, branch: str, tip: str | None, is_told: bool = True, objects: Objects | None = None) -> None:
        """Raises `Error` (unavailable) for what no server made or judged, and for a branch that is gone (None).

        Not ``is_told``: of a change of keys, which is about to be told it; the keys count that it knows. ``objects``:
        what to read with, if the caller is about to read the same.
        """

    def mark_good(self, branch: str, tip: str) -> None:
        """This process moved the branch there: it need not be looked at."""

    def close(self) -> None: ...


Decide = Callable[[Snapshot], tuple[Admitted, Mapping[str, str]]]
"""Judges on a snapshot; returns what to commit and further trailers. Runs again if the branch moved meanwhile."""


@dataclass(slots=True)
class Submission:
    """One submission in the writer's queue, and what became of it."""

    branch: str
    decide: Decide
    wake: threading.Lock = field(default_factory=threading.Lock)
    written: WriteResult | None = None
    error: BaseException | None = None
    leads: bool = False

    def outcome(self) -> WriteResult:
        if self.error is not None:
            raise self.error
        assert self.written is not None
        return self.written
