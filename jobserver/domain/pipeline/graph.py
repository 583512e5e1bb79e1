"""The graph of a pipeline's actions: what an action needs, which actions a request runs, and which need each other.

`graphlib` is not used: it has no depth-first order, which is the order that people read in project.yaml, and finds one
cycle at a time, so that finding thousands of them in a large file would take minutes.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

RUN_ALL = "run_all"
"""Stands for every action of a pipeline, and is not an action itself."""


class HasNeeds(Protocol):
    """An action: `reader.Action`, or `PipelineAction` of a stored request."""

    @property
    def needs(self) -> Sequence[str]: ...


class HasStatus(Protocol):
    """A job."""

    @property
    def status(self) -> str: ...


def closure(actions: Iterable[str], pipeline: Mapping[str, HasNeeds]) -> list[str]:
    """The actions and all that they need, each once and after what it needs. The same input gives the same order.

    ``run_all`` stands for every action and is not in the answer. Unknown actions need nothing.
    """
    done: dict[str, None] = {}
    waiting = list(reversed(list(actions)))
    opened: set[str] = set()
    while waiting:
        action = waiting[-1]
        if action in opened:
            done[waiting.pop()] = None
        else:
            opened.add(action)
            needs: Iterable[str] = pipeline[action].needs if action in pipeline else ()
            if action == RUN_ALL:
                needs = pipeline
            waiting += reversed([need for need in needs if need not in opened])
    return [action for action in done if action != RUN_ALL]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which actions of a pipeline run, each after what it needs.

    ``chosen`` were requested, ``needed`` run because others need them, ``kept`` have succeeded and do not run again.
    """

    runs: Sequence[str]
    chosen: Sequence[str]
    needed: Sequence[str]
    kept: Sequence[str]


def select(
    requested: Collection[str], pipeline: Mapping[str, HasNeeds], succeeded: Collection[str], is_forced: bool
) -> Selection:
    """Which actions a request runs.

    Actions that are requested by name always run. What they need, and what ``run_all`` stands for, runs unless it is
    among ``succeeded``; with ``is_forced`` it always runs. Unknown actions are left out.
    """
    order = closure([action for action in requested if action in pipeline or action == RUN_ALL], pipeline)
    by_name, done = set(requested), set(succeeded)
    wanted = {action for action in order if action in by_name or action not in done or is_forced}
    chosen = set(pipeline) if RUN_ALL in by_name else by_name
    reached = set(chosen)
    for action in reversed(order):
        # What only a kept action needs does not run either.
        if action in reached and action in wanted:
            reached.update(pipeline[action].needs)
    runs = [action for action in order if action in wanted and action in reached]
    return Selection(
        runs,
        [action for action in runs if action in chosen],
        [action for action in runs if action not in chosen],
        [action for action in order if action not in wanted or action not in reached],
    )


def preview(
    requested: Collection[str], pipeline: Mapping[str, HasNeeds], latest: Mapping[str, HasStatus], is_forced: bool
) -> Selection:
    """As `select`. ``latest``: action -> its newest job on the backend."""
    return select(requested, pipeline, [name for name, job in latest.items() if job.status == "succeeded"], is_forced)


def cycles(needs: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Cycles that share no action: at least one for each group of actions that need each other."""
    finished = set[str]()
    for root in needs:
        depth: dict[str, int] = {}
        path: list[tuple[str, Iterator[str]]] = []
        step: str | None = root
        while step is not None or path:
            if step is not None and step in depth:
                # The rest of the path is the cycle. No action of it is followed again, so that none is named twice.
                cycle = tuple(name for name, _ in path[depth[step] :])
                del path[depth[step] :]
                for name in cycle:
                    finished.add(name)
                    del depth[name]
                yield cycle
            elif step is not None and step in needs and step not in finished:
                depth[step] = len(path)
                path.append((step, iter(needs[step])))
            step = None
            if path:
                name, rest = path[-1]
                step = next(rest, None)
                if step is None:
                    path.pop()
                    del depth[name]
                    finished.add(name)
