"""Every call with its outcome, and the judge: the git history is the order in which things happened, or it is wrong.

What was answered "ok" is there exactly once; what was refused is nowhere; of what nobody knows, at most one; and
each read is a state that was true at some moment between its call and its answer.
"""

import subprocess
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from pathlib import Path
from time import monotonic


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass
class Call:
    """``marker``: what its commit, and no other, has (an added file's name, a trailer's value, or the commit's id).

    ``commit``: what the answer named. ``seen``: of a read, the active job requests; ``request``: of an ask, its id;
    ``finishes``: of a report, the id that it finishes; ``fresh``: how new a read's state is, as its answer says; 0 is
    as new as the read.
    """

    kind: str
    began: float = field(default_factory=monotonic)
    ended: float = 0.0
    outcome: Outcome = Outcome.UNKNOWN
    marker: str = ""
    commit: str = ""
    request: str = ""
    finishes: str = ""
    seen: frozenset[str] = frozenset()
    fresh: float = 0.0


class Record:
    """Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.calls: list[Call] = []

    def begin(self, kind: str) -> Call:
        call = Call(kind)
        with self._guard:
            self.calls.append(call)
        return call


def markers(repository: Path) -> dict[str, list[str]]:
    """marker -> the commits that have it, over all branches."""
    said = subprocess.run(
        ["git", "-C", repository, "log", "--all", "--no-renames", "--name-status",
         "--format=%x01%H%x02%(trailers:key=Idempotency-Key,valueonly,separator=%x03)%x02"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found: dict[str, list[str]] = {}
    for part in said.split("\x01")[1:]:
        commit, trailers, files = part.split("\x02")
        names = [line.rpartition("/")[2] for line in files.split("\n") if line.startswith("A\tactive/")]
        for marker in {commit, *filter(None, trailers.split("\x03")), *names}:
            found.setdefault(marker, []).append(commit)
    return found


def judge(calls: Iterable[Call], found: dict[str, list[str]]) -> list[str]:
    """Everything that must not be, in words."""
    calls = list(calls)
    return [*_writes(calls, found), *_reads(calls)]


def _writes(calls: list[Call], found: dict[str, list[str]]) -> list[str]:
    wrong = []
    for call in calls:
        if not call.marker:
            continue
        times = found.get(call.marker, [])
        name = f"{call.kind} {call.marker}"
        if call.outcome is Outcome.OK and len(times) != 1:
            wrong.append(f"{name} was acknowledged and is there {len(times)} times")
        elif call.outcome is Outcome.OK and call.commit and call.commit != times[0]:
            wrong.append(f"{name} was acknowledged as {call.commit} and is {times[0]}")
        elif call.outcome is Outcome.REFUSED and times:
            wrong.append(f"{name} was refused and is there as {times[0]}")
        elif len(times) > 1:
            wrong.append(f"{name} is there {len(times)} times")
    return wrong


def _reads(calls: list[Call]) -> list[str]:
    asks = [call for call in calls if call.kind == "ask" and call.request]
    ends: dict[str, float] = {}  # when somebody first began to finish it
    over: dict[str, float] = {}  # when it was finished for sure
    for call in calls:
        if call.finishes:
            ends[call.finishes] = min(call.began, ends.get(call.finishes, call.began))
            if call.outcome is Outcome.OK:
                over[call.finishes] = min(call.ended, over.get(call.finishes, call.ended))
    wrong = []
    by_id = {ask.request: ask for ask in asks}
    known = sorted((ask for ask in asks if ask.outcome is Outcome.OK), key=lambda ask: ask.ended, reverse=True)
    expected: dict[str, float] = {}  # what was acknowledged before a read's state -> when somebody began to finish it
    reads = [call for call in calls if call.kind == "read" and call.outcome is Outcome.OK]
    for fresh, read in sorted(((min(one.fresh or one.began, one.began), one) for one in reads), key=lambda one: one[0]):
        while known and known[-1].ended < fresh:
            request = known.pop().request
            expected[request] = ends.get(request, inf)
        over_now = [request for request, end in expected.items() if end <= fresh]  # later reads end later still
        for request in over_now:
            del expected[request]
        for request, end in expected.items():
            if end > read.ended and request not in read.seen:
                wrong.append(f"a read after {request} was acknowledged does not have it")
        for request in read.seen & by_id.keys():
            if by_id[request].began > read.ended:
                wrong.append(f"a read before {request} was asked for has it")
            if over.get(request, fresh) < fresh:
                wrong.append(f"a read after {request} was finished still has it")
    return wrong


def summary(calls: Iterable[Call]) -> str:
    counted = Counter((call.kind, call.outcome) for call in calls)
    kinds = sorted({kind for kind, _ in counted})
    lines = ["| calls | ok | refused | unknown |", "| --- | --- | --- | --- |"]
    lines += [f"| {kind} | " + " | ".join(str(counted[kind, outcome]) for outcome in Outcome) + " |" for kind in kinds]
    return "\n".join(lines)
