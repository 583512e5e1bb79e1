"""Pages as they were, and pages without GitHub, in a server in this process."""

import re

import httpx
import pytest

from jobserver.errors import Error, unavailable
from jobserver.service.studies.registry import StudyRegistry
from tests.e2e.harness import git
from tests.e2e.pages.browser import Browser
from tests.integration.web.pages.conftest import Place


def refuse(monkeypatch: pytest.MonkeyPatch, error: Error) -> None:
    def project(*_: object) -> None:
        raise error

    monkeypatch.setattr(StudyRegistry, "project", project)


def test_a_page_as_it_was_names_the_commit_its_time_and_its_actor(place: Place) -> None:
    reply = place.submit("/trends/", requested_actions="generate", backend="tpp")
    own = reply.headers["Location"]
    audit = place.browser.get(f"{own}audit/").text
    assert "All 1 change." in audit
    (sha,) = re.findall(r"\?at=([0-9a-f]{40})", audit)
    then = place.browser.get(f"{own}?at={sha}").text
    date = git(place.app.settings.state_repo, "log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%d %H:%M:%S", sha)
    for part in (
        "as it was on",
        f"{date} UTC",
        f'<code title="{sha}">{sha[:10]}</code> by user/root',
        "root requested",
    ):
        assert part in " ".join(then.split())
    assert "data-since" not in then  # nothing runs on it


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("1900-01-01", "before the first change"),
        ("0001-01-01", "before the first change"),
        ("2999-01-01", "in the future"),
        ("9999-12-31T23:59:59-23:59", "in the future"),
        ("0" * 40, "does not exist"),
        ("19000101", "does not exist"),
        ("yesterday", "expected a commit id, or a time"),
    ],
)
def test_a_time_without_a_state_is_refused(shared: Place, at: str, reason: str) -> None:
    own = shared.submit("/trends/", requested_actions="generate", backend="tpp").headers["Location"]
    for path in (own, "/trends/"):
        reply = shared.browser.get(path, params={"at": at})
        assert (reply.status_code, reason in reply.text) == (400, True)


def test_a_page_without_earlier_versions_does_not_show_today_instead(shared: Place) -> None:
    for path in ("/", "/trends/audit/", "/backends/tpp/", "/jobs/", "/status/", "/settings/"):
        assert shared.browser.get(path, params={"at": "2026-01-01"}).status_code == 400, path


def test_a_workspace_as_it_was_shows_only_what_the_commit_has(place: Place) -> None:
    place.submit("/trends/", requested_actions="generate", backend="tpp")
    audit = place.browser.get("/trends/audit/").text
    (sha,) = re.findall(r"\?at=([0-9a-f]{40})", audit)
    then = place.browser.get(f"/trends/?at={sha}").text
    assert "as it was on" in then
    assert "generate" not in then  # the actions and requests of today


AWAY = unavailable("GitHub can't be reached", "api.github.com")


def test_without_github_the_study_is_not_to_blame_and_the_form_is_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = Browser.token(place.browser.get("/trends/"))
    refuse(monkeypatch, AWAY)
    page = place.browser.get("/trends/").text
    assert "Your project.yaml is not the cause" in page
    assert "correct it, push the change" not in page
    fields = {"requested_actions": ["analyse", "report"], "backend": "tpp", "force_run_dependencies": "on"}
    reply = place.browser.post("/trends/", data={"form": form, **fields})
    assert reply.status_code == 503
    kept = re.findall(r'name="requested_actions" value="(\w+)" checked', reply.text)
    assert kept == ["analyse", "report"]
    assert re.search(r'name="force_run_dependencies" value="on" checked', reply.text)
    monkeypatch.undo()
    again = {"form": Browser.token(reply), **fields}  # type: ignore[arg-type]
    assert place.browser.post("/trends/", data=again).status_code == 303


def test_a_fault_in_the_study_is_to_be_corrected(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, Error("invalid", "no actions"))  # type: ignore[arg-type]
    page = place.browser.get("/trends/").text
    assert "correct it, push the change" in page
    assert "is not the cause" not in page


def test_a_new_workspace_is_kept_while_github_is_away(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise AWAY

    monkeypatch.setattr(StudyRegistry, "resolve", away)
    reply = place.submit(
        "/workspaces/new/", name="lungs", repo="https://github.com/org/lungs", branch="trunk", db="full"
    )
    assert reply.status_code == 503
    for value in ("lungs", "https://github.com/org/lungs", "trunk"):
        assert f'value="{value}"' in reply.text


def test_the_login_page_names_an_organisation_only_if_there_is_one(shared: Place) -> None:
    assert (
        "organisation"
        not in httpx.Client(transport=httpx.WSGITransport(app=shared.server.wsgi), base_url="http://jobs.example")
        .get("/login/")
        .text
    )


def test_each_request_is_in_one_number_of_the_status_page(place: Place) -> None:
    for _ in range(3):
        place.submit("/trends/", requested_actions="generate", backend="tpp", once="")
    page = place.browser.get("/status/").text
    numbers = [int(number) for number in re.findall(r"<dt>(?:Running|Waiting to run|Not yet[^<]*)</dt><dd>(\d+)", page)]
    assert len(numbers) == 3
    assert sum(numbers) == 3
