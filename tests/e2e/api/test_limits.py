"""The limits of projects and people by HTTP and by command: who changes them, and what a request beyond one hears."""

import json

import pytest

from tests.e2e import zygote
from tests.e2e.harness import STUDY, Client, Site, bare
from tests.e2e.pages.browser import Browser

PROJECT = "/api/v2/projects/datalab/trends/"
SCOPE = {"dataset_permissions": ["icnarc"], "population_permissions": ["include_ndoo"]}


@pytest.fixture(scope="module", autouse=True)
def service(site: Site) -> None:
    site.run("user", "add", "service", "--role", "ServiceAdministrator")
    site.tokens["service"] = site.run("user", "token", "service", "--label", "x")


@pytest.fixture(autouse=True)
def unlimited(site: Site) -> None:
    with site.client("service") as admin:
        limits = ("number", "status", "end_date", "backends", "runner_types", "analysis_scope", "requires_training")
        assert admin.patch(PROJECT, json=dict.fromkeys(limits)).status_code == 200
        assert admin.patch("/api/v2/users/alice/", json={"backends": None, "trained_until": None}).status_code == 200


def ask(client: Client) -> tuple[int, str]:
    body = {"requested_actions": ["generate"], "backend": "tpp"}
    answer = client.post("/api/v2/workspaces/grouped/job-requests/", json=body)
    return answer.status_code, answer.text


def test_limits_change_and_are_shown(site: Site, alice: Client) -> None:
    wanted = {
        "number": "POS-2025-2001",
        "status": "ongoing",
        "end_date": "2999-12-31",
        "backends": ["tpp"],
        "runner_types": ["ehrql", "python"],
        "analysis_scope": SCOPE,
        "requires_training": True,
    }
    assert alice.patch(PROJECT, json=wanted).status_code == 403
    with site.client("service") as admin:
        changed = admin.patch(PROJECT, json=wanted)
        assert changed.status_code == 200, changed.text
        assert {key: changed.json()[key] for key in wanted} == wanted
        lists = {"analysis_scope": {"dataset_permissions": []}}
        scope = {"population_permissions": ["include_ndoo"]}
        assert admin.patch(PROJECT, json=lists).json()["analysis_scope"] == scope
        assert admin.patch("/api/v2/users/alice/", json={"trained_until": "2999-01-01"}).json()["backends"] is None
    shown = alice.get(PROJECT).json()
    assert (shown["number"], shown["analysis_scope"]) == ("POS-2025-2001", scope)
    assert alice.get("/api/v2/settings/").json()["trained_until"] == "2999-01-01"


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "detail", "expected at least one of analysis_scope, backends"),
        ({"status": "over"}, "status", "'over' is not a status"),
        ({"end_date": "2026-13-01"}, "end_date", "expected a day such as"),
        ({"backends": []}, "backends", "expected at least one"),
        ({"runner_types": []}, "runner_types", "expected at least one"),
        ({"runner_types": ["python:v2"]}, "runner_types.0", "is not valid: expected lowercase letters"),
        ({"backends": ["nowhere"]}, "backends", "backend 'nowhere' does not exist"),
        ({"analysis_scope": ["icnarc"]}, "analysis_scope", "expected an object, found a list"),
        ({"analysis_scope": {"datasets": []}}, "analysis_scope.datasets", "unknown field, expected one of:"),
        (
            {"analysis_scope": {"dataset_permissions": "icnarc"}},
            "analysis_scope.dataset_permissions",
            "expected a list of texts, found text",
        ),
        (
            {"analysis_scope": {"dataset_permissions": ["icnark"]}},
            "analysis_scope.dataset_permissions",
            "did you mean icnarc?",
        ),
        ({"name": "New", "status": "retired"}, "status", "can't change together with the name"),
        ({"requires_training": "yes"}, "requires_training", "expected true or false, found text"),
    ],
)
def test_wrong_limits_are_named(site: Site, body: dict[str, object], field: str, message: str) -> None:
    with site.client("service") as admin:
        answer = admin.patch(PROJECT, json=body)
        assert answer.status_code == 400, answer.text
        reasons = answer.json()[field]
        assert message in (reasons if isinstance(reasons, str) else reasons[0])
        both = admin.patch("/api/v2/users/alice/", json={"roles": [], "trained_until": None})
        assert both.json() == {"roles": ["can't change together with trained_until"]}


def test_a_request_beyond_a_limit_hears_the_document_and_line(site: Site, alice: Client) -> None:
    with site.client("service") as admin, site.client("root") as root:
        assert ask(alice)[0] == 201
        admin.patch(PROJECT, json={"status": "completed"})
        code, text = ask(alice)
        assert code == 403
        line = "projects/datalab/trends.yaml:"
        said = json.loads(text)["detail"]
        assert said.startswith(line), said
        assert said.endswith("status: the project is completed: people can request jobs for an ongoing project only")
        assert ask(root) == (code, text)
        admin.patch(PROJECT, json={"status": None})
        admin.patch("/api/v2/users/alice/", json={"trained_until": "2020-01-01"})
        assert "trained_until: the training of alice ended on 2020-01-01" in ask(alice)[1]
        assert ask(root)[0] == 201


def test_a_request_for_another_runner_type_hears_the_line_of_project_yaml(site: Site, alice: Client) -> None:
    with site.client("service") as admin:
        admin.patch(PROJECT, json={"runner_types": ["ehrql"]})
    status, text = ask(alice)
    assert status == 403
    reason = "the project may not use the runner type 'python' (generate): expected ehrql"
    line = STUDY.splitlines().index(next(line for line in STUDY.splitlines() if "generate.py" in line)) + 1
    assert json.loads(text)["detail"] == f"project.yaml:{line}: actions.generate.run: {reason}"
    with Browser(site, "alice") as browser:
        assert f"T{reason[1:].replace(chr(39), '&#39;')}".replace("(generate)", "(generate, analyse, report)") in (
            browser.get("/grouped/").text
        )
        refused = browser.submit("/grouped/", requested_actions="generate", backend="tpp")
        assert (refused.status_code, f"project.yaml, line {line}:" in refused.text) == (403, True)


def test_a_runner_gets_the_scope_of_a_request(site: Site, alice: Client, tpp: Client) -> None:
    with site.client("service") as admin:
        admin.patch(PROJECT, json={"analysis_scope": SCOPE})
        identifier = json.loads(ask(alice)[1])["identifier"]
        admin.patch(PROJECT, json={"analysis_scope": None})
    listed = {item["identifier"]: item for item in tpp.get("/api/v2/job-requests/").json()["results"]}
    assert listed[identifier]["analysis_scope"] == SCOPE


def test_commands_change_limits_here_and_by_http(site: Site) -> None:
    def called(*arguments: str, code: int = 0) -> str:
        known = {"JOBSERVER_URL": site.url, "JOBSERVER_TOKEN": site.tokens["service"]}
        done = zygote.command(arguments, bare(**known), site.folder)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    edit = ("project", "edit", "datalab/trends")
    for run in (called, site.run):
        run(
            *edit, "--number", "42", "--end-date", "2999-12-31", "--backend", "tpp", "--dataset", "icnarc", "--training"
        )
        run(*edit, "--runner-type", "ehrql", "--runner-type", "r")
        shown = json.loads(called("project", "show", "datalab/trends", "--json"))
        assert (shown["number"], shown["end_date"], shown["backends"]) == ("42", "2999-12-31", ["tpp"])
        assert shown["runner_types"] == ["ehrql", "r"]
        assert (shown["analysis_scope"], shown["requires_training"]) == ({"dataset_permissions": ["icnarc"]}, True)
        run(*edit, "--number", "", "--backend", "", "--runner-type", "", "--dataset", "", "--no-training")
        shown = json.loads(called("project", "show", "datalab/trends", "--json"))
        assert (shown["number"], shown["backends"], shown["analysis_scope"]) == (None, None, {})
        run("user", "edit", "bob", "--backend", "tpp", "--trained-until", "2999-01-01")
        bob = json.loads(site.run("user", "show", "bob", "--json"))
        assert (bob["backends"], bob["trained_until"]) == (["tpp"], "2999-01-01")
        run("user", "edit", "bob", "--backend", "", "--trained-until", "")
    assert "end_date" in called("project", "show", "datalab/trends")
    assert "expected at least one of" in called(*edit, code=1)


def test_a_service_administrator_uses_the_api_and_no_more(site: Site) -> None:
    with site.client("service") as admin:
        assert admin.get("/api/v2/users/").status_code == 200
        assert admin.post("/api/v2/orgs/", json={"slug": "wing"}).status_code == 201
        assert admin.post("/api/v2/projects/", json={"project": "wing/first"}).status_code == 201
        mine = admin.put("/api/v2/projects/wing/first/members/service/", json={"roles": ["ProjectDeveloper"]})
        assert mine.status_code == 403
        assert admin.post("/api/v2/users/", json={"username": "boss", "roles": ["SuperUser"]}).status_code == 403
        assert admin.patch("/api/v2/users/root/", json={"active": False}).status_code == 403
        assert admin.patch("/api/v2/backends/tpp/", json={"active": False}).status_code == 403
