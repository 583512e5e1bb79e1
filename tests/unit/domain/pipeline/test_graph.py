"""Which actions a request runs: the page that shows it before, and the runner, agree."""

import random
from datetime import UTC, datetime

from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.pipeline.graph import RUN_ALL, select
from jobserver.domain.pipeline.reader import Action, Pipeline
from jobserver.runner import plan
from jobserver.runner.model import RunnerRequest

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NEEDS: dict[str, tuple[str, ...]] = {"a": (), "b": ("a",), "c": ("b",), "d": ("a", "c"), "e": ()}


def preview(*requested: str, succeeded: str = "", is_forced: bool = False) -> tuple[str, str, str]:
    pipeline = {name: PipelineAction(needs=needs, run=f"x {name}") for name, needs in NEEDS.items()}
    found = select(requested, pipeline, set(succeeded), is_forced)
    return "".join(found.chosen), "".join(found.needed), "".join(found.kept)


def test_requested_actions_run_with_those_they_need() -> None:
    assert preview("c") == ("c", "ab", "")
    assert preview("c", succeeded="ab") == ("c", "", "ab")
    assert preview("c", succeeded="abc") == ("c", "", "ab")
    assert preview("c", succeeded="abc", is_forced=True) == ("c", "ab", "")


def test_run_all_leaves_out_what_has_succeeded() -> None:
    assert preview(RUN_ALL, succeeded="ab") == ("cde", "", "ab")
    assert preview(RUN_ALL, succeeded="abcde") == ("", "", "abcde")


def test_an_action_that_only_a_kept_one_needs_does_not_run() -> None:
    assert preview("d", succeeded="c") == ("d", "a", "bc")


def test_the_preview_shows_what_the_runner_would_run() -> None:
    chance = random.Random(4)
    pipeline = Pipeline({name: Action(needs, f"x {name}") for name, needs in NEEDS.items()})
    for _ in range(500):
        requested = tuple(chance.sample(sorted(NEEDS), chance.randint(1, 4)))
        succeeded = "".join(chance.sample("abcde", chance.randint(0, 5)))
        is_forced = chance.random() < 0.3
        request = RunnerRequest("x", "tpp", "w", "r", "main", "0" * 40, requested, (), is_forced)
        jobs = {job.action for job in plan.expand(request, pipeline, set(succeeded), NOW).jobs if not job.finished}
        chosen, needed, _ = preview(*requested, succeeded=succeeded, is_forced=is_forced)
        assert set(chosen + needed) == jobs, (requested, succeeded, is_forced)
