"""Logging in to Airlock with three words from the settings page, in the shapes that Airlock's own client reads."""

import re
import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from jobserver import bootstrap, serving
from jobserver.cli.login_link import login_path
from jobserver.config.settings import Settings
from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.orgs import AddOrg
from jobserver.domain.projects import AddProject, SetProjectMember
from jobserver.domain.users import AddUser, DisableUser, EnableUser
from jobserver.domain.workspaces import AddWorkspace, ChangeWorkspace, ConnectWorkspace
from jobserver.service.accounts.one_time import known_words
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.accounts.tokens import token_digest
from tests.e2e.pages.browser import Browser

ROOT = Actor(ActorKind.USER, "root")


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Place:
    """A server in this process with two backends, whose Airlock has a token each, and Alice with a workspace."""

    def __init__(self, server: serving.Server, clock: Clock) -> None:
        self.server, self.clock = server, clock
        gate = server.app.gate
        for command in (
            AddBackend("tpp", token_digest("token of tpp")),
            AddBackend("emis", token_digest("token of emis")),
            AddUser("alice", "Alice Ng"),
            AddUser("carol", roles=(Role.OUTPUT_CHECKER,)),
            AddOrg("lab", "The Lab"),
            AddProject("lab/trends", "Trends over time"),
            SetProjectMember("lab/trends", "alice", (Role.PROJECT_DEVELOPER,)),
            SetProjectMember("lab/trends", "carol", (Role.PROJECT_COLLABORATOR,)),
            AddWorkspace("trends", "study", "main", project="lab/trends"),
            AddWorkspace("elsewhere", "study", "main"),
        ):
            gate.submit(ROOT, command, "test")
        self.private = PrivateStore(server.app.settings.private_store)
        self.private.set_email("alice", "Alice@example.org")

    def client(self, **headers: str) -> httpx.Client:
        transport = httpx.WSGITransport(app=self.server.wsgi)
        return httpx.Client(transport=transport, base_url="http://jobs.example", headers=headers)

    def words(self, username: str = "alice") -> str:
        """A new token, as the person sees it on the settings page."""
        with self.client() as browser:
            link = login_path(self.server.app.settings, username)
            browser.post(link, data={"form": Browser.token(browser.get(link))})
            form = Browser.token(browser.get("/settings/"))
            browser.post("/settings/", data={"form": form, "what": "one-time"})
            page = browser.get("/settings/").text
            assert "Your one-time token." in page
            assert "Your one-time token." not in browser.get("/settings/").text  # it is shown once
        shown = re.search(r"<pre><code>([^<]+)</code></pre>", page)
        assert shown is not None
        return shown[1]

    def enter(self, user: str, token: str, backend: str = "tpp") -> httpx.Response:
        with self.client(Authorization=f"token of {backend}") as airlock:
            return airlock.post("/api/v2/releases/authenticate", json={"user": user, "token": token})

    def authorise(self, user: str) -> httpx.Response:
        with self.client(Authorization="token of tpp") as airlock:
            return airlock.post("/api/v2/releases/authorise", json={"user": user, "tenant": "from a newer Airlock"})

    def git(self, *arguments: str) -> str:
        from tests.e2e.harness import git

        return str(git(self.server.app.settings.state_repo, *arguments))


@pytest.fixture(scope="module")
def server_and_clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[serving.Server, Clock]]:
    folder = tmp_path_factory.mktemp("airlock")
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://jobs.example",
        state_repo=folder / "state.git",
        admin_users="root",
    )
    clock = Clock()
    bootstrap.create(settings).close()
    made = serving.serve(settings, clock)
    yield made, clock
    made.close()


@pytest.fixture(scope="module")
def filled(server_and_clock: tuple[serving.Server, Clock]) -> Place:
    return Place(*server_and_clock)


@pytest.fixture
def place(filled: Place) -> Iterator[Place]:
    yield filled
    filled.clock.ahead = timedelta()


def test_three_words_log_a_person_in_once(place: Place) -> None:
    words = place.words()
    assert len(words.split()) == 3
    reply = place.enter("alice", words)
    assert reply.status_code == 200
    assert reply.json() == {
        "username": "alice",
        "fullname": "Alice Ng",
        "workspaces": {
            "trends": {
                "project_details": {"name": "Trends over time", "ongoing": True, "orgs": ["The Lab"]},
                "archived": False,
            }
        },
        "copiloted_workspaces": {},
        "output_checker": False,
        "readonly_access": False,
    }
    again = place.enter("alice", words)
    assert (again.status_code, again.json()) == (
        403,
        {"detail": "The user or the one-time token is wrong: each token works once"},
    )


def test_the_record_says_who_logged_in_where_and_never_the_words(place: Place) -> None:
    words = place.words()
    commit = place.enter("alice", words, "emis").headers["X-Commit"]
    log = place.git("log", "-2", "-p", "--format=%an %s%n%b", commit)
    assert "alice logged in to Airlock on emis" in log
    assert "Event: user.one-time-token-used" in log
    assert "Event: user.one-time-token-created" in log
    assert words not in log
    assert "one_time_token" not in place.git("show", f"{commit}:users/alice.yaml")


def test_the_address_and_the_spelling_are_forgiven(place: Place) -> None:
    words = place.words()
    assert place.enter("alice@EXAMPLE.org", f"  {words.title().replace(' ', '-')} ").status_code == 200
    assert place.enter(" alice ", place.words().replace(" ", "")).status_code == 200


def test_a_newer_token_ends_the_one_before(place: Place) -> None:
    first, second = place.words(), place.words()
    assert place.enter("alice", first).status_code == 403
    assert place.enter("alice", second).status_code == 200


def test_a_token_works_for_its_person_only_and_for_an_hour(place: Place) -> None:
    words = place.words()
    assert place.enter("carol", words).status_code == 403
    place.clock.ahead = timedelta(minutes=61)
    late = place.enter("alice", words)
    assert late.status_code == 403
    assert late.json() == {"detail": "The one-time token has expired: create a new one on the settings page"}


def test_a_person_who_was_disabled_needs_a_new_token(place: Place) -> None:
    words = place.words()
    gate = place.server.app.gate
    gate.submit(ROOT, DisableUser("alice"), "test")
    assert place.enter("alice", words).status_code == 403
    assert place.authorise("alice").status_code == 403
    gate.submit(ROOT, EnableUser("alice"), "test")
    assert place.enter("alice", words).status_code == 403
    assert place.enter("alice", place.words()).status_code == 200


def test_guessing_ends_after_ten_tries(place: Place) -> None:
    assert {place.enter("nobody", "acorn acorn acorn").status_code for _ in range(10)} == {403}
    assert "Too many wrong one-time tokens for Nobody" in place.enter("Nobody", "acorn acorn acorn").json()["detail"]
    assert place.enter("alice", place.words()).status_code == 200


def test_authorise_says_what_a_person_may_see(place: Place) -> None:
    checker = place.authorise("carol").json()
    assert (checker["output_checker"], checker["fullname"]) == (True, "carol")
    assert place.authorise("ghost").status_code == 404
    gate = place.server.app.gate
    gate.submit(ROOT, ChangeWorkspace("trends", archived=True), "test")
    assert place.authorise("alice").json()["workspaces"]["trends"]["archived"] is True
    gate.submit(ROOT, ChangeWorkspace("trends", archived=False), "test")
    gate.submit(ROOT, ConnectWorkspace("elsewhere", "lab/trends"), "test")
    assert set(place.authorise("alice").json()["workspaces"]) == {"trends", "elsewhere"}


@pytest.mark.parametrize("path", ["authenticate", "authorise"])
def test_only_a_backend_may_ask(place: Place, path: str) -> None:
    with place.client() as stranger:
        assert stranger.post(f"/api/v2/releases/{path}", json={"user": "alice"}).status_code == 403
    with place.client(Authorization="token of tpp") as airlock:
        assert airlock.post(f"/api/v2/releases/{path}", json=[]).status_code == 400
        assert airlock.post(f"/api/v2/releases/{path}", json={"user": 7}).json()["user"] == [
            "expected text, found a number"
        ]
        assert airlock.get(f"/api/v2/releases/{path}").status_code == 405


def test_the_words_are_many_short_and_easy_to_type() -> None:
    words = known_words()
    assert len(set(words)) == len(words) > 1100
    assert all(2 <= len(word) <= 9 and set(word) <= set(string.ascii_lowercase) for word in words)
