"""A server that asks OpenCodelists: what people see when codelists are out of date, and when nobody answers."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.harness import Site, git, serving
from tests.e2e.pages.browser import Browser
from tests.receiver import Receiver, receiving

_PROJECT = """\
actions:
  extract: {run: "ehrql:v1 generate-dataset d.py --output output/d.csv.gz"}
  tidy: {run: "python:v2 tidy.py"}
  model: {run: "r:v2 model.R", needs: [extract]}
"""
_MANIFEST = json.dumps({"files": {"a.csv": {"id": "org/asthma/1a2b", "sha": "0" * 40}}})
_STALE = b'{"status": "error", "data": {"added": [], "removed": [], "changed": ["org/asthma/1a2b"]}}'


@pytest.fixture(scope="module")
def opencodelists() -> Iterator[Receiver]:
    with receiving(Receiver(status=200)) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, opencodelists: Receiver) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.env["OPENCODELISTS_URL"] = f"http://127.0.0.1:{opencodelists.port}"
    files = {
        "project.yaml": _PROJECT,
        "codelists/codelists.txt": "org/asthma/1a2b",
        "codelists/codelists.json": _MANIFEST,
    }
    made.study("lists", files)
    made.run("workspace", "add", "lists", "--repo", "lists", "--branch", "main", "--as", "alice")
    with serving(made):
        yield made


def test_codelists_are_checked_before_jobs_are_requested(site: Site, alice: Browser, opencodelists: Receiver) -> None:
    study = site.folder / "studies" / "lists"
    path = "/api/v2/workspaces/lists/job-requests/"
    body = {"requested_actions": ["extract"], "backend": "tpp"}
    stale = "codelists are out of date (changed org/asthma/1a2b): run"
    with site.client("alice") as api:
        opencodelists.body = b'{"status": "ok"}'
        item = api.post(path, json=body).json()
        assert (item["codelists_ok"], "warnings" in item and "codelists" in str(item["warnings"])) == (True, False)
        assert "codelists are out of date" not in alice.get("/lists/").text

        opencodelists.body = _STALE
        git(study, "commit", "-q", "--allow-empty", "-m", "another commit")
        answer = api.post(path, json=body)
        assert answer.status_code == 400
        assert answer.json()["requested_actions"][0].startswith(f"extract uses the database: {stale}")
        page = alice.get("/lists/").text
        assert f"This study&#39;s {stale}" in page or f"This study's {stale}" in page
        assert "you cannot request actions that use the database" in page
        refused = alice.submit("/lists/", requested_actions="extract", backend="tpp")
        assert (refused.status_code, stale in refused.text) == (400, True)
        command = site.command("request", "lists", "extract", "--backend", "tpp", "--as", "alice")
        assert (command.returncode, stale in command.stderr) == (1, True)

        tidy = api.post(path, json={**body, "requested_actions": ["tidy"]}).json()
        assert (tidy["codelists_ok"], stale in str(tidy["warnings"])) == (True, False)
        model = api.post(path, json={**body, "requested_actions": ["model"]}).json()
        assert (model["codelists_ok"], stale in str(model["warnings"])) == (False, True)
        assert stale in alice.get(f"/job-requests/{model['identifier']}/").text
        rerun = api.post(f"/api/v2/job-requests/{model['identifier']}/rerun/", json={"commit": "same"}).json()
        assert (rerun["codelists_ok"], str(rerun["warnings"]).count(stale)) == (False, 1)

        opencodelists.status = 500
        git(study, "commit", "-q", "--allow-empty", "-m", "a third commit")
        unchecked = api.post(path, json=body).json()
        assert unchecked["codelists_ok"]
        assert "codelists were not checked: OpenCodelists answered 500" in unchecked["warnings"]
        assert "codelists were not checked: OpenCodelists answered 500" in alice.get("/lists/").text
        done = site.command("request", "lists", "extract", "--backend", "tpp", "--as", "alice")
        assert (done.returncode, "warning: codelists were not checked" in done.stderr) == (0, True)
