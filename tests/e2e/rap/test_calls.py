"""The calls of `jobserver controller`: each answer of the facts, and whatever else its own description allows."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from tests import samples
from tests.e2e.harness import Site
from tests.e2e.rap.controlled import STUDY, TOKEN, ControllerProcess, eventually


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControllerProcess]:
    site = Site(tmp_path_factory.mktemp("site"))
    study = site.study("hard", {"project.yaml": STUDY, "first.py": "open('out.txt', 'w').write('done')\n"})
    made = ControllerProcess(site, "tpp", "emis")
    made.sha = (study / ".git" / "refs" / "heads" / "main").read_text().strip()
    made.start()
    yield made
    assert made.end() == 0
    assert "Traceback" not in made.log.read_text()


def body(controller: ControllerProcess, number: int, *actions: str, **more: Any) -> dict[str, Any]:
    return {
        "rap_id": f"{number:016}",
        "backend": "tpp",
        "workspace": f"workspace-{number}",
        "repo_url": "hard",
        "branch": "main",
        "commit": controller.sha,
        "database_name": "default",
        "requested_actions": list(actions) or ["first"],
        "codelists_ok": True,
        "force_run_dependencies": False,
        "created_by": "alice",
        "project": "(none)",
        "orgs": [],
        "analysis_scope": {},
    } | more


def said(answer: httpx.Response) -> tuple[int, Any]:
    data = answer.json()
    return answer.status_code, data.get("result", data.get("error"))


def jobs(controller: ControllerProcess, number: int) -> dict[str, str]:
    data = controller.call("rap/status/", {"rap_ids": [f"{number:016}"]}).json()
    return {job["action"]: job["status"] for job in data["jobs"]}


def test_a_request_is_created_once_and_runs(controller: ControllerProcess) -> None:
    sent = body(controller, 1, "second")
    answer = controller.call("rap/create/", sent)
    assert (said(answer), answer.json()["count"]) == ((201, "Success"), 2)
    assert jobs(controller, 1).keys() == {"first", "second"}  # at once
    answer = controller.call("rap/create/", sent)
    assert (said(answer), answer.json()["count"]) == ((200, "No change"), 2)
    other = controller.call("rap/create/", sent | {"workspace": "another"})
    assert said(other) == (400, "Inconsistent request data")
    eventually(lambda: set(jobs(controller, 1).values()) == {"succeeded"})
    done = controller.call("rap/cancel/", {"rap_id": sent["rap_id"], "actions": ["first"]})
    assert said(done) == (200, "Success")  # and nothing changes
    assert set(jobs(controller, 1).values()) == {"succeeded"}
    (backend, _) = controller.call("backend/status/").json()["backends"]
    assert (backend["slug"], backend["paused"]["status"]) == ("emis", "off")
    assert backend["last_seen"].endswith("Z")


def test_what_has_succeeded_before_is_nothing_to_do(controller: ControllerProcess) -> None:
    study = {"workspace": "again"}
    controller.call("rap/create/", body(controller, 2, "run_all", **study) | {"requested_actions": ["first"]})
    eventually(lambda: jobs(controller, 2) == {"first": "succeeded"})
    sent = body(controller, 3, "run_all", **study)
    assert said(controller.call("rap/create/", sent))[0] == 201  # others had not run


@pytest.mark.parametrize(
    ("more", "error", "details"),
    [
        ({"commit": "0" * 40}, "Error creating jobs", "commit " + "0" * 40),
        ({"requested_actions": ["nothing"]}, "Error creating jobs", "nothing"),
        ({"backend": "other"}, "Error creating jobs", "Unknown error"),
        ({"database_name": "full"}, "Validation error", "database_name"),
        ({"project": None}, "Validation error", "project"),
        ({"analysis_scope": None}, "Validation error", "analysis_scope"),
        ({"rap_id": "short"}, "Validation error", "rap_id"),
        ({"requested_actions": []}, "Validation error", "requested_actions"),
        ({"repo_url": "../../etc"}, "Error creating jobs", "outside"),
    ],
)
def test_a_request_that_can_not_be_created_is_refused_with_the_reason(
    controller: ControllerProcess, more: dict[str, Any], error: str, details: str
) -> None:
    answer = controller.call("rap/create/", body(controller, 4, **more))
    assert said(answer) == (400, error)
    assert details in answer.json()["details"]
    assert jobs(controller, 4) == {}


def test_a_token_speaks_for_its_backends(controller: ControllerProcess) -> None:
    assert said(controller.call("backend/status/", token=""))[0] == 401
    assert controller.call("backend/status/", token="").json()["details"] == "No token provided"
    assert controller.call("backend/status/", token=f"Bearer {TOKEN}").json()["details"] == "Invalid token"
    slugs = [backend["slug"] for backend in controller.call("backend/status/", token="of-emis").json()["backends"]]
    assert slugs == ["emis"]
    sent = body(controller, 5)
    assert said(controller.call("rap/create/", sent, token="of-emis")) == (400, "Error creating jobs")
    assert said(controller.call("rap/create/", sent)) == (201, "Success")
    question = {"rap_ids": [sent["rap_id"]]}
    assert controller.call("rap/status/", question, token="of-emis").json() == {
        "jobs": [],
        "unrecognised_rap_ids": [sent["rap_id"]],
    }
    cancellation = {"rap_id": sent["rap_id"], "actions": ["first"]}
    assert said(controller.call("rap/cancel/", cancellation, token="of-emis")) == (404, "jobs not found")


def test_a_cancellation_names_the_actions_that_are_not_there(controller: ControllerProcess) -> None:
    sent = body(controller, 6)
    controller.call("rap/create/", sent)
    answer = controller.call("rap/cancel/", {"rap_id": sent["rap_id"], "actions": ["first", "what"]})
    assert (answer.status_code, answer.json()["not_found"]) == (404, ["what"])
    assert said(controller.call("rap/cancel/", {"rap_id": "z" * 16, "actions": ["first"]}))[0] == 404


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_call_breaks_the_controller(controller: ControllerProcess, mode: str) -> None:
    import schemathesis  # takes as long as to collect a thousand tests
    from schemathesis.generation import GenerationMode

    described = schemathesis.openapi.from_url(f"{controller.url}/spec.json")
    for operation in (found.ok() for found in described.get_all_operations()):

        @settings(
            max_examples=samples.size(3, 200),
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=GenerationMode(mode)))
        def calls(case: schemathesis.Case) -> None:
            answer = case.call(headers={"Authorization": TOKEN}, timeout=30)
            assert answer.status_code < 500, (case.as_curl_command(), answer.text)
            case.operation.validate_response(answer)
            assert str(answer.status_code) in {*case.operation.responses.status_codes, "400"}, case.as_curl_command()

        with contextlib.suppress(Unsatisfiable):
            calls()
