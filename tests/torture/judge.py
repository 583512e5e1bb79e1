"""The second half of the judge: the git history is the order in which things happened, or it is wrong.

What was answered "ok" is there exactly once; what was refused is nowhere; of what nobody knows, at most one; nothing is
there that nobody asked for; and what was answered before another call began stands before it.
"""

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from tests.torture.history import Call, Outcome, Violation, Wrong

_ACTIVE = "A\tactive/"


@dataclass
class History:
    """``found``: marker -> the commits that have it, over all branches; ``places``: commit -> (branch, how far from its
    tip); ``ours``: the markers that only calls of the torture can have made.
    """

    found: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    ours: set[str] = field(default_factory=set)


def read(repository: Path) -> History:
    history = History()
    said = subprocess.run(
        ["git", "-C", repository, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for branch in said.split():
        for place, (commit, keys, files) in enumerate(_commits(repository, branch)):
            history.places[commit] = branch, place
            files = [path for path in files if path[-1] != "pipeline.yaml"]
            names = {path[-2] if path[-1] == "request.yaml" else path[-1] for path in files}
            jobs = {name for name in names if name.endswith(".yaml")}
            history.ours |= {*keys, *jobs}
            for marker in {commit, *keys, *names}:
                history.found.setdefault(marker, []).append(commit)
    return history


def _commits(repository: Path, branch: str) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """(commit, its idempotency keys, the paths of files that it added below active/), newest first, streamed."""
    command = [
        "git", "-C", repository, "log", "--first-parent", "--no-renames", "--name-status",
        "--format=%x01%H%x02%(trailers:key=Idempotency-Key,valueonly,separator=%x03)", branch,
    ]  # fmt: skip
    commit, keys, files = "", list[str](), list[list[str]]()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            line = line.rstrip("\n")
            if line.startswith("\x01"):
                if commit:
                    yield commit, keys, files
                commit, _, trailers = line[1:].partition("\x02")
                keys, files = [one for one in trailers.split("\x03") if one], []
            elif line.startswith(_ACTIVE):
                files.append(line[len(_ACTIVE) :].split("/"))
    if commit:
        yield commit, keys, files
    assert process.returncode == 0


def judge(writes: Sequence[Call], history: History) -> list[Violation]:
    """Everything that must not be."""
    return [*_each(writes, history), *_unasked(writes, history), *_order(writes, history)]


def _each(writes: Iterable[Call], history: History) -> Iterator[Violation]:
    for call in writes:
        times = history.found.get(call.marker, [])
        name = f"{call.kind} {call.marker}"
        if len(times) > 1:
            yield Violation(Wrong.DOUBLED, f"{name} ({call.outcome}) is there {len(times)} times")
        elif call.outcome is Outcome.OK and not times:
            yield Violation(Wrong.LOST, f"{name} was acknowledged and is not there")
        elif call.outcome is Outcome.OK and call.commit and call.commit != times[0]:
            yield Violation(Wrong.MISNAMED, f"{name} was acknowledged as {call.commit} and is {times[0]}")
        elif call.outcome is Outcome.REFUSED and times:
            yield Violation(Wrong.PHANTOM, f"{name} was refused and is there as {times[0]}")


def _unasked(writes: Iterable[Call], history: History) -> Iterator[Violation]:
    for marker in sorted(history.ours - {call.marker for call in writes}):
        yield Violation(Wrong.PHANTOM, f"{marker} is there, and nobody asked for it")


def _order(writes: Iterable[Call], history: History) -> Iterator[Violation]:
    """On each branch, no commit stands before one whose call was answered before its own began."""
    placed = []
    for call in writes:
        times = history.found.get(call.marker, [])
        if call.outcome is Outcome.OK and len(times) == 1 and times[0] in history.places:
            placed.append((*history.places[times[0]], call))
    newer: dict[str, tuple[float, Call | None]] = {}  # branch -> of those that stand after, the first to be answered
    for branch, _, call in sorted(placed, key=lambda one: one[:2]):  # newest first
        ended, other = newer.get(branch, (inf, None))
        if ended < call.began and other is not None:
            yield Violation(Wrong.DISORDER, f"{call.kind} {call.marker} stands before {other.kind} {other.marker}")
        if call.ended < ended:
            newer[branch] = call.ended, call
