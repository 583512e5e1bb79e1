"""What callers hand to the writer, and what the writer hands back."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from jobserver.domain.admit import Admitted
from jobserver.domain.base.state import Changes
from jobserver.errors import Code, Error, unavailable
from jobserver.store.fs import disk_error
from jobserver.store.git.objects import Objects
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.upstream import RefConflict

Decide = Callable[[Snapshot], tuple[Admitted, Mapping[str, str]]]
"""Decides on a snapshot; returns what to commit, and further trailers. Runs again if the branch moves meanwhile."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """A durable ``commit``. If nothing had to change (``changed`` is False), ``commit`` is the branch's tip.

    ``size``: bytes by which the commit makes the repository grow.
    """

    branch: str
    commit: str
    changed: bool
    changes: Changes
    size: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """The submission failed for good; ``error`` is what its caller gets."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another process moved the branch after the decision, so the writer decides again."""


@dataclass(frozen=True, slots=True)
class DiskFailure:
    """The disk refused the batch, so the writer tries each submission alone."""

    error: OSError


Outcome: TypeAlias = WriteResult | Refused | Conflict | DiskFailure


def failure(error: Exception) -> Outcome:
    """The outcome of a submission whose branch did not move because of ``error``."""
    if isinstance(error, RefConflict):
        return Conflict()
    return DiskFailure(error) if isinstance(error, OSError) else Refused(error)


def result(branch: str, outcome: Outcome | None) -> WriteResult:
    """The result of a submission to ``branch``. Raises its error: `Error`, or whatever a bug raised."""
    match outcome:
        case WriteResult():
            return outcome
        case Conflict():
            raise unavailable("other processes keep moving this branch; try again", branch)
        case DiskFailure(error):
            raise disk_error(error)
        case Refused(error):
            raise error
    raise AssertionError("the batch ended without an outcome")


@dataclass(slots=True, eq=False)
class Submission:
    """One submission in the writer's queue. ``outcome``: how the last attempt at it ended."""

    branch: str
    decide: Decide
    wake: threading.Lock = field(default_factory=threading.Lock)
    outcome: Outcome | None = None
    is_leader: bool = False

    @property
    def has_written(self) -> bool:
        return isinstance(self.outcome, WriteResult) and self.outcome.changed

    @property
    def has_failed(self) -> bool:
        """Whether another attempt makes sense."""
        return isinstance(self.outcome, Conflict | DiskFailure)

    @property
    def is_doubtful(self) -> bool:
        """Whether the outcome depends on a state that nothing was pushed on: a refusal, or a result without a
        change."""
        if isinstance(self.outcome, Refused):
            return isinstance(self.outcome.error, Error) and self.outcome.error.code is not Code.UNAVAILABLE
        return isinstance(self.outcome, WriteResult) and not self.has_written and bool(self.outcome.changes.result)


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One branch's part of a batch: its ref is about to move from ``old`` to ``new`` by these changes, in order."""

    branch: str
    old: str
    new: str
    changes: tuple[Changes, ...]


class TipCheck(Protocol):
    """Decides whether the writer may build on the tip of a branch."""

    def check(self, branch: str, tip: str | None, is_told: bool = True, objects: Objects | None = None) -> None:
        """Raises `Error` (unavailable) if no server made or judged ``tip``, or if the branch is gone (None).

        ``is_told``: False for a commit that tells the branch of new keys; then the keys that the branch knows count.
        ``objects``: what to read with, if the caller is about to read the same objects.
        """

    def mark_good(self, branch: str, tip: str) -> None:
        """Records that this process moved the branch to ``tip``, so that ``tip`` needs no check."""

    def close(self) -> None: ...
