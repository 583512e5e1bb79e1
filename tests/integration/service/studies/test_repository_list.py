"""What a new workspace's page offers: an organisation's repositories, those in a folder, what is in use."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobserver import bootstrap
from jobserver.cli.login_link import login_path
from jobserver.config.settings import Settings
from jobserver.service.studies.local import LocalSource
from jobserver.service.studies.registry import StudyRegistry
from jobserver.serving.server import serve

from .fake_github import FakeGitHub, FakeRepo, fake_github
from .test_local import create, git

START = datetime(2026, 11, 23, 20, 15, tzinfo=UTC)


class Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def server() -> Iterator[FakeGitHub]:
    with fake_github() as running:
        for name in ("org/zoo", "org/Ants", "org/bees", "other/study"):
            running.repos[name] = FakeRepo()
        yield running


def studies_at(server: FakeGitHub, clock: Clock, folder: Path | None = None, org: str = "org") -> StudyRegistry:
    return StudyRegistry(folder, "token", org, clock, github_url=server.url, github_time_out=10)


def test_all_of_an_organisation_over_several_pages(server: FakeGitHub) -> None:
    for number in range(230):
        server.repos[f"org/many-{number:03}"] = FakeRepo()
    found = studies_at(server, Clock()).repositories(30)
    urls = [f"https://github.com/org/{name}" for name in ("Ants", "bees", *(f"many-{n:03}" for n in range(230)), "zoo")]
    assert (list(found.names), found.as_of, found.problem) == (urls, START, "")
    assert len(server.seen) == 3
    assert server.tokens == {"token token"}


@pytest.mark.parametrize("trouble", [(500, "Server Error"), (401, "Bad credentials"), "garbage"], ids=str)
def test_the_last_list_stands_while_github_is_down(server: FakeGitHub, trouble: Any) -> None:
    clock = Clock()
    studies = studies_at(server, clock)
    known = studies.repositories(30)
    server.trouble = trouble
    clock.now += timedelta(minutes=10)
    found = studies.repositories(30)
    assert (found.names, found.as_of) == (known.names, START)
    assert "GitHub" in found.problem


def test_an_organisation_that_is_not_there_is_named(server: FakeGitHub) -> None:
    found = studies_at(server, Clock(), org="nobody").repositories(30)
    assert found.names == ()
    assert found.problem == "GitHub has no organisation 'nobody' (GITHUB_ORG)"


def test_without_an_organisation_github_is_not_asked(server: FakeGitHub) -> None:
    assert studies_at(server, Clock(), org="").repositories(30).names == ()
    assert server.seen == []


def test_local_repositories_and_those_in_folders_of_theirs(
    server: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "studies"
    create(folder / "work-tree")
    create(folder / "work-tree" / "inside")
    create(folder / "team" / "study")
    (folder / "empty").mkdir()
    (folder / "file").write_text("x")
    git(tmp_path, "init", "-q", "--bare", str(folder / "bare.git"))
    create(tmp_path / "outside")
    (folder / "linked").symlink_to(tmp_path / "outside")
    local = ("bare.git", "team/study", "work-tree")
    assert studies_at(server, Clock(), folder, org="").repositories().names == local
    both = studies_at(server, Clock(), folder).repositories(30)
    assert both.names[:3] == local
    assert len(both.names) == 6


def test_a_folder_that_is_gone_is_said(server: FakeGitHub, tmp_path: Path) -> None:
    assert "STUDY_REPOS can't be read" in studies_at(server, Clock(), tmp_path / "gone", org="").repositories().problem
    assert LocalSource(None).repositories(0) == ()


def test_the_page_never_waits_for_github_and_says_what_it_offers(
    server: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(bootstrap, "StudyRegistry", lambda *given, **more: studies_at(server, clock))
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://jobs.example",
        state_repo=tmp_path / "state.git",
        admin_users="root",
        github_org="org",
    )
    bootstrap.create(settings).close()
    link = login_path(settings, "root")
    running = serve(settings)
    try:
        transport = httpx.WSGITransport(app=running.wsgi)
        with httpx.Client(transport=transport, base_url="http://jobs.example") as browser:
            assert browser.get("/workspaces/new/repositories/").status_code == 303
            assert server.seen == []
            form = browser.get(link).text.split('name="form" value="')[1].split('"')[0]
            browser.post(link, data={"form": form})
            server.trouble = "hang"
            page = browser.get("/workspaces/new/").text
            assert "Loading the repositories of org from GitHub" in page
            assert 'data-more="/workspaces/new/repositories/"' in page
            ends = time.monotonic() + 20
            while not server.seen and time.monotonic() < ends:  # until the call that the page began has come
                time.sleep(0.01)
            server.trouble = None
            server.over.set()  # who hangs is let go: an answer that nobody understands
            told = browser.get("/workspaces/new/repositories/").json()
            assert (told["repositories"], "GitHub" in told["hint"]) == ([], True)
            clock.now += timedelta(minutes=1)
            told = browser.get("/workspaces/new/repositories/").json()
            assert told["repositories"] == [f"https://github.com/org/{name}" for name in ("Ants", "bees", "zoo")]
            assert told["hint"] == "Type to search the repositories of org, or paste a URL."
            page = browser.get("/workspaces/new/").text
            assert '<option value="https://github.com/org/Ants">' in page
            assert "data-more" not in page
            server.trouble = (500, "Server Error")
            clock.now += timedelta(minutes=10)
            browser.get("/workspaces/new/repositories/")
            page = browser.get("/workspaces/new/").text
            assert "search the repositories that org had" in page
            assert '<option value="https://github.com/org/zoo">' in page
    finally:
        running.close()
