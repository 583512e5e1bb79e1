"""Odd values in every parameter, form field, body and part of a URL: an answer each time, and never a 500."""

import random
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests import samples
from tests.e2e.harness import Site, job
from tests.e2e.pages.browser import Browser

ODD: list[str] = ["", "0", "-1", "9" * 20, "a" * 3000, "\x00", "%00", "../../etc", "é☃", "<b>", "';--", "1e9", "nan",
       "2026-13-45", "main", "0" * 40, "true", "[]", "{}", "tpp", "alice", "datalab/trends", "generate", "failed",
       "rename", "member", "remove", "invite", "cancel", "connect", "disconnect", "contact", "accept", "decline",
       "another",
       "backends/tpp", "2026-11-24T00:00:00Z", "HEAD~1", "--all", "-n1"]  # fmt: skip
KEYS = [
    "at",
    "q",
    "status",
    "backend",
    "workspace",
    "username",
    "before",
    "repo",
    "name",
    "branch",
    "db",
    "project",
    "what",
    "label",
    "on",
    "email",
    "roles",
    "slug",
    "databases",
    "requested_actions",
    "force_run_dependencies",
    "will_notify",
    "database_name",
    "once",
    "active",
    "actions",
    "member",
    "parent_directory",
    "alert_after_minutes",
    "job_request_id",
    "identifier",
    "created_at",
    "updated_at",
    "limit",
    "project_lead",
    "telephone",
    "researchers",
    "researcher_0_name",
    "researcher_0_trained_at",
]
READ = ["/", "/jobs/", "/job-requests/ID/", "/job-requests/ID/audit/", "/jobs/jj/", "/jobs/jj/audit/",
        "/job-requests/ID/jobs/jj/", "/job-requests/ID/jobs/jj/audit/", "/plain/",
        "/plain/audit/", "/plain/logs/", "/plain/releases/", "/status/", "/status/tpp/", "/settings/", "/orgs/",
        "/orgs/datalab/",
        "/orgs/datalab/trends/", "/backends/", "/backends/tpp/", "/backends/tpp/audit/", "/users/", "/users/alice/",
        "/orgs/new/", "/orgs/datalab/new-project/", "/orgs/datalab/trends/settings/", "/orgs/datalab/trends/audit/",
        "/orgs/datalab/trends/grouped/", "/invitations/", "/invitations/token/",
        "/workspaces/new/", "/workspaces/new/branches/", "/workspaces/new/repositories/",
        "/api/v2/job-requests/", "/api/v2/job-requests/ID/",
        "/api/v2/users/alice/", "/api/v2/workspaces/plain/statuses/"]  # fmt: skip
WRITE = ["/plain/", "/plain/settings/", "/settings/", "/users/", "/users/bob/", "/backends/", "/backends/emis/",
         "/workspaces/new/", "/orgs/datalab/trends/settings/", "/orgs/new/", "/orgs/datalab/new-project/",
         "/invitations/", "/job-requests/ID/cancel/", "/job-requests/ID/rerun/", "/jobs/jj/",
         "/job-requests/ID/jobs/jj/"]  # fmt: skip
CALLS = ["/api/v2/jobs/", "/api/v2/workspaces/plain/job-requests/", "/api/v2/job-requests/ID/cancel/"]


def anything(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(7 if depth < 3 else 4)
    if kind < 3:
        return chance.choice(ODD)
    if kind == 3:
        return chance.choice((None, True, 0, -1, 1.5, 10**30))
    if kind == 4:
        return [anything(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    return {chance.choice(KEYS): anything(chance, depth + 1) for _ in range(chance.randint(0, 6))}


def test_odd_input_gets_an_answer(site: Site) -> None:
    chance = random.Random(20261124)
    identifier = site.ask("generate")
    with site.client("tpp") as tpp:
        tpp.report(job(identifier, "jj", "failed", 1)).raise_for_status()
    seen = set()
    for who in ("root", "alice", "carol"):
        with Browser(site, who) as browser:
            form = browser.token(browser.get("/settings/"))
            for _ in range(samples.size(25, 250)):
                answer = call(chance, browser, identifier, form)
                seen.add(answer.status_code)
                assert answer.status_code < 500 or answer.status_code == 503, (answer.request.url, answer.text[:300])
    for name in ("tpp", "alice"):
        with site.client(name) as client:
            for _ in range(samples.size(12, 150)):
                path = chance.choice(CALLS).replace("ID", identifier)
                answer = client.post(path, json=anything(chance))
                seen.add(answer.status_code)
                assert answer.status_code < 500, (path, answer.text[:300])
    assert {200, 303, 400, 403, 404} <= seen


def call(chance: random.Random, browser: Browser, identifier: str, form: str) -> httpx.Response:
    odd = {chance.choice(KEYS): chance.choice(ODD) for _ in range(chance.randint(0, 5))}
    if chance.random() < 0.5:
        return browser.post(chance.choice(WRITE).replace("ID", identifier), data={**odd, "form": form})
    parts = chance.choice(READ).replace("ID", identifier).strip("/").split("/")
    if chance.random() < 0.3:
        parts[chance.randrange(len(parts))] = quote(chance.choice(ODD), safe="")
    return browser.get(f"/{'/'.join(parts)}/".replace("//", "/"), params=odd)


def test_malformed_utf_8_is_refused_in_a_form_and_ignored_in_a_query(site: Site) -> None:
    """Found by 45 minutes of fuzzing: one such byte in the query of a workspace's page was a 500."""
    identifier = site.ask("generate")
    with Browser(site, "root") as root:
        for path in READ[:: samples.size(4, 1)]:
            for query in ("%C5S=1", "actions=%C5S&actions=generate", "q=%ff&at=%ff&status=%ff&backend=%ff"):
                answer = root.get(f"{path.replace('ID', identifier)}?{query}")
                assert answer.status_code < 500, (path, query)
        assert 'value="generate" data-action checked' in root.get("/plain/?actions=%C5S&actions=generate").text
        form = root.token(root.get("/settings/"))
        for path in WRITE[:: samples.size(4, 1)]:
            for field in (b"label=%C5S", b"%C5S=1"):
                body = b"what=new-token&label=odd&form=" + form.encode() + b"&" + field
                head = {"Content-Type": "application/x-www-form-urlencoded"}
                answer = root.post(path.replace("ID", identifier), content=body, headers=head)
                assert (answer.status_code, "not UTF-8" in answer.text) == (400, True), (path, field)
        assert "odd" not in root.get("/settings/").text


@pytest.mark.parametrize(
    "kind", ["a/b;", "multipart/form-data; boundary=a;b", "multipart/form-data; boundary=x; charset=none"]
)
def test_a_form_of_a_kind_that_is_none(alice: Browser, kind: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    answer = alice.post("/plain/", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, "its Content-Type" in answer.text) == (400, True)
