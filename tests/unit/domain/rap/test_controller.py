"""A backend with a controller: its document, and which requests it takes."""

from typing import Any

import pytest

from jobserver.domain.admit import admit
from jobserver.domain.backends import Backend, ConnectController, DisconnectController
from jobserver.domain.base.layout import Area
from jobserver.domain.job_requests.jobs import FailJob, RetryRequest
from jobserver.domain.job_requests.requests import CancelJobs
from jobserver.domain.plan import plan
from jobserver.domain.rap.creation import NO_PROJECT, creation
from jobserver.errors import Code, Error
from jobserver.index.items import request_item
from jobserver.store.yaml import codec
from tests.memory import ID, LATER, NOW, Memory, job
from tests.unit.domain.job_requests.requesting import (
    ALICE,
    ROOT,
    TPP,
    TRENDS,
    area,
    ask,
    asked,
    jobs,
    prepared,
    refused,
    report,
    stored,
)

URL = "https://controller.example.org/controller/v1"
STUDY = "https://github.com/opensafely/study"


@pytest.fixture
def state() -> Memory:
    made = prepared()
    made.put(TRENDS.model_copy(update={"repo": STUDY, "db": "full"}))
    made.do(ROOT, ConnectController("tpp", URL))
    return made


def backend(state: Memory) -> Backend:
    document = state.on("main").backend("tpp")
    assert document is not None
    return document


def test_a_backends_document_names_its_controller(state: Memory) -> None:
    text = codec.write(backend(state)).decode()
    assert text.endswith(f"rap:\n  url: {URL}\n  databases:\n    full: default\n  repositories: https://github.com/\n")
    assert codec.read(Backend, text.encode(), "x") == backend(state)
    changes = state.do(ROOT, ConnectController("tpp", URL + "/", {"full": "default", "slice": "default"}))
    assert (changes.event, changes.subject) == (
        "backend.controller-connected",
        "root connected the controller of backend tpp",
    )
    rap = backend(state).rap
    assert rap is not None
    assert (rap.url, dict(rap.databases)) == (URL, {"full": "default", "slice": "default"})
    assert state.do(ROOT, DisconnectController("tpp")).event == "backend.controller-disconnected"
    assert b"rap" not in codec.write(backend(state))


def test_only_people_who_administer_the_server_connect_a_controller(state: Memory) -> None:
    for actor in (ALICE, TPP):
        assert refused(state, actor, ConnectController("tpp", "https://elsewhere.example.org")).code is Code.FORBIDDEN


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "expected an address"),
        ("controller.example.org", "expected an address"),
        ("ftp://controller.example.org/", "expected an address"),
        ("https:///v1", "expected an address"),
        ("https://a:b@controller.example.org/", "without a password"),
        ("https://controller.example.org/?a=b", "without a password, a query"),
        ("https://controller.example.org/#v1", "without a password, a query"),
        ("http://controller.example.org/", "expected https"),
        ("https://controller.example.org:99999/", "expected an address"),
    ],
)
def test_an_address_that_can_not_be_called_is_refused(state: Memory, url: str, expected: str) -> None:
    error = refused(state, ROOT, ConnectController("tpp", url))
    assert (error.code, error.faults[0].key) == (Code.INVALID, "url")
    assert expected in str(error)


def test_http_is_for_this_machine() -> None:
    state = prepared()
    for url in ("http://localhost:3000/controller/v1", "http://127.0.0.1:3000", "http://[::1]:3000/a"):
        state.do(ROOT, ConnectController("tpp", url))
        rap = backend(state).rap
        assert rap is not None
        assert rap.url == url


@pytest.mark.parametrize(
    ("more", "repo", "where", "expected"),
    [
        ({"database_name": "slice"}, STUDY, "database_name", "has no database 'slice': expected one of full"),
        ({}, "study", "backend", "begins with https://github.com/, and this workspace's is study"),
        ({}, "https://gitlab.com/a/b", "backend", "choose another backend"),
        ({}, "https://github.com.evil.org/a/b", "backend", "choose another backend"),
    ],
)
def test_a_request_that_the_controller_can_not_take_is_refused(
    state: Memory, more: dict[str, Any], repo: str, where: str, expected: str
) -> None:
    state.put(TRENDS.model_copy(update={"repo": repo, "db": "full"}))
    error = refused(state, ALICE, asked(**more))
    assert (error.code, error.where) == (Code.INVALID, where)
    assert expected in error.message
    state.do(ROOT, DisconnectController("tpp"))  # a runner takes what it takes
    ask(state)


def test_a_push_is_judged_by_the_same_rule_and_older_ones_are_not(state: Memory) -> None:
    other = prepared()
    other.put(TRENDS.model_copy(update={"db": "full"}))
    changes = plan(other.on("backends/tpp"), asked(), ALICE, NOW, ID)
    other.do(ROOT, ConnectController("tpp", URL))
    admit(other.on("backends/tpp"), changes, ALICE, NOW, policy=3)
    with pytest.raises(Error, match="takes repositories whose address begins with"):
        admit(other.on("backends/tpp"), changes, ALICE, NOW)


def test_what_a_controller_is_sent(state: Memory) -> None:
    ask(state, "generate")
    rap = backend(state).rap
    assert rap is not None
    scope = {"component_access": ["event_level_data"]}
    assert creation(request_item(stored(state)), rap)["analysis_scope"] == {}
    assert creation({**request_item(stored(state)), "analysis_scope": scope}, rap) == {
        "rap_id": ID,
        "backend": "tpp",
        "workspace": "trends",
        "repo_url": STUDY,
        "branch": "dev",
        "commit": "0" * 40,
        "database_name": "default",
        "requested_actions": ["generate"],
        "codelists_ok": True,
        "force_run_dependencies": False,
        "created_by": "alice",
        "project": NO_PROJECT,
        "orgs": [],
        "analysis_scope": scope,
    }


def test_a_request_that_failed_is_asked_for_again_by_a_commit(state: Memory) -> None:
    ask(state)
    report(state, job("a", "failed", action="__error__"))
    assert area(state) is Area.ARCHIVE
    assert refused(state, ALICE, RetryRequest(ID, "tpp")).code is Code.FORBIDDEN
    changes = state.do(ROOT, RetryRequest(ID, "tpp"), LATER)
    assert (changes.event, changes.trailers[0]) == ("jobs.updated", ("Job-Request", ID))
    assert (area(state), jobs(state)) == (Area.ACTIVE, {})
    assert not state.do(ROOT, RetryRequest(ID, "tpp"), LATER)


def test_a_request_of_which_the_controller_has_lost_the_jobs_is_asked_for_again(state: Memory) -> None:
    ask(state)
    report(state, job("a"), job("b", "failed", action="plot"))
    state.do(ROOT, FailJob("a", ID, "tpp"))
    state.do(ROOT, RetryRequest(ID, "tpp"), LATER)
    assert jobs(state) == {}
    state.do(ALICE, CancelJobs(ID, "tpp"))


def test_what_has_succeeded_and_what_a_runner_runs_is_not_asked_for_again(state: Memory) -> None:
    assert refused(state, ROOT, RetryRequest(ID, "tpp")).code is Code.NOT_FOUND
    ask(state)
    report(state, job("a", "succeeded", 1))
    assert "has already succeeded" in str(refused(state, ROOT, RetryRequest(ID, "tpp")))
    state.do(ROOT, DisconnectController("tpp"))
    assert "has no controller" in str(refused(state, ROOT, RetryRequest(ID, "tpp")))
