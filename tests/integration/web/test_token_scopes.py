"""What personal tokens with a scope and an expiry may be used for over HTTP."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from jobserver import bootstrap
from jobserver.cli.login_link import login_path
from jobserver.config.settings import Settings
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.tokens import Scope
from jobserver.domain.users import AddUserToken
from jobserver.service.accounts.tokens import new_token
from jobserver.serving.server import Server, serve
from tests.e2e.pages.browser import Browser

ROOT = Actor(ActorKind.USER, "root")
CREATE, CANCEL = "/api/v2/workspaces/w/job-requests/", "/api/v2/job-requests/2222222222222222/cancel/"
REPORT, GIT = "/api/v2/jobs/", "/state.git/info/refs?service=git-"
NEEDS = {
    ("GET", "/api/v2/job-requests/"): Scope.READ,
    ("GET", "/metrics"): Scope.READ,
    ("GET", f"{GIT}upload-pack"): Scope.READ,
    ("POST", CREATE): Scope.REQUEST,
    ("POST", CANCEL): Scope.REQUEST,
    ("POST", REPORT): Scope.ADMIN,
    ("GET", f"{GIT}receive-pack"): Scope.ADMIN,
    ("POST", "/state.git/git-receive-pack"): Scope.ADMIN,
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://jobs.example",
        state_repo=tmp_path / "state.git",
        admin_users="root",
    )
    bootstrap.create(settings).close()
    made = serve(settings)
    yield made
    made.close()


def client(server: Server, token: str = "") -> httpx.Client:
    headers = {"Authorization": token} if token else {}
    return httpx.Client(transport=httpx.WSGITransport(app=server.wsgi), base_url="http://jobs.example", headers=headers)


def added(server: Server, expires_at: datetime | None = None, scope: Scope | None = None) -> str:
    secret, digest = new_token()
    server.app.gate.submit(ROOT, AddUserToken("root", digest, digest, expires_at, scope), "test")
    return secret


@pytest.mark.parametrize("scope", [*Scope, None])
def test_a_scope_limits_what_its_owner_may_do(server: Server, scope: Scope | None) -> None:
    with client(server, added(server, scope=scope)) as http:
        for (method, path), needed in NEEDS.items():
            answer = http.request(method, path, content=b"{" if method == "POST" else None)
            is_refused = answer.status_code == 403 and "This token has the scope" in answer.text
            assert is_refused == (scope is not None and not scope.includes(needed)), (method, path, answer.text)
        assert http.get("/api/v2/job-requests/").headers.get("Token-Expires") is None


def test_an_answer_says_when_the_token_expires_and_then_that_it_has(server: Server) -> None:
    now = datetime.now(UTC)
    with client(server, added(server, now + timedelta(days=3))) as http:
        for path in ("/api/v2/job-requests/", "/api/v2/job-requests/nowhere/", f"{GIT}upload-pack"):
            assert http.get(path).headers["Token-Expires"].startswith(f"{now + timedelta(days=3):%Y-%m-%dT%H:}"), path
    with client(server, added(server, datetime.now(UTC) + timedelta(seconds=0.2))) as http:
        while (answer := http.get("/api/v2/job-requests/")).status_code == 200:
            assert datetime.now(UTC) < now + timedelta(seconds=60)
        assert answer.status_code == 403
        assert re.fullmatch(r"Invalid token: it expired on [0-9-]+ at [0-9:]+ UTC", answer.json()["detail"])
        assert http.get(f"{GIT}upload-pack").status_code == 401  # git asks its user for another one


def test_the_settings_page_adds_and_shows_them(server: Server) -> None:
    with client(server) as http:
        link = login_path(server.app.settings, "root")
        http.post(link, data={"form": Browser.token(http.get(link))})
        fields = {"form": Browser.token(http.get("/settings/")), "what": "new-token"}
        reply = http.post("/settings/", data={**fields, "label": "laptop", "expires": "5d", "scope": "read"})
        assert (reply.status_code, reply.headers["Location"]) == (303, "/settings/")
        page = http.get("/settings/")
        secret = re.search(r"<code>([0-9a-f]{40})</code>", page.text)
        assert secret
        assert "Expires soon" in page.text
        assert re.search(r"Scope: Read;\s+expires <time [^>]+>in 4 days</time>", page.text)
        for wrong, message in (({"scope": "all"}, "Expected one of: read"), ({"expires": "x"}, "such as 90d")):
            answer = http.post("/settings/", data={**fields, "label": "other", **wrong})
            assert (answer.status_code, message in answer.text) == (400, True)
    with client(server, secret[1]) as http:
        assert http.get("/api/v2/job-requests/").status_code == 200
        assert http.post(CREATE, json={}).status_code == 403
