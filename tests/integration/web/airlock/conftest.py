"""A server in this process with two backends, each with an Airlock, and people who ask for files and check them."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from jobserver import bootstrap
from jobserver.cli.login_link import login_path
from jobserver.config.settings import Settings
from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.orgs import AddOrg
from jobserver.domain.plan import Command
from jobserver.domain.projects import AddProject, SetProjectMember
from jobserver.domain.users import AddUser, AddUserToken
from jobserver.domain.workspaces import AddWorkspace
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.accounts.tokens import token_digest
from jobserver.serving.server import Server, serve
from tests.e2e.harness import git
from tests.e2e.pages.browser import Browser

ROOT = Actor(ActorKind.USER, "root")


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Place:
    """Alice develops in the project of the workspace `trends`; carol, dave and erin check outputs."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self.server, self.clock, self._count = server, clock, 0
        for command in (
            AddBackend("tpp", token_digest("token of tpp")),
            AddBackend("emis", token_digest("token of emis")),
            AddUser("alice", "Alice Ng"),
            AddUser("bob"),
            *(AddUser(name, roles=(Role.OUTPUT_CHECKER,)) for name in ("carol", "dave", "erin")),
            *(AddUserToken(name, "script", token_digest(f"token of {name}")) for name in ("alice", "bob", "carol")),
            AddOrg("lab", "The Lab"),
            AddProject("lab/trends", "Trends over time"),
            SetProjectMember("lab/trends", "alice", (Role.PROJECT_DEVELOPER,)),
            SetProjectMember("lab/trends", "carol", (Role.PROJECT_COLLABORATOR,)),
            AddWorkspace("trends", "study", "main", project="lab/trends"),
            AddWorkspace("elsewhere", "study", "main"),
        ):
            self.do(command)
        self.private = PrivateStore(server.app.settings.private_store)
        self.private.set_email("alice", "Alice@example.org")

    def do(self, command: Command, actor: Actor = ROOT) -> Any:
        return self.server.app.gate.submit(actor, command, "test")

    def client(self, **headers: str) -> httpx.Client:
        transport = httpx.WSGITransport(app=self.server.wsgi)
        return httpx.Client(transport=transport, base_url="http://jobs.example", headers=headers)

    def call(self, method: str, path: str, token: str = "token of tpp", **values: Any) -> httpx.Response:
        headers = {"Authorization": token, "Accept": "application/json", **values.pop("headers", {})}
        with self.client(**headers) as airlock:
            return airlock.request(method, f"/api/v2{path}", **values)

    def new_id(self) -> str:
        """As Airlock's are."""
        self._count += 1
        return f"01J9ZQ4V8N6T3W5X7Y9A{self._count:06d}"

    def tell(self, release: str, event: str, user: str, backend: str = "tpp", **values: Any) -> httpx.Response:
        data = {
            "event_type": f"request_{event}",
            "workspace": "trends",
            "request": release,
            "request_author": "alice",
            "user": user,
            "updates": None,
            **values,
        }
        headers = {"OS-User": str(user), "Content-Type": "application/json"}
        token = f"token of {backend}"
        return self.call("POST", "/airlock/events/", token, content=json.dumps(data), headers=headers)

    def document(self, release: str, backend: str = "tpp") -> str:
        return self.git("show", f"backends/{backend}:releases/trends/{release}.yaml")

    def words(self, username: str = "alice") -> str:
        """A new one-time token, as the person sees it on the settings page."""
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

    def git(self, *arguments: str) -> str:
        return str(git(self.server.app.settings.state_repo, *arguments))


@pytest.fixture(scope="module")
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """With the settings that the module names in `SETTINGS`."""
    folder = tmp_path_factory.mktemp("airlock")
    (folder / "released").mkdir()
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://jobs.example",
        state_repo=folder / "state.git",
        release_storage=folder / "released",
        admin_users="root",
        **getattr(request.module, "SETTINGS", {}),
    )
    clock = Clock()
    bootstrap.create(settings).close()
    made = serve(settings, clock)
    yield Place(made, clock)
    made.close()


@pytest.fixture
def place(filled: Place) -> Iterator[Place]:
    yield filled
    filled.clock.ahead = timedelta()
