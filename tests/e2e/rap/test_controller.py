"""The server and a controller as processes: requests, reports, cancellations, and whoever is killed in between."""

import json
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.harness import Site
from tests.e2e.rap.controlled import ControllerProcess, controlled, eventually, jobs, outcome, problem
from tests.samples import only_whole


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.stop()
    made.check_record()


@pytest.fixture(scope="module")
def controller(site: Site) -> Iterator[ControllerProcess]:
    made = controlled(site)
    made.start()
    site.start()
    yield made
    if made.process is not None:
        assert made.end() == 0
    assert "Traceback" not in made.log.read_text()


def ask(site: Site, *actions: str) -> str:
    return site.ask(*actions, workspace="hard")


def test_people_see_no_difference_from_a_runner_that_polls(site: Site, controller: ControllerProcess) -> None:
    asked = ask(site, "second", "after")
    eventually(lambda: outcome(site, asked) == "failed", 60)
    assert jobs(site, asked) == {
        "first": "succeeded",
        "second": "succeeded",
        "breaks": "nonzero_exit",
        "after": "dependency_failed",
    }
    log = site.git("log", "--format=%an %(trailers:key=Event,key=Via,valueonly,separator=%x20)", "backends/tpp")
    assert "tpp jobs.updated rap" in log.splitlines()
    with site.client("alice") as alice:
        item = alice.get("/api/v2/backends/tpp/").json()
        assert (item["is_online"], item["controller"]["problem"]) == (True, None)
        assert alice.get("/status/tpp/").text == "tpp: online\n"


@only_whole
def test_what_a_study_has_wrong_ends_the_request_with_the_controllers_words(
    site: Site, controller: ControllerProcess
) -> None:
    study = controller.site.folder / "studies" / "hard"
    moved = study.rename(study.with_name("away"))  # the server has read it already
    with site.client("alice") as alice:
        body = {"requested_actions": ["first"], "backend": "tpp"}
        assert alice.post("/api/v2/workspaces/hard/job-requests/", json=body).status_code >= 400
    moved.rename(study)
    controller.end()
    asked = ask(site, "first")
    moved = study.rename(study.with_name("away"))
    controller.start()
    eventually(lambda: outcome(site, asked) == "failed", 60)
    assert jobs(site, asked) == {"__error__": "job_error"}
    with site.client("alice") as alice:
        (job,) = alice.get(f"/api/v2/job-requests/{asked}/").json()["jobs"]
    assert job["status_message"].startswith("The controller refused it: Error creating jobs: ")
    assert "does not exist" in job["status_message"]
    moved.rename(study)
    assert "carol cannot" in site.command("rap", "retry", asked, "--as", "carol").stderr
    site.run("rap", "retry", asked)
    eventually(lambda: outcome(site, asked) == "succeeded", 60)


def test_a_cancellation_reaches_jobs_that_run_and_those_that_wait(site: Site, controller: ControllerProcess) -> None:
    asked = ask(site, "slow", "second")
    eventually(lambda: jobs(site, asked).get("slow") == "executing", 60)
    site.run("cancel", asked, "slow")
    eventually(lambda: outcome(site, asked) == "cancelled", 60)
    assert jobs(site, asked)["second"] == "succeeded"
    assert jobs(site, asked)["slow"] == "cancelled_by_user"


@only_whole
def test_what_is_asked_and_cancelled_while_the_controller_is_down_reaches_it_once(
    site: Site, controller: ControllerProcess
) -> None:
    running = ask(site, "slow")
    eventually(lambda: jobs(site, running).get("slow") == "executing", 60)
    controller.end(signal.SIGKILL)
    eventually(lambda: "can't be reached" in problem(site))
    never, whole = ask(site, "first"), ask(site, "second")
    site.run("cancel", running)
    site.run("cancel", never)
    with site.client("alice") as alice:
        assert alice.get("/health-check/").status_code == 200  # it holds nobody up
        assert alice.get("/health-check/").json()["controllers"][0].startswith("tpp: The controller does not work")
        assert "has a problem with the controller of this backend" in alice.get("/status/").text
    with site.client("root") as root:
        assert 'jobserver_controller_problem{backend="tpp"} 1' in root.get("/metrics").text
    controller.start()
    eventually(
        lambda: [outcome(site, one) for one in (running, never, whole)] == ["cancelled", "cancelled", "succeeded"], 90
    )
    assert jobs(site, never) == {"first": "cancelled_by_user"}
    assert not (controller.root / "tpp" / "raps" / f"{never}.json").exists()
    (row,) = json.loads(site.run("rap", "status", "--json"))
    assert (row["backend"], row["problem"], row["active_requests"]) == ("tpp", None, 0)


def test_a_server_killed_between_the_record_and_the_call_creates_each_request_once(
    site: Site, controller: ControllerProcess
) -> None:
    asked = []
    for _ in range(2):
        asked.append(ask(site, "first"))
        site.kill()  # some requests were created at the controller, some were not
        asked.append(site.run("request", "hard", "second", "--backend", "tpp"))
        site.start()
    eventually(lambda: all(outcome(site, one) == "succeeded" for one in asked), 90)
    created = [line for line in controller.log.read_text().splitlines() if "job request" in line]
    for one in asked:
        assert sum(f"job request {one}:" in line for line in created) == 1


def test_a_token_that_the_controller_does_not_know_is_said_and_nothing_is_lost(
    site: Site, controller: ControllerProcess
) -> None:
    site.stop()
    right = site.env["RAP_TOKENS"]
    site.env["RAP_TOKENS"] = "tpp=wrong"
    site.start()
    asked = ask(site, "first")
    eventually(lambda: "refuses the token (401)" in problem(site))
    assert "refuses the token (401)" in site.command("rap", "status").stdout
    site.stop()
    site.env["RAP_TOKENS"] = right
    site.start()
    eventually(lambda: outcome(site, asked) == "succeeded", 60)
