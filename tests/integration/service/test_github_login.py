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
from jobserver.service.github_login import GitHubLogin, Person
from jobserver.service.membership import EVERY_SECONDS, WAITED_FOR_SECONDS, Membership
from jobserver.service.private import PrivateStore
from tests.e2e.harness import git, until

CODES = {"code-of-dora": "token-of-dora", "code-of-mallory": "token-of-mallory"}
IDS = {"dora": 1, "mallory": 2}


class GitHub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.members = {"dora"}
        self.public_members: set[str] = set()
        self.logins = {number: login for login, number in IDS.items()}  # names as they are now
        self.sees_members = {"server"}  # whose tokens do, as members with the scope for it
        self.status_of_members = 0  # what is answered about everybody, if it is not 0
        self.is_down = False
        self.asked: list[str] = []

    def login_of(self, who: str) -> str:
        """Of whoever had the name ``who`` when this began."""
        return self.logins.get(IDS.get(who, 0), who)


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

    def said(self, is_so: bool) -> None:
        self.reply(204 if is_so else 404, None if is_so else {})

    def do_GET(self) -> None:
        server, token = self.server, (self.headers.get("Authorization") or "").partition("token-of-")[2]
        who = server.login_of(token)
        server.asked.append(self.path)
        org = {"login": "org", "url": f"{server.url}/orgs/org"}
        if server.is_down:
            self.reply(502, {"message": "Bad Gateway"})
        elif self.path == "/user":
            person = {"login": who, "name": f"{who.title()} <b>", "email": f"{who}@example.org"}
            self.reply(200, {"id": IDS[token], **person})
        elif (found := re.fullmatch(r"/user/(\d+)", self.path)) and int(found[1]) in server.logins:
            self.reply(200, {"id": int(found[1]), "login": server.logins[int(found[1])]})
        elif self.path == "/orgs/org":
            self.reply(200, org)
        elif found := re.fullmatch(r"/orgs/org/public_members/([\w-]+)", self.path):
            self.said(found[1] in server.public_members)
        elif found := re.fullmatch(r"/orgs/org/members/([\w-]+)", self.path):
            if server.status_of_members:
                self.reply(server.status_of_members, {"message": "no"})
            elif token in server.sees_members:
                self.said(found[1] in server.members)
            else:
                self.reply(302)
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


def login(github: GitHub, org: str = "org", token: str = "token-of-server") -> GitHubLogin:
    return GitHubLogin("key", "secret", org, token, github.url)


def test_who_is_in_the_organisation_is_let_in(github: GitHub) -> None:
    assert login(github).person("code-of-dora") == Person(1, "dora", "Dora <b>", "dora@example.org")
    with pytest.raises(Error, match="mallory is not in the GitHub organisation org") as refused:
        login(github).person("code-of-mallory")
    assert refused.value.code is Code.FORBIDDEN
    assert login(github, org="").person("code-of-mallory").login == "mallory"


def test_what_github_does_not_know_or_say_is_said_plainly(github: GitHub) -> None:
    with pytest.raises(Error, match="GitHub refused") as refused:
        login(github).person("guessed")
    assert refused.value.code is Code.UNAVAILABLE
    github.is_down = True
    with pytest.raises(Error, match="GitHub refused"):
        login(github).person("code-of-dora")


def test_private_members_can_log_in_without_the_servers_token(github: GitHub) -> None:
    """Their own token says it, if they are asked for the scope that it takes."""
    mine = login(github, token="")
    assert parse_qs(urlsplit(mine.login_url("s", "https://x/")).query)["scope"] == ["read:org"]
    for other in (login(github), login(github, org="", token="")):
        assert "scope" not in parse_qs(urlsplit(other.login_url("s", "https://x/")).query)
    github.sees_members = {"dora", "mallory"}
    assert mine.person("code-of-dora").login == "dora"
    with pytest.raises(Error, match="mallory is not in the GitHub organisation org"):
        mine.person("code-of-mallory")


def test_a_token_that_sees_no_private_members_says_nobody_has_left(github: GitHub) -> None:
    """GitHub's 302 is no "no", and neither is a refusal."""
    github.sees_members = set()
    with pytest.raises(Error, match="GitHub does not tell GITHUB_TOKEN whether dora is in the organisation") as unknown:
        login(github).is_member(1)
    assert unknown.value.code is Code.UNAVAILABLE
    github.public_members = {"dora"}
    assert login(github).is_member(1)
    assert login(github, token="").is_member(1)
    github.sees_members = {"server"}
    for status in (401, 403, 429, 500):
        github.status_of_members = status
        with pytest.raises(Error) as unknown:
            login(github).is_member(1)
        assert unknown.value.code is Code.UNAVAILABLE


def test_an_account_that_is_gone_is_out_and_a_renamed_one_is_not(github: GitHub) -> None:
    github.logins[1] = "dora-the-second"
    github.members = {"dora-the-second"}
    assert login(github).is_member(1)
    github.members = {"dora"}  # whoever has the name now
    assert not login(github).is_member(1)
    del github.logins[1]
    for mine in (login(github), login(github, org=""), login(github, org="", token="")):
        assert not mine.is_member(1)
    with pytest.raises(Error, match="GitHub refused"):
        login(github, org="no-such-organisation").is_member(2)


DORA = 1


def test_membership_is_asked_again_after_ten_minutes_and_waited_for_after_an_hour(tmp_path: Path) -> None:
    now, asked, is_down = [1e9], [], [False]
    members = {DORA}

    def is_member(number: int) -> bool:
        asked.append(number)
        if is_down[0]:
            raise Error(Code.UNAVAILABLE, "GitHub is down")
        return number in members

    private = PrivateStore(tmp_path / "private.sqlite3")
    membership = Membership(is_member, private, lambda: now[0])
    membership.joined(DORA)
    assert not membership.is_out(DORA)
    assert not membership.is_out(None)
    assert asked == []  # logging in had asked
    members.clear()
    now[0] += EVERY_SECONDS
    membership.is_out(DORA)
    until(lambda: membership.is_out(DORA))
    assert asked == [DORA]
    is_down[0] = True
    now[0] += EVERY_SECONDS
    membership.is_out(DORA)
    until(lambda: len(asked) == 2)
    assert membership.is_out(DORA)  # what GitHub last said stands
    again = Membership(is_member, private, lambda: now[0])
    assert again.is_out(DORA)  # also over a restart
    membership.joined(DORA)
    assert not membership.is_out(DORA)
    is_down[0] = False
    now[0] += WAITED_FOR_SECONDS
    assert membership.is_out(DORA)  # at once: what was known is too old to let somebody in by
    private.close()


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
            assert "github_id: 1" in git(tmp_path / "state.git", "show", "main:users/dora.yaml")
        with httpx.Client(transport=transport, base_url="http://jobs.example") as browser:
            state = parse_qs(urlsplit(browser.get("/login/github/").headers["Location"]).query)["state"][0]
            refused = browser.get("/login/github/callback/", params={"code": "code-of-mallory", "state": state})
            assert refused.status_code == 403
            assert browser.get("/settings/").status_code == 303
        assert "dora" in git(tmp_path / "state.git", "ls-tree", "-r", "--name-only", "main")
        assert "mallory" not in git(tmp_path / "state.git", "ls-tree", "-r", "--name-only", "main")
    finally:
        server.close()
