"""Running something again: the failed jobs or one of them, at the newest commit or the same one, from everywhere."""

import re

from tests.e2e.harness import STUDY, Site, job
from tests.e2e.pages.browser import Browser


def test_a_request_runs_again_at_the_newest_or_the_same_commit(site: Site, alice: Browser) -> None:
    first = site.ask("run_all")
    with site.client("tpp") as tpp:
        tpp.report(
            job(first, "g", "succeeded", 1),
            job(first, "a", "failed", 1, action="analyse", status_code="nonzero_exit"),
            job(first, "r", "failed", 1, action="report", status_code="dependency_failed"),
        ).raise_for_status()
    with site.client("alice") as api:
        old = api.get(f"/api/v2/job-requests/{first}/").json()
        assert "rerun_of" not in old

        again = api.post(f"/api/v2/job-requests/{first}/rerun/", json={"only_failed": True})
        assert again.status_code == 201, again.text
        item = again.json()
        assert (item["rerun_of"], item["requested_actions"]) == (first, ["analyse", "report"])
        same = api.post(f"/api/v2/job-requests/{first}/rerun/", json={"actions": ["report"], "commit": "same"}).json()
        assert (same["rerun_of"], same["sha"], same["requested_actions"]) == (first, old["sha"], ["report"])
        for body, problem in {
            '{"actions": ["report"], "only_failed": true}': "name actions, or ask for those that failed",
            '{"commit": "older"}': "expected newest or same",
            '{"actions": ["nope"]}': "not in project.yaml",
            '{"what": "all"}': "unknown field",
        }.items():
            refused = api.post(f"/api/v2/job-requests/{first}/rerun/", content=body)
            assert (refused.status_code, problem in refused.text) == (400, True), refused.text
        nothing = api.post(f"/api/v2/job-requests/{item['identifier']}/rerun/", json={"only_failed": True})
        assert (nothing.status_code, "no jobs have failed" in nothing.text) == (400, True)

    page = f"/job-requests/{first}/jobs/a/"
    answer = alice.submit(f"/job-requests/{first}/rerun/", page=page, actions="analyse", commit="same")
    shown = alice.get(answer.headers["Location"]).text
    assert re.search(rf'rerun of <a href="/job-requests/{first}/">run_all</a>', shown)
    assert "at the same commit" in shown
    assert alice.get(f"/job-requests/{first}/").text.count('<select name="commit"') == 1

    by_command = site.run("rerun", first, "report", "--same-commit", "--as", "alice").strip()
    with site.client("alice") as api:
        assert api.get(f"/api/v2/job-requests/{by_command}/").json()["rerun_of"] == first
    refused_command = site.command("rerun", first, "report", "--failed")
    assert refused_command.returncode == 1
    assert "name actions, or ask for those that failed" in refused_command.stderr


def test_the_commits_of_another_study_are_not_run_again(site: Site) -> None:
    site.study("moving", {"project.yaml": STUDY})
    site.run("workspace", "add", "moving", "--repo", "moving", "--branch", "main", "--as", "alice")
    first = site.ask("generate", workspace="moving")
    site.study("elsewhere", {"project.yaml": STUDY.replace("report", "chart")})
    site.run("workspace", "edit", "moving", "--repo", "elsewhere")
    with site.client("alice") as api:
        refused = api.post(f"/api/v2/job-requests/{first}/rerun/", json={"commit": "same"})
        assert (refused.status_code, "has another repository now" in refused.text) == (409, True)
        newest = api.post(f"/api/v2/job-requests/{first}/rerun/", json={})
        assert newest.status_code == 201
        assert newest.json()["sha"] != api.get(f"/api/v2/job-requests/{first}/").json()["sha"]
