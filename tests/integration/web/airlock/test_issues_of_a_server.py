"""A server with OUTPUT_CHECKING_REPOS opens the issue of a request that Airlock tells about, and names its trouble."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.service.notify.issues.client import Issues
from jobserver.serving import messages
from jobserver.serving.server import serve
from tests.e2e.harness import until
from tests.integration.service.notify.fake_issues import FakeIssues, fake_issues
from tests.integration.web.airlock.conftest import Clock, Place


@pytest.fixture
def github() -> Iterator[FakeIssues]:
    with fake_issues() as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, github: FakeIssues, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(messages, "Issues", partial(Issues, url=github.url))
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://jobs.example",
        state_repo=tmp_path / "state.git",
        admin_users="root",
        output_checking_repos="org/outputs",
        github_token="secret",
    )
    clock = Clock()
    bootstrap.create(settings).close()
    made = serve(settings, clock)
    yield Place(made, clock)
    made.close()


def test_a_request_of_airlock_gets_its_issue(place: Place, github: FakeIssues) -> None:
    until(lambda: place.private.notified("backends/tpp") is not None)  # of a new branch, nothing is news
    github.trouble = 503
    release = place.new_id()
    assert place.tell(release, "submitted", "alice").json() == {"status": "ok"}
    until(lambda: github.calls != [])
    with place.client() as anybody:
        until(lambda: "503" in str(anybody.get("/health-check/").json()["issues"]))
    github.trouble = 0
    until(lambda: len(github.issues["org/outputs"]) == 1)  # the server tries again by itself
    assert github.issues["org/outputs"][0]["title"] == f"trends {release}"
