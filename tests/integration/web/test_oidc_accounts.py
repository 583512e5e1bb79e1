"""Logging in with OpenID Connect through the pages: whose account it is, and how an account is connected."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from jobserver import bootstrap
from jobserver.cli.login_link import login_path
from jobserver.config.settings import Settings
from jobserver.domain.accounts import oidc_id
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.plan import Command
from jobserver.domain.users import AddUser, DisableUser, SetUserRoles
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.serving.server import Server, serve
from tests.e2e.harness import git
from tests.e2e.pages.browser import Browser
from tests.integration.service.accounts.fake_oidc import CLIENT, SECRET, Provider, provider

ROOT = Actor(ActorKind.USER, "root")


class Place:
    """A server in this process, with an OpenID Connect provider."""

    def __init__(self, server: Server, provider: Provider) -> None:
        self.server, self.provider = server, provider

    def browser(self) -> httpx.Client:
        return httpx.Client(transport=httpx.WSGITransport(app=self.server.wsgi), base_url="http://jobs.example")

    def come_back(self, browser: httpx.Client, url: str, subject: str, **changed: str) -> httpx.Response:
        return browser.get("/login/oidc/callback/", params=self.provider.authorize(url, subject) | changed)

    def enter(self, browser: httpx.Client, subject: str, **changed: str) -> httpx.Response:
        return self.come_back(browser, browser.get("/login/oidc/").headers["Location"], subject, **changed)

    def by_link(self, browser: httpx.Client, username: str) -> None:
        link = login_path(self.server.app.settings, username)
        assert browser.post(link, data={"form": Browser.token(browser.get(link))}).status_code == 303

    def submit(self, browser: httpx.Client, what: str) -> httpx.Response:
        return browser.post("/settings/", data={"form": Browser.token(browser.get("/settings/")), "what": what})

    def connect(self, browser: httpx.Client) -> str:
        """The URL of the provider that the page leads to."""
        link = re.search(r'href="(http://127[^"]+)"', self.submit(browser, "connect").text)
        assert link
        return link[1].replace("&amp;", "&")

    def do(self, command: Command) -> None:
        self.server.app.gate.submit(ROOT, command, "test")

    def users(self) -> list[str]:
        return git(self.server.app.settings.state_repo, "ls-tree", "--name-only", "main:users").split()

    def document(self, username: str) -> str:
        return git(self.server.app.settings.state_repo, "show", f"main:users/{username}.yaml")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with provider() as made:
        made.people["sub-mallory"] = {"preferred_username": "dora"}
        settings = Settings.from_env(
            _env_file=None,
            secret_key="0123456789abcdef",
            base_url="http://jobs.example",
            state_repo=tmp_path / "state.git",
            admin_users="root",
            oidc_issuer=made.url,
            oidc_client_id=CLIENT,
            oidc_client_secret=SECRET,
            oidc_name="the university",
        )
        bootstrap.create(settings).close()
        server = serve(settings)
        yield Place(server, made)
        server.close()


def test_the_whole_way_through_the_pages(place: Place) -> None:
    place.provider.people["sub-dora"] |= {"email": "dora@example.org", "email_verified": True}
    with place.browser() as browser:
        page = browser.get("/login/?next=/jobs/").text
        assert "Continue with the university" in page
        assert "GitHub" not in page
        entered = place.enter(browser, "sub-dora")
        assert (entered.status_code, entered.headers["Location"]) == (303, "/jobs/")
        settings = browser.get("/settings/").text
        assert "dora@example.org" in settings
        assert "Your account is connected to the university." in settings
        assert "You have no roles on this server." in settings
        out = browser.post("/logout/", data={"form": Browser.token(browser.get("/settings/"))})
        assert out.headers["Location"] == "/login/"
        assert browser.get("/settings/").status_code == 303
        sent = urlsplit(browser.get("/login/oidc/logout/").headers["Location"])
        assert parse_qs(sent.query)["post_logout_redirect_uri"] == ["http://jobs.example/login/"]
    document = place.document("dora")
    assert "name: Dora D" in document
    assert oidc_id(place.provider.url, "sub-dora") in document
    assert "sub-dora" not in document
    assert "example.org" not in document
    with place.browser() as browser:
        place.provider.people["sub-dora"] = {"preferred_username": "renamed"}
        assert place.enter(browser, "sub-dora").status_code == 303
    assert place.users() == ["dora.yaml", "root.yaml"]


def test_a_name_gives_its_next_owner_nothing(place: Place) -> None:
    with place.browser() as browser:
        assert place.enter(browser, "sub-dora").status_code == 303
    place.do(SetUserRoles("dora", (Role.SUPER_USER,)))
    for name in ("dora", "DORA", "root"):
        place.provider.people["sub-mallory"] = {"preferred_username": name}
        with place.browser() as browser:
            refused = place.enter(browser, "sub-mallory")
            assert refused.status_code == 403
            assert f"he username {'root' if name == 'root' else 'dora'} is taken" in refused.text
            assert "ask dora, root" in refused.text
            assert browser.get("/settings/").status_code == 303


def test_an_earlier_address_is_not_a_new_persons(place: Place) -> None:
    private = PrivateStore(place.server.app.settings.private_store)
    private.set_email("dora", "earlier@example.org")
    with place.browser() as browser:
        assert place.enter(browser, "sub-dora").status_code == 303
    assert private.email("dora") == ""
    private.close()


def test_a_forged_or_foreign_answer_logs_nobody_in(place: Place) -> None:
    with place.browser() as browser, place.browser() as other:
        url = other.get("/login/oidc/").headers["Location"]
        assert place.come_back(browser, url, "sub-dora").status_code == 403  # without a cookie
        browser.get("/login/oidc/")
        assert place.come_back(browser, url, "sub-mallory").status_code == 403  # another browser's login
        for changed in ({"state": "forged"}, {"state": "\u0660"}, {"iss": "https://other.example"}, {"code": "forged"}):
            assert place.enter(browser, "sub-dora", **changed).status_code == 403, changed
        refused = place.enter(browser, "sub-dora", error="access_denied")
        assert "he university refused the login (access_denied)" in refused.text
        assert browser.get("/settings/").status_code == 303
    assert place.users() == ["root.yaml"]


def test_a_disabled_person_stays_out(place: Place) -> None:
    with place.browser() as browser:
        assert place.enter(browser, "sub-dora").status_code == 303
        place.do(DisableUser("dora"))
        assert browser.get("/settings/").status_code == 303
        refused = place.enter(browser, "sub-dora")
        assert (refused.status_code, "he account dora is disabled" in refused.text) == (403, True)


def test_an_account_is_connected_and_disconnected_by_its_owner(place: Place) -> None:
    with place.browser() as root, place.browser() as browser:
        place.by_link(root, "root")
        assert place.come_back(root, place.connect(root), "sub-dora").headers["Location"] == "/settings/"
        assert place.enter(browser, "sub-dora").status_code == 303
        assert browser.get("/users/").status_code == 200  # root's own rights
        assert "Connected to the university" in browser.get("/users/root/").text
        assert place.submit(root, "disconnect").status_code == 303
        assert browser.get("/settings/").status_code == 303  # the sessions that the connection began end
        assert root.get("/settings/").status_code == 200
    assert "oidc_id" not in place.document("root")


def test_nobody_connects_another_persons_account(place: Place) -> None:
    place.do(AddUser("alice"))
    with place.browser() as root, place.browser() as mallory, place.browser() as stranger:
        place.by_link(root, "root")
        place.by_link(mallory, "alice")
        own = place.provider.authorize(place.connect(mallory), "sub-mallory")
        place.connect(root)
        assert root.get("/login/oidc/callback/", params=own).status_code == 403  # as a link of mallory's would do
        place.by_link(mallory, "root")  # somebody else is logged in when the browser comes back
        assert mallory.get("/login/oidc/callback/", params=own).status_code == 403
        place.by_link(mallory, "alice")
        assert place.come_back(mallory, place.connect(mallory), "sub-mallory").status_code == 303
        refused = place.come_back(root, place.connect(root), "sub-mallory")
        assert (refused.status_code, "connected to the account alice here" in refused.text) == (403, True)
        assert stranger.post("/settings/", data={"what": "connect"}).status_code == 303
    assert "oidc_id" not in place.document("root")


def test_a_provider_that_is_down_is_named(place: Place) -> None:
    place.provider.broken["/.well-known/openid-configuration"] = 503, b""
    with place.browser() as browser:
        answer = browser.get("/login/oidc/")
        assert (answer.status_code, "he university answered 503" in answer.text) == (503, True)
        assert browser.get("/login/").status_code == 200
