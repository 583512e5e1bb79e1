"""Every call with its outcome, and the first half of the judge: each read, when it ends, against all calls so far.

A read is a state that was true at some moment between its call and its answer (or since the moment that its answer
says it is as of). What a request has been through only grows, so what is kept is a few moments for each request: memory
does not grow with reads. The other half, `judge`, is the git history.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from math import inf
from typing import NamedTuple


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Step(IntEnum):
    """What a request has been through, in this order and never back."""

    NONE = 0
    ASKED = 1
    RUNNING = 2
    SUCCEEDED = 3


class Wrong(StrEnum):
    LOST = "lost"
    DOUBLED = "doubled"
    PHANTOM = "phantom"
    MISNAMED = "misnamed"
    DISORDER = "out of order"
    STALE = "stale read"
    EARLY = "early read"
    BUG = "bug"


class Violation(NamedTuple):
    kind: Wrong
    words: str


@dataclass(slots=True)
class Call:
    """Times are monotonic seconds. ``marker``: what its commit, and no other, has (an added file's name, a trailer's
    value, or the commit's id). ``commit``: what the answer named. ``step`` of ``request``: what a write brings about.
    """

    kind: str
    began: float
    marker: str = ""
    request: str = ""
    step: Step = Step.NONE
    ended: float = inf
    outcome: Outcome = Outcome.UNKNOWN
    commit: str = ""


@dataclass(slots=True)
class _Life:
    """By step: when somebody first began to bring it about, and when that was first acknowledged."""

    began: list[float] = field(default_factory=lambda: [-inf, inf, inf, inf])
    acked: list[float] = field(default_factory=lambda: [-inf, inf, inf, inf])


class Record:
    """Thread-safe. A call is known before it is made, and has ended only when it is known to have: so whatever ended
    before a moment is known at that moment.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.counted: Counter[tuple[str, Outcome]] = Counter()
        self.reads = 0  # that were checked
        self.writes: list[Call] = []
        self.wrong: list[Violation] = []
        self.empty = 0  # reads that brought nothing
        self._lives: dict[str, _Life] = {}
        self._open: dict[str, float] = {}  # acknowledged, and nobody began to finish it -> when
        self._sighted: dict[str, float] = {}  # seen before whoever asked for it knew its id -> when first

    @property
    def checked(self) -> int:
        """Calls that are judged: all but the reads that brought nothing."""
        return self.counted.total() - self.empty

    def begin(self, kind: str, marker: str = "", request: str = "", step: Step = Step.NONE, now: float = -1) -> Call:
        """``now``: for tests."""
        with self._guard:
            call = Call(kind, time.monotonic() if now < 0 else now, marker, request, step)
            if request:
                life = self._lives.setdefault(request, _Life())
                life.began[step] = min(life.began[step], call.began)
                if step is Step.SUCCEEDED:
                    self._open.pop(request, None)
            return call

    def end(self, call: Call, outcome: Outcome, request: str = "", commit: str = "", now: float = -1) -> None:
        """Of a write. ``request``: what an ask was told that its request is."""
        with self._guard:
            call.ended = time.monotonic() if now < 0 else now
            call.outcome, call.commit, call.marker = outcome, commit, call.marker or commit
            self.counted[call.kind, outcome] += 1
            if call.marker:
                self.writes.append(call)
            if request:
                call.request, call.step = request, Step.ASKED
                life = self._lives.setdefault(request, _Life())
                life.began[Step.ASKED] = call.began
                self._open[request] = call.ended
                if self._sighted.pop(request, inf) < call.began:
                    self._found(Wrong.EARLY, f"a read before {request} was asked for has it")
            if call.request and outcome is Outcome.OK:
                acked = self._lives[call.request].acked
                acked[call.step] = min(acked[call.step], call.ended)

    def failed(self, call: Call) -> None:
        """A read that brought nothing that could be checked."""
        with self._guard:
            self.counted[call.kind, Outcome.UNKNOWN] += 1
            self.empty += 1

    def listed(self, call: Call, seen: frozenset[str], fresh: float = inf, now: float = -1) -> None:
        """The active requests, as a read found them. ``fresh``: when its state was true, as its answer says."""
        with self._guard:
            fresh = self._read(call, fresh, now)
            for request in self._open.keys() - seen:
                if self._open[request] < fresh:
                    self._found(Wrong.STALE, f"a read after {request} was acknowledged does not have it")
            for request in seen:
                life = self._lives.get(request)
                if life is None:
                    self._sighted.setdefault(request, call.ended)
                elif life.acked[Step.SUCCEEDED] < fresh:
                    self._found(Wrong.STALE, f"a read after {request} was finished still has it")

    def looked(self, call: Call, request: str, step: Step, fresh: float = inf, now: float = -1) -> None:
        """One request, as a read found it; `Step.NONE`: it was not there."""
        with self._guard:
            fresh = self._read(call, fresh, now)
            life = self._lives.get(request) or _Life()
            least = max((one for one in Step if life.acked[one] < fresh), default=Step.NONE)
            most = max(one for one in Step if life.began[one] <= call.ended)
            if step < least:
                self._found(Wrong.STALE, f"a read after {request} was {least.name} has it as {step.name}")
            if step > most:
                self._found(Wrong.EARLY, f"a read before {request} was more than {most.name} has it as {step.name}")

    def bug(self, words: str) -> None:
        with self._guard:
            self._found(Wrong.BUG, words)

    def _read(self, call: Call, fresh: float, now: float) -> float:
        call.ended = time.monotonic() if now < 0 else now
        self.counted[call.kind, Outcome.OK] += 1
        self.reads += 1
        return min(fresh, call.began)

    def _found(self, kind: Wrong, words: str) -> None:
        self.wrong.append(Violation(kind, words))


def calls_table(counted: Counter[tuple[str, Outcome]]) -> str:
    kinds = sorted({kind for kind, _ in counted})
    lines = ["| calls | ok | refused | unknown |", "| --- | --- | --- | --- |"]
    lines += [f"| {kind} | " + " | ".join(f"{counted[kind, one]:,}" for one in Outcome) + " |" for kind in kinds]
    totals = [sum(times for (_, outcome), times in counted.items() if outcome is one) for one in Outcome]
    return "\n".join([*lines, "| all | " + " | ".join(f"{total:,}" for total in totals) + " |"])


def wrong_table(wrong: Iterable[Violation]) -> str:
    found = Counter(one.kind for one in wrong)
    heads, rule, row = (
        " | ".join(cells) for cells in ([*Wrong], ["---"] * len(Wrong), [str(found[one]) for one in Wrong])
    )
    return f"| {heads} |\n| {rule} |\n| {row} |"
