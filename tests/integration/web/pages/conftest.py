"""A server in this process with a study, a backend and a workspace, and browsers without JavaScript."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from jobserver import bootstrap
from jobserver.cli.login_link import login_path
from jobserver.config.settings import Settings
from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.workspaces import AddWorkspace
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.serving.server import Server, serve
from tests.e2e.harness import STUDY, git
from tests.e2e.pages.browser import Browser

ROOT = Actor(ActorKind.USER, "root")


class Place:
    """A server in this process, and root's browser."""

    def __init__(self, server: Server) -> None:
        self.server, self.app = server, server.app
        self.private = PrivateStore(server.app.settings.private_store)
        self.browser = self.visitor()
        self.log_in(self.browser, "root")

    def visitor(self) -> httpx.Client:
        return httpx.Client(transport=httpx.WSGITransport(app=self.server.wsgi), base_url="http://jobs.example")

    def log_in(self, browser: httpx.Client, username: str) -> httpx.Response:
        link = login_path(self.app.settings, username)
        reply = browser.post(link, data={"form": Browser.token(browser.get(link))})
        assert reply.status_code == 303
        return reply

    def submit(self, path: str, page: str = "", **fields: object) -> httpx.Response:
        form = Browser.token(self.browser.get(page or path))
        return self.browser.post(path, data={"form": form, **fields})


def settings_in(folder: Path) -> Settings:
    return Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://jobs.example",
        state_repo=folder / "state.git",
        study_repos=folder / "studies",
        admin_users="root",
        email_backend="console",
    )


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repositories with which each test begins, to copy."""
    folder = tmp_path_factory.mktemp("founded")
    study = folder / "studies" / "study"
    study.mkdir(parents=True)
    (study / "project.yaml").write_text(STUDY)
    git(study, "init", "-q", "-b", "main")
    git(study, "add", ".")
    git(study, "commit", "-qm", "a study")
    app = bootstrap.create(settings_in(folder))
    app.gate.submit(ROOT, AddBackend("tpp", "a" * 64, databases=("full",)), "test")
    app.gate.submit(ROOT, AddWorkspace("trends", "study", "main"), "test")
    app.close()
    return folder


@pytest.fixture
def place(tmp_path: Path, founded: Path) -> Iterator[Place]:
    """Backend tpp, and the workspace trends of the study."""
    with opened(tmp_path, founded) as place:
        yield place


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, founded: Path) -> Iterator[Place]:
    """One for all tests of a module that change nothing for each other."""
    with opened(tmp_path_factory.mktemp("shared"), founded) as place:
        yield place


@contextmanager
def opened(folder: Path, founded: Path) -> Iterator[Place]:
    shutil.copytree(founded, folder, dirs_exist_ok=True)
    server = serve(settings_in(folder))
    try:
        place = Place(server)
        yield place
        place.private.close()
    finally:
        server.close()
