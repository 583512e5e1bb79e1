"""What a person says about a request, and what its commit says: in the record, on pages, and in the API."""

from tests.e2e.harness import Site, git
from tests.e2e.pages.browser import HOSTILE, Browser


def test_a_request_shows_its_note_and_its_commits_subject(site: Site, alice: Browser) -> None:
    study = site.study("told", {"project.yaml": "actions: {a: {run: python:latest x}}", "x": ""})
    git(study, "commit", "-q", "--allow-empty", "-m", f"Correct the cohort {HOSTILE}\n\nMore.")
    site.run("workspace", "add", "told", "--repo", "told", "--branch", "main", "--as", "alice")
    fields = {"requested_actions": "run_all", "backend": "tpp", "note": f"With new codelists {HOSTILE}"}
    own = alice.submit("/told/", **fields).headers["Location"]
    for path in (own, "/told/logs/", "/jobs/?workspace=told", "/told/"):
        page = alice.get(path).text
        assert "Correct the cohort &lt;script&gt;" in page, path
        assert "With new codelists &lt;script&gt;" in page, path
        assert HOSTILE not in page, path
    with site.client("alice") as api:
        item = api.get(f"/api/v2{own}").json()
        assert (item["note"], item["commit_subject"]) == (fields["note"], f"Correct the cohort {HOSTILE}")
        body = {"requested_actions": ["a"], "backend": "tpp", "note": "By script"}
        added = api.post("/api/v2/workspaces/told/job-requests/", json=body).json()
        assert added["note"] == "By script"
        late = api.post("/api/v2/workspaces/told/job-requests/", json={**body, "note": "x" * 201})
        assert (late.status_code, "at most 200 characters" in late.text) == (400, True)
        assert "note" not in api.get(f"/api/v2/job-requests/{site.ask('generate')}/").json()
    identifier = site.run("request", "told", "a", "--backend", "tpp", "--note", "By command", "--as", "alice")
    page = alice.get(f"/job-requests/{identifier}/").text
    assert "<h1>a</h1>" in page  # the actions tell what it is
    assert "By command" in page
    refused = alice.submit("/told/", **{**fields, "note": "x" * 201})
    assert (refused.status_code, "t most 200 characters" in refused.text) == (400, True)
    assert "x" * 201 in refused.text  # what was typed stays
