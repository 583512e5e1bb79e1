"""What the runner decides: which jobs a request means, which may start, which must end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobserver.domain.job_requests.jobs import cut_message
from jobserver.domain.pipeline.reader import Pipeline, parse
from jobserver.errors import Error
from jobserver.runner import plan
from jobserver.runner.model import RunnerJob, RunnerRequest
from jobserver.store.yaml.nodes import read_nodes

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
STUDY = b"""\
version: "4.0"
actions:
  a: {run: python a.py}
  b: {needs: [a], run: python b.py}
  c: {needs: [b], run: python c.py}
  d: {run: python d.py}
"""


@pytest.fixture
def pipeline() -> Pipeline:
    return parse(read_nodes(STUDY, "project.yaml", aliases=True), "project.yaml")


def request(*actions: str, cancelled: tuple[str, ...] = (), force: bool = False) -> RunnerRequest:
    return RunnerRequest("i" * 16, "tpp", "w", "study", "main", "0" * 40, actions, cancelled, force)


def actions(planned: plan.Plan) -> list[str]:
    return [job.action for job in planned.jobs]


@pytest.mark.parametrize(
    ("asked", "succeeded", "force", "expected"),
    [
        (["c"], [], False, ["a", "b", "c"]),
        (["c"], ["a", "b"], False, ["c"]),
        (["c"], ["a", "b", "c"], False, ["c"]),  # asked for by name: it runs
        (["c"], ["b"], False, ["c"]),  # what only b needed has not to run
        (["c"], ["a", "b"], True, ["a", "b", "c"]),
        (["run_all"], [], False, ["a", "b", "c", "d"]),
        (["run_all"], ["a", "d"], False, ["b", "c"]),
        (["d", "a"], [], False, ["d", "a"]),
    ],
)
def test_which_jobs_a_request_means(
    pipeline: Pipeline, asked: list[str], succeeded: list[str], force: bool, expected: list[str]
) -> None:
    planned = plan.expand(request(*asked, force=force), pipeline, set(succeeded), NOW)
    assert sorted(actions(planned)) == sorted(expected)
    order = actions(planned)
    for job in planned.jobs:  # each after what it needs
        assert all(
            order.index(need) < order.index(job.action) for need in planned.actions[job.action].needs if need in order
        )


def test_nothing_to_do_is_said_by_one_job_that_succeeded(pipeline: Pipeline) -> None:
    (job,) = plan.expand(request("run_all"), pipeline, {"a", "b", "c", "d"}, NOW).jobs
    assert (job.status, job.action) == ("succeeded", "run_all")
    assert "Nothing to do" in job.status_message


def test_an_action_that_does_not_exist(pipeline: Pipeline) -> None:
    with pytest.raises(Error, match="nothere"):
        plan.expand(request("nothere"), pipeline, (), NOW)


def test_ids_are_the_ones_of_the_2021_runner() -> None:
    # job-runner: base32(sha1(request + newline + action)[:10]), lower case
    import base64
    import hashlib

    digest = hashlib.sha1(b"abcdefgh23456777\nrun_model", usedforsecurity=False).digest()
    assert plan.job_id("abcdefgh23456777", "run_model") == base64.b32encode(digest[:10]).decode().lower()
    assert len(plan.job_id("x", "y")) == 16


def test_settling_follows_needs_and_cancels(pipeline: Pipeline) -> None:
    wanted = request("run_all")
    planned = plan.expand(wanted, pipeline, (), NOW)
    needs = {name: action.needs for name, action in planned.actions.items()}

    def codes(jobs: Any) -> dict[str, str]:
        return {job.action: job.status_code for job in jobs}

    jobs = plan.settle(planned.jobs, needs, wanted, NOW)
    assert codes(jobs) == {
        "a": "waiting_on_workers",
        "b": "waiting_on_dependencies",
        "c": "waiting_on_dependencies",
        "d": "waiting_on_workers",
    }
    assert {job.action for job in plan.ready(jobs)} == {"a", "d"}

    failed = tuple(job.moved("failed", "nonzero_exit", "", NOW) if job.action == "a" else job for job in jobs)
    after = plan.settle(failed, needs, wanted, NOW)
    assert codes(after)["b"] == codes(after)["c"] == "dependency_failed"
    assert next(job for job in after if job.action == "b").status_message == "Not run because a failed"

    running = tuple(job.moved("running", "executing", "", NOW) if job.action == "d" else job for job in jobs)
    cancelling = request("run_all", cancelled=("d", "a"))
    after = plan.settle(running, needs, cancelling, NOW)
    assert codes(after)["a"] == "cancelled_by_user"
    assert [job.action for job in plan.to_kill(after, cancelling)] == ["d"]
    assert not plan.finished(after)


def test_cancelled_before_anybody_looked() -> None:
    wanted = request("a", "b", cancelled=("a", "b"))
    assert plan.cancels_all(wanted)
    assert {job.status_code for job in plan.cancelled_at_once(wanted, NOW).jobs} == {"cancelled_by_user"}
    assert not plan.cancels_all(request("a", "b", cancelled=("a",)))


def test_after_a_reboot_what_ran_runs_again() -> None:
    ran = plan.new_job(request("a"), "a", NOW).moved("running", "executing", "", NOW)
    (again,) = plan.rebooted((ran,), NOW)
    assert (again.status, again.status_code) == ("pending", "waiting_on_reboot")
    assert plan.ready((again,)) == (again,)
    assert again.updated_at > ran.updated_at


def test_news_is_newer_whatever_the_clock_does() -> None:
    job = plan.new_job(request("a"), "a", NOW)
    moved = job.moved("running", "executing", "", NOW - timedelta(days=1))
    assert moved.updated_at > job.updated_at


def test_jobs_and_requests_survive_their_own_form() -> None:
    job = plan.new_job(request("a"), "a", NOW, "python a.py").moved("running", "executing", "x", NOW)
    assert RunnerJob.from_payload(job.as_payload("i" * 16)) == job
    wanted = request("a", cancelled=("a",), force=True)
    assert RunnerRequest.from_item(wanted.as_item()) == wanted


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"identifier": "../../etc"}, "identifier"),
        ({"workspace": {"name": "../x", "repo": "s", "branch": "b"}}, "workspace"),
        ({"sha": "main"}, "sha"),
        ({"requested_actions": []}, "a field is missing"),
        ({"requested_actions": [1]}, "a field is missing"),
        ({"cancelled_actions": "a"}, "cancelled_actions"),
    ],
)
def test_requests_that_a_runner_does_not_touch(change: dict[str, Any], words: str) -> None:
    with pytest.raises(Error, match=words):
        RunnerRequest.from_item({**request("a").as_item(), **change})


def test_a_long_message_is_cut_between_characters() -> None:
    message = cut_message("é" * 8192, "the runner")
    assert len(message.encode()) <= 8192
    assert message.endswith("[cut by the runner at 8 KiB]")
    assert cut_message("short", "the runner") == "short"


class Counted(tuple[str, ...]):
    looks = 0

    def __contains__(self, action: object) -> bool:
        Counted.looks += 1
        return super().__contains__(action)


def test_thousands_of_jobs_are_not_looked_up_in_thousands_of_cancelled_actions() -> None:
    names = Counted(f"a{number}" for number in range(3000))
    cancelled = request("run_all", cancelled=names)
    jobs = [plan.new_job(cancelled, name, NOW) for name in names]
    assert {job.status_code for job in plan.settle(jobs, {}, cancelled, NOW)} == {"cancelled_by_user"}
    running = [job.moved("running", "executing", "", NOW) for job in jobs]
    assert len(plan.to_kill(running, cancelled)) == 3000
    assert Counted.looks == 0
