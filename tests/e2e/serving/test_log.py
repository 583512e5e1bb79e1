"""The server's log: one line for each request, with its id, and no secret of anybody."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.git.clone import Clone
from tests.e2e.harness import Site, job, until
from tests.e2e.pages.browser import Browser

SECRET = "s3cret-in-a-query"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.env["LOG_FORMAT"] = "json"
    made.start()
    yield made
    made.stop()


def lines(site: Site) -> list[dict[str, Any]]:
    """The log without the line of the command, which comes before it."""
    return [json.loads(line) for line in site.log().splitlines() if line.startswith("{")]


def line_of(site: Site, answer: httpx.Response) -> dict[str, Any]:
    identifier = answer.headers["Request-Id"]
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        found[:] = [line for line in lines(site) if line.get("request") == identifier and "status" in line]
        return bool(found)

    until(is_there)
    assert len(found) == 1
    return found[0]


def test_a_request_has_one_line_and_its_commit_has_the_same_id(site: Site) -> None:
    with site.client("alice") as alice:
        body = {"requested_actions": ["generate"], "backend": "tpp"}
        answer = alice.post("/api/v2/workspaces/plain/job-requests/?x=1", json=body)
    line = line_of(site, answer)
    assert {
        "logger": "jobserver.request",
        "level": "INFO",
        "actor": "user/alice",
        "method": "POST",
        "path": "/api/v2/workspaces/plain/job-requests/",
        "status": 201,
    }.items() <= line.items()
    assert 0 < line["seconds"] < 60
    trailer = site.git("log", "-1", "--format=%(trailers:key=Request-Id,valueonly)", answer.headers["X-Commit"])
    assert trailer.strip() == line["request"]


@pytest.mark.parametrize(
    ("path", "status"), [("/a/b/c/d/e/", 404), ("/api/v2/jobs/", 403), ("/health-check/", 200), ("/login", 301)]
)
def test_every_answer_has_a_line(site: Site, path: str, status: int) -> None:
    answer = site.get(f"{path}")
    line = line_of(site, answer)
    assert (line["path"], line["status"], line["actor"]) == (path, status, "")


def test_a_body_that_is_read_late_gives_one_line(site: Site) -> None:
    with site.client("tpp") as tpp:
        large = [job("0000000000000000000000", "a", status_message="x" * 100_000)]
        line = line_of(site, tpp.report(*large))
    assert (line["actor"], line["path"]) == ("backend/tpp", "/api/v2/jobs/")


def test_no_secret_is_logged(site: Site, tmp_path: Path) -> None:
    """Each kind of call that carries one: in a header, a URL, a query, a form and a password."""
    secrets = [*site.tokens.values(), SECRET, "wrong-token", site.env["SECRET_KEY"]]
    identifier = site.ask()
    for who in ("tpp", "alice", "root"):
        with site.client(who) as client:
            for path in ("job-requests/", f"job-requests/{identifier}/", "users/alice/", "openapi.json"):
                client.get(f"/api/v2/{path}", params={"token": SECRET})
            client.report(job(identifier, "a"), Flags=json.dumps({"x": {"v": SECRET}}))
            client.post(f"/api/v2/job-requests/{identifier}/cancel/", json={"actions": ["generate"]})
            client.put("/api/v2/workspaces/plain/releases/x", content=SECRET.encode())
    site.get("/api/v2/job-requests/", headers={"Authorization": "wrong-token"})
    site.get("/login/github/callback/", params={"code": SECRET, "state": SECRET})
    httpx.post(f"{site.url}/hooks/state/", headers={"X-Hub-Signature-256": SECRET}, content=SECRET)
    Clone(site, tmp_path / "clone", "tpp", "backends/tpp")
    link = site.run("user", "login-link", "alice")
    secrets.append(urlsplit(link).path.split("/")[3])
    httpx.get(link)
    with Browser(site, "alice") as alice:
        secrets += [cookie.value or "" for cookie in alice.cookies.jar]
        alice.get("/settings/")
        alice.get(f"/invitations/{SECRET}/")
        alice.post("/settings/", data={"form": SECRET, "email": "a.lice@example.org"})
    last = site.get("/health-check/")
    line_of(site, last)
    log = site.log()
    assert "a.lice" not in log
    assert [secret for secret in secrets if secret in log] == []
    paths = {line["path"] for line in lines(site) if "path" in line}
    assert {"/login/link/***/", "/invitations/***/", "/state.git/git-upload-pack"} <= paths
