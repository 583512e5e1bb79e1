"""A controller is connected by page, command and call, by people who administer the server."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.harness import Site
from tests.e2e.pages.browser import Browser
from tests.e2e.rap.controlled import eventually

URL = "https://controller.example.org/controller/v1"


@pytest.fixture
def emis(site: Site) -> Iterator[str]:
    yield "/backends/emis/"
    site.run("rap", "disconnect", "emis")


def document(site: Site) -> str:
    return site.git("show", "main:backends/emis.yaml")


def test_by_page(site: Site, emis: str) -> None:
    with Browser(site, "root") as root:
        form: dict[str, Any] = {"what": "connect", "url": URL, "repositories": "https://github.com/opensafely/"}
        refused = root.submit(emis, rap_databases="full", **form)
        assert refused.status_code == 400
        assert "databases and their names at the controller" in refused.text
        refused = root.submit(emis, rap_databases="full=default", **form | {"url": "http://controller.example.org"})
        assert refused.status_code == 400
        assert "xpected https" in refused.text
        page = root.lead(emis, rap_databases="full=default, slice=default", **form)
        assert "The server calls the controller from now on." in page.text
        assert f'value="{URL}"' in page.text
        assert "repositories: https://github.com/opensafely/" in document(site)
        assert "slice: default" in document(site)
        eventually(lambda: "has no token for the controller of this backend" in root.get("/status/").text)
        page = root.lead(emis, what="disconnect")
        assert "The server no longer calls the controller." in page.text
        assert "rap:" not in document(site)


def test_by_call_and_command(site: Site, emis: str) -> None:
    path = "/api/v2/backends/emis/controller/"
    with site.client("root") as root, site.client("alice") as alice:
        assert alice.put(path, json={"url": URL}).status_code == 403
        assert root.put(path, json={"url": "x"}).json()["url"][0].startswith("expected an address")
        assert "expected an object of texts" in root.put(path, json={"url": URL, "databases": {"full": 1}}).text
        item = root.put(path, json={"url": URL, "databases": {"full": "default"}}).json()
        assert item["controller"]["url"] == URL
        assert item["controller"]["repositories"] == "https://github.com/"
        body = {"requested_actions": ["generate"], "backend": "emis"}
        answer = alice.post("/api/v2/workspaces/plain/job-requests/", json=body)
        assert answer.status_code == 400
        assert "begins with https://github.com/, and this workspace's is study" in answer.text
        assert root.delete(path).json()["controller"] is None
    remote = {"JOBSERVER_URL": site.url, "JOBSERVER_TOKEN": site.tokens["root"]}
    site.run("rap", "connect", "emis", URL, "--database", "full=default", **remote)
    assert f"url: {URL}" in document(site)
    assert URL in site.run("rap", "status", **remote)
    site.run("rap", "disconnect", "emis", **remote)
    assert "rap:" not in document(site)
    wrong = site.command("rap", "connect", "emis", URL, "--database", "full")
    assert "--database: expected the database here and its name" in wrong.stderr


def test_only_requests_of_a_controller_are_asked_for_again(site: Site) -> None:
    asked = site.ask("generate")
    with site.client("root") as root:
        answer = root.post(f"/api/v2/job-requests/{asked}/retry/")
        assert answer.status_code == 409
        assert "has no controller" in answer.text
