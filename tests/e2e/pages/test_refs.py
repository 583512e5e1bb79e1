"""Jobs at another commit than the newest of the workspace's branch: on pages, in the API, by command, in the record."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.harness import Site, git, job
from tests.e2e.pages.browser import Browser
from tests.samples import first

_NEWEST, _OLD, _TRIAL = (f"actions: {{{name}: {{run: python:latest x}}}}" for name in ("newest", "old", "trial"))


def commit(study: Path, project: str, subject: str) -> str:
    (study / "project.yaml").write_text(project)
    git(study, "commit", "-qam", subject)
    return git(study, "rev-parse", "HEAD")


@pytest.fixture
def study(site: Site) -> Iterator[Path]:
    """With a tag, and a branch beside main."""
    study = site.folder / "studies" / "refs"
    if not study.exists():
        site.study("refs", {"project.yaml": _OLD, "x": ""})
        git(study, "tag", "-a", "-m", "told", "v1.0")
        git(study, "checkout", "-qb", "trial")
        commit(study, _TRIAL, "Try it")
        git(study, "checkout", "-q", "main")
        commit(study, _NEWEST, "Do it")
        site.run("workspace", "add", "refs", "--repo", "refs", "--branch", "main", "--as", "alice")
    yield study


def test_a_page_shows_and_requests_what_was_chosen(site: Site, study: Path, alice: Browser) -> None:
    old = git(study, "rev-parse", "v1.0^{commit}")
    plain = alice.get("/refs/").text
    assert 'value="newest"' in plain
    assert "You chose" not in plain
    page = alice.get("/refs/?ref=v1.0").text
    assert 'value="old"' in page
    assert 'value="newest"' not in page
    assert "You chose tag v1.0" in page
    assert '<input type="hidden" name="ref" value="v1.0">' in page
    assert "--at v1.0" in alice.get("/refs/?ref=v1.0&requested_actions=old").text
    answer = alice.submit("/refs/", page="/refs/?ref=v1.0", requested_actions="old", backend="tpp", ref="v1.0")
    own = answer.headers["Location"]
    shown = alice.get(own).text
    assert "alice chose tag v1.0" in shown
    assert f'data-copy="{old}"' in shown
    for path in ("/refs/logs/", "/jobs/?workspace=refs", "/refs/"):
        assert f"at tag v1.0 <code>{old[:7]}</code>" in alice.get(path).text, path
    with site.client("alice") as api:
        item = api.get(f"/api/v2{own}").json()
        assert (item["ref"], item["sha"], item["workspace"]["branch"]) == ("refs/tags/v1.0", old, "main")
    audit = alice.get(f"{own}audit/").text
    assert "requested old on refs at tag v1.0" in audit


def test_the_api_and_the_command_take_a_ref(site: Site, study: Path, alice: Browser) -> None:
    first = git(study, "rev-parse", "trial")
    with site.client("alice") as api:
        body = {"requested_actions": ["trial"], "backend": "tpp", "ref": "trial"}
        item = api.post("/api/v2/workspaces/refs/job-requests/", json=body).json()
        assert (item["ref"], item["sha"], item["workspace"]["branch"]) == ("refs/heads/trial", first, "trial")
        main = api.post(
            "/api/v2/workspaces/refs/job-requests/", json={**body, "requested_actions": ["newest"], "ref": "main"}
        ).json()
        assert "ref" not in main
        compared = alice.get(f"/refs/compare/?from={main['identifier']}&to={item['identifier']}").text
        assert f"at branch trial <code>{first[:7]}</code>" in compared
        with site.client("tpp") as tpp:
            tpp.report(job(item["identifier"], "t", "failed", 1, action="trial")).raise_for_status()
        assert "at the newest commit of branch trial" in alice.get(f"/job-requests/{item['identifier']}/").text

        git(study, "checkout", "-q", "trial")
        second = commit(study, _TRIAL.replace("x}", "x y}"), "Try more")
        git(study, "checkout", "-q", "main")
        path = f"/api/v2/job-requests/{item['identifier']}/rerun/"
        newest, same = api.post(path, json={}).json(), api.post(path, json={"commit": "same"}).json()
        assert (newest["ref"], newest["sha"]) == ("refs/heads/trial", second)
        assert (same["ref"], same["sha"]) == ("refs/heads/trial", first)
    identifier = site.run("request", "refs", "trial", "--backend", "tpp", "--at", first[:8], "--as", "alice")
    with site.client("alice") as api:
        by_command = api.get(f"/api/v2/job-requests/{identifier}/").json()
        assert (by_command["ref"], by_command["sha"]) == (first, first)
        assert by_command["workspace"]["branch"] == "trial"
    assert "alice chose this commit" in alice.get(f"/job-requests/{identifier}/").text
    remote = {"JOBSERVER_URL": site.url, "JOBSERVER_TOKEN": site.tokens["alice"]}
    called = site.run("request", "refs", "old", "--backend", "tpp", "--at", "v1.0", **remote)
    with site.client("alice") as api:
        assert api.get(f"/api/v2/job-requests/{called}/").json()["ref"] == "refs/tags/v1.0"


def test_a_request_of_a_former_branch_runs_again_at_its_commit(site: Site, study: Path) -> None:
    """A commit of the same repository can be chosen, whatever branch the workspace has now."""
    git(study, "branch", "former")
    site.run("workspace", "add", "former", "--repo", "refs", "--branch", "former", "--as", "alice")
    first = site.ask("newest", workspace="former")
    site.run("workspace", "edit", "former", "--branch", "main")
    with site.client("alice") as api:
        item = api.post(f"/api/v2/job-requests/{first}/rerun/", json={"commit": "same"}).json()
    assert (item["ref"], item["workspace"]["branch"]) == (item["sha"], "former")


@pytest.mark.parametrize("ref", first(3, ["nope", "main~1", "<script>", "HEAD", "0" * 40, "../../x", "refs/heads/"]))
def test_a_wrong_ref_is_refused_at_its_field(site: Site, study: Path, alice: Browser, ref: str) -> None:
    words = "he repository has no branch, tag or commit"
    shown = alice.get(f"/refs/?ref={quote(ref, safe='')}")
    assert (shown.status_code, words in shown.text) == (400, True)
    assert re.search(r'<input id="ref"[^>]*aria-invalid="true"', shown.text)
    assert "<script>" not in shown.text
    sent = alice.submit("/refs/", requested_actions="newest", backend="tpp", ref=ref)
    assert (sent.status_code, words in sent.text) == (400, True)
    with site.client("alice") as api:
        body = {"requested_actions": ["newest"], "backend": "tpp", "ref": ref}
        answer = api.post("/api/v2/workspaces/refs/job-requests/", json=body)
        assert answer.status_code == 400
        assert f"t{words}" in answer.json()["ref"][0]
        wrong = api.post("/api/v2/workspaces/refs/job-requests/", json={**body, "ref": 7})
        assert wrong.status_code == 400
    refused = site.command("request", "refs", "newest", "--backend", "tpp", "--at", ref, "--as", "alice")
    assert (refused.returncode, words in refused.stderr) == (1, True)
