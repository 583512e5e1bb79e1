"""Logging in with GitHub through the pages: whose account it is, and who goes on when GitHub says no."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from jobserver import bootstrap
from jobserver.cli.login_link import login_path
from jobserver.config.settings import Settings
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.plan import Command
from jobserver.domain.users import AddUser, AddUserToken, DisableUser, EnableUser, SetUserRoles
from jobserver.service.accounts import membership
from jobserver.service.accounts.github import GitHubLogin
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.accounts.tokens import new_token
from jobserver.serving import from_settings
from jobserver.serving.server import Server, serve
from tests.e2e.harness import git
from tests.e2e.pages.browser import Browser
from tests.integration.service.accounts.fake_github import IDS, GitHub
from tests.integration.service.accounts.fake_github import github as fake

ROOT = Actor(ActorKind.USER, "root")


class Place:
    """A server with GitHub's login, in this process."""

    def __init__(self, server: Server, github: GitHub) -> None:
        self.server, self.github = server, github
        self.state = server.app.settings.state_repo

    def browser(self, **headers: str) -> httpx.Client:
        transport = httpx.WSGITransport(app=self.server.wsgi)
        return httpx.Client(transport=transport, base_url="http://jobs.example", headers=headers)

    def enter(self, browser: httpx.Client, who: str) -> httpx.Response:
        sent = urlsplit(browser.get("/login/github/").headers["Location"])
        back = {"code": f"code-of-{who}", "state": parse_qs(sent.query)["state"][0]}
        return browser.get("/login/github/callback/", params=back)

    def by_link(self, browser: httpx.Client, who: str) -> None:
        link = login_path(self.server.app.settings, who)
        assert browser.post(link, data={"form": Browser.token(browser.get(link))}).status_code == 303

    def do(self, command: Command) -> None:
        self.server.app.gate.submit(ROOT, command, "test")

    def token(self, who: str) -> str:
        secret, digest = new_token()
        self.do(AddUserToken(who, "laptop", digest))
        return secret

    def document(self, who: str) -> str:
        return git(self.state, "show", f"main:users/{who}.yaml")


@contextmanager
def placed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with fake() as github:
        monkeypatch.setattr(from_settings, "GitHubLogin", functools.partial(GitHubLogin, url=github.url))
        settings = Settings.from_env(
            _env_file=None,
            secret_key="0123456789abcdef",
            base_url="http://jobs.example",
            state_repo=folder / "state.git",
            admin_users="root",
            social_auth_github_key="key",
            social_auth_github_secret="secret",
            github_org="org",
            github_token="token-of-server",
        )
        bootstrap.create(settings).close()
        server = serve(settings)
        try:
            yield Place(server, github)
        finally:
            server.close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with placed(tmp_path, monkeypatch) as made:
        yield made


def test_the_whole_way_through_the_pages(place: Place) -> None:
    with place.browser() as browser:
        assert "/login/github/" in browser.get("/login/?next=/jobs/").text
        sent = urlsplit(browser.get("/login/github/").headers["Location"])
        asked = parse_qs(sent.query)
        assert f"{sent.scheme}://{sent.netloc}{sent.path}" == f"{place.github.url}/login/oauth/authorize"
        assert asked["client_id"] == ["key"]
        assert asked["redirect_uri"] == ["http://jobs.example/login/github/callback/"]
        back = {"code": "code-of-dora", "state": asked["state"][0]}
        forged = browser.get("/login/github/callback/", params={**back, "state": "forged"})
        assert forged.status_code == 403
        entered = browser.get("/login/github/callback/", params=back)
        assert (entered.status_code, entered.headers["Location"]) == (303, "/jobs/")
        assert "Dora &lt;b&gt;" in browser.get("/settings/").text or "dora" in browser.get("/settings/").text
        assert "dora@example.org" in browser.get("/settings/").text
        assert place.github.asked.count("/orgs/org/members/dora") == 1  # not per page
        assert "github_id: 1" in place.document("dora")
    with place.browser() as browser:
        assert place.enter(browser, "mallory").status_code == 403
        assert browser.get("/settings/").status_code == 303
    assert "dora" in git(place.state, "ls-tree", "-r", "--name-only", "main")
    assert "mallory" not in git(place.state, "ls-tree", "-r", "--name-only", "main")


def test_a_freed_name_does_not_give_its_next_owner_the_account(place: Place) -> None:
    """dora gives her name up, and mallory takes it; dora goes on under her new one."""
    with place.browser() as browser:
        assert place.enter(browser, "dora").status_code == 303
    place.do(SetUserRoles("dora", (Role.SUPER_USER,)))
    place.github.logins = {1: "dora-2", 2: "Dora"}
    place.github.members = {"dora-2", "Dora"}
    with place.browser() as browser:
        refused = place.enter(browser, "mallory")
        assert refused.status_code == 403
        assert "user dora here belongs to another account on GitHub" in refused.text
        assert "ask dora, root" in refused.text
        assert browser.get("/settings/").status_code == 303
    with place.browser() as browser:
        assert place.enter(browser, "dora").status_code == 303
        assert browser.get("/users/").status_code == 200  # her own rights
    assert git(place.state, "ls-tree", "--name-only", "main:users").split() == ["dora.yaml", "root.yaml"]
    place.do(AddUser("mallory", github_id=IDS["mallory"]))  # as `user add --github-id` does
    with place.browser() as browser:
        assert place.enter(browser, "mallory").status_code == 303
        assert ">mallory</a>" in browser.get("/settings/").text


def test_a_user_added_by_name_is_bound_and_a_superuser_is_told(place: Place) -> None:
    place.do(AddUser("Dora", roles=(Role.AUDITOR,)))
    with place.browser() as browser:
        assert place.enter(browser, "dora").status_code == 303
    assert "github_id: 1" in place.document("Dora")
    said = "Dora logged in for the first time, as GitHub user dora (id 1)"
    with place.browser() as root, place.browser() as dora:
        place.by_link(root, "root")
        place.by_link(dora, "Dora")
        assert said in root.get("/").text
        assert said not in dora.get("/").text
        page = root.get("/users/Dora/").text
        assert "GitHub user id 1" in page
        form = {"form": Browser.token(root.get("/users/Dora/")), "what": "seen"}
        assert dora.post("/users/Dora/", data={**form, "form": Browser.token(dora.get("/"))}).status_code == 403
        assert said in root.get("/").text
        assert root.post("/users/Dora/", data=form).status_code == 303
        assert said not in root.get("/").text


def test_tokens_and_sessions_end_when_their_owner_leaves(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The organisation, or GitHub altogether."""
    monkeypatch.setattr(membership, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(membership, "WAITED_FOR_SECONDS", 0.0)
    with place.browser() as browser, place.browser() as token:
        assert place.enter(browser, "dora").status_code == 303
        token.headers["Authorization"] = place.token("dora")
        for leave in (place.github.members.clear, functools.partial(place.github.logins.pop, 1)):
            assert browser.get("/settings/").status_code == 200
            assert token.get("/api/v2/job-requests/").status_code == 200
            leave()
            assert token.get("/api/v2/job-requests/").status_code == 403
            assert "has left" in token.get("/api/v2/job-requests/").json()["detail"]
            assert browser.get("/settings/").status_code == 303
            place.github.members.add("dora")
        place.github.logins[1] = "dora"
        assert token.get("/api/v2/job-requests/").status_code == 200
        place.github.is_down = True
        assert token.get("/api/v2/job-requests/").status_code == 200  # silence locks nobody out


def test_another_organisation_of_the_same_name_lets_nobody_in(place: Place) -> None:
    with place.browser() as dora, place.browser() as mallory:
        assert place.enter(dora, "dora").status_code == 303
        place.github.org_id, place.github.members = 666, {"mallory"}
        refused = place.enter(mallory, "mallory")
        assert refused.status_code == 503
        assert "now, with the id 666" in refused.text
        assert dora.get("/settings/").status_code == 200
    assert "mallory" not in git(place.state, "ls-tree", "-r", "--name-only", "main")


def test_links_end_with_the_sessions(place: Place) -> None:
    """A link that was made before somebody was switched off is none after they are switched on again."""
    place.do(AddUser("dora"))
    link = login_path(place.server.app.settings, "dora")
    with place.browser() as browser:
        assert browser.get(link).status_code == 200
        place.do(DisableUser("dora"))
        place.do(EnableUser("dora"))
        assert browser.get(link).status_code == 410


@pytest.mark.parametrize(
    ("said", "email"), [({"name": "Do\tra\x7f"}, "dora@example.org"), ({"email": "dora@localhost"}, "")]
)
def test_no_name_or_address_on_github_stops_a_log_in(
    place: Place, monkeypatch: pytest.MonkeyPatch, said: dict[str, str], email: str
) -> None:
    """On GitHub, where they may write more than can be kept here. An earlier dora's address is not hers."""
    private = PrivateStore(place.server.app.settings.private_store)
    private.set_email("dora", "earlier@example.org")
    monkeypatch.setattr(place.github, "said_of_themselves", said)
    with place.browser() as browser:
        assert place.enter(browser, "dora").status_code == 303
    assert private.email("dora") == email
    private.set_email("zed", "earlier@example.org")
    with place.browser() as root:
        place.by_link(root, "root")
        form = {"form": Browser.token(root.get("/users/")), "username": "zed"}
        assert root.post("/users/", data=form).status_code == 303
    assert private.email("zed") == ""
    private.close()
