"""What a request would run now, as a runner decides it: before anybody presses the button. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.pipeline.graph import RUN_ALL, closure


@dataclass(frozen=True, slots=True)
class Preview:
    """``chosen`` was asked for, ``needed`` runs because of it, ``kept`` has succeeded already and does not run."""

    chosen: Sequence[str]
    needed: Sequence[str]
    kept: Sequence[str]

    @property
    def runs(self) -> Sequence[str]:
        return (*self.chosen, *self.needed)


def would_run(
    asked_for: Collection[str], pipeline: Mapping[str, PipelineAction], succeeded: Collection[str], is_forced: bool
) -> Preview:
    """What is asked for by name runs; what that needs, and what run_all stands for, unless it is in ``succeeded``
    (the backend may have lost its outputs since: then it runs, too) or ``is_forced``."""
    requested, done = set(asked_for), set(succeeded)
    order = closure([action for action in asked_for if action in pipeline or action == RUN_ALL], pipeline)
    runs = {action for action in order if action in requested or action not in done or is_forced}
    reached = {action for action in requested if action != RUN_ALL}
    reached.update(pipeline if RUN_ALL in requested else ())
    asked = set(reached)
    for action in reversed(order):  # a need runs for what needs it
        if action in reached and action in runs:
            reached.update(pipeline[action].needs)
    runs &= reached
    return Preview(
        [action for action in order if action in runs and action in asked],
        [action for action in order if action in runs and action not in asked],
        [action for action in order if action not in runs],
    )
