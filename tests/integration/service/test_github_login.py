"""Logging in with GitHub, against a server on loopback that answers as GitHub's OAuth and REST API do."""

import functools
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from jobserver import bootstrap, serving
from jobserver.config import Settings
from jobserver.errors import Code, Error
from jobserver.service.github_login import GitHubLogin
from jobserver.service.membership import EVERY_SECONDS, Membership
from tests.e2e.harness import git, until

CODES = {"code-of-dora": "token-of-dora", "code-of-mallory": "token-of-mallory"}


class GitHub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.members = {"dora"}
        self.is_down = False
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: GitHub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def reply(self, status: int, body: Any = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/login/oauth/access_token"
        is_ours = sent["client_id"] == "key" and sent["client_secret"] == "secret" and set(sent) <= {
            "client_id", "client_secret", "code"}  # fmt: skip
        token = CODES.get(sent["code"])
        if not is_ours or token is None:
            self.reply(200, {"error": "bad_verification_code", "error_description": "The code is incorrect"})
        else:
            self.reply(200, {"access_token": token, "token_type": "bearer", "scope": "read:user"})

    def do_GET(self) -> None:
        server, who = self.server, (self.headers.get("Authorization") or "").partition("token-of-")[2]
        server.asked.append(self.path)
        org = {"login": "org", "url": f"{server.url}/orgs/org"}
        if server.is_down:
            self.reply(502, {"message": "Bad Gateway"})
        elif self.path == "/user":
            self.reply(200, {"login": who, "name": f"{who.title()} <b>", "email": f"{who}@example.org"})
        elif found := re.fullmatch(r"/users/(\w+)", self.path):
            self.reply(200, {"login": found[1], "url": f"{server.url}{self.path}"})
        elif self.path == "/orgs/org":
            self.reply(200, org)
        elif found := re.fullmatch(r"/orgs/org/members/(\w+)", self.path):
            self.reply(204 if found[1] in server.members else 404, None if found[1] in server.members else {})
        else:
            self.reply(404, {"message": "Not Found"})


@pytest.fixture
def github() -> Iterator[GitHub]:
    server = GitHub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def login(github: GitHub, org: str = "org") -> GitHubLogin:
    return GitHubLogin("key", "secret", org, "token-of-server", github.url)


def test_who_is_in_the_organisation_is_let_in(github: GitHub) -> None:
    assert login(github).person("code-of-dora") == ("dora", "Dora <b>", "dora@example.org")
    with pytest.raises(Error, match="mallory is not in the GitHub organisation org") as refused:
        login(github).person("code-of-mallory")
    assert refused.value.code is Code.FORBIDDEN
    assert login(github, org="").person("code-of-mallory")[0] == "mallory"


def test_what_github_does_not_know_or_say_is_said_plainly(github: GitHub) -> None:
    with pytest.raises(Error, match="GitHub refused") as refused:
        login(github).person("guessed")
    assert refused.value.code is Code.UNAVAILABLE
    github.is_down = True
    with pytest.raises(Error, match="GitHub refused"):
        login(github).person("code-of-dora")


def test_membership_is_asked_again_after_ten_minutes_and_never_waited_for() -> None:
    now, asked, is_down = [0.0], [], [False]
    members = {"dora"}

    def is_member(username: str) -> bool:
        asked.append(username)
        if is_down[0]:
            raise Error(Code.UNAVAILABLE, "GitHub is down")
        return username in members

    membership = Membership(is_member, lambda: now[0])
    membership.joined("dora")
    assert not membership.is_out("dora")
    assert asked == []  # logging in had asked
    members.clear()
    now[0] += EVERY_SECONDS
    membership.is_out("dora")
    until(lambda: membership.is_out("dora"))
    assert asked == ["dora"]
    is_down[0] = True
    now[0] += EVERY_SECONDS
    membership.is_out("dora")
    until(lambda: len(asked) == 2)
    assert membership.is_out("dora")  # what GitHub last said stands
    membership.joined("dora")
    assert not membership.is_out("dora")


def test_the_whole_way_through_the_pages(github: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GitHubLogin", functools.partial(GitHubLogin, url=github.url))
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://jobs.example",
        state_repo=tmp_path / "state.git",
        admin_users="root",
        social_auth_github_key="key",
        social_auth_github_secret="secret",
        github_org="org",
        github_token="token-of-server",
    )
    bootstrap.create(settings).close()
    server = serving.serve(settings)
    try:
        transport = httpx.WSGITransport(app=server.wsgi)
        with httpx.Client(transport=transport, base_url="http://jobs.example") as browser:
            assert "/login/github/" in browser.get("/login/?next=/jobs/").text
            sent = urlsplit(browser.get("/login/github/").headers["Location"])
            asked = parse_qs(sent.query)
            assert f"{sent.scheme}://{sent.netloc}{sent.path}" == f"{github.url}/login/oauth/authorize"
            assert asked["client_id"] == ["key"]
            assert asked["redirect_uri"] == ["http://jobs.example/login/github/callback/"]
            back = {"code": "code-of-dora", "state": asked["state"][0]}
            forged = browser.get("/login/github/callback/", params={**back, "state": "forged"})
            assert forged.status_code == 403
            entered = browser.get("/login/github/callback/", params=back)
            assert (entered.status_code, entered.headers["Location"]) == (303, "/jobs/")
            assert "Dora &lt;b&gt;" in browser.get("/settings/").text or "dora" in browser.get("/settings/").text
            assert "dora@example.org" in browser.get("/settings/").text
            assert github.asked.count("/orgs/org/members/dora") == 1  # not per page
        with httpx.Client(transport=transport, base_url="http://jobs.example") as browser:
            state = parse_qs(urlsplit(browser.get("/login/github/").headers["Location"]).query)["state"][0]
            refused = browser.get("/login/github/callback/", params={"code": "code-of-mallory", "state": state})
            assert refused.status_code == 403
            assert browser.get("/settings/").status_code == 303
        assert "dora" in git(tmp_path / "state.git", "ls-tree", "-r", "--name-only", "main")
        assert "mallory" not in git(tmp_path / "state.git", "ls-tree", "-r", "--name-only", "main")
    finally:
        server.close()
