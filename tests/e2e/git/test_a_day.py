"""A day: an admin edits by push, runners work by git and by HTTP, a person asks and cancels; the auditor comes."""

import json
from pathlib import Path

from tests.e2e import zygote
from tests.e2e.harness import Site, bare, git, until
from tests.samples import only_whole


def runner(site: Site, backend: str, transport: str) -> zygote.Process:
    more = ("--signer", site.signer(), "--interval", "0.2") if transport == "git" else ()
    arguments = [
        *("runner", "--backend", backend, "--url", site.url),
        *("--transport", transport, "--root", str(site.folder / f"runner-{backend}"), *more),
    ]
    env = bare(JOB_SERVER_TOKEN=site.tokens[backend], STUDY_REPOS=str(site.folder / "studies"))
    with (site.folder / f"runner-{backend}.log").open("ab") as log:
        return zygote.start(arguments, env, site.folder, log, log)


def status(site: Site, identifier: str) -> str:
    found: str = json.loads(site.run("status", identifier, "--json"))["status"]
    return found


@only_whole
def test_a_day_of_an_admin_two_runners_and_an_auditor(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.start()
    url = f"http://root:{site.tokens['root']}@127.0.0.1:{site.port}/state.git"
    git(tmp_path, "clone", "-q", url, "admin")
    admin = tmp_path / "admin"
    runners = [runner(site, "tpp", "git"), runner(site, "emis", "http")]
    try:
        # The admin adds a workspace by hand, and a member to a project.
        plain = (admin / "workspaces" / "plain.yaml").read_text()
        (admin / "workspaces" / "by-hand.yaml").write_text(plain.replace("name: plain", "name: by-hand"))
        git(admin, "add", "-A")
        git(admin, "commit", "-qm", "A workspace for today")
        git(admin, "push", "-q")
        asked = [site.ask("run_all", backend=slug, workspace="by-hand") for slug in ("tpp", "emis")]
        for identifier in asked:
            until(lambda one=identifier: status(site, one) == "succeeded", 60)  # type: ignore[misc]
        # A person asks and cancels before anybody has looked.
        for process in runners:
            process.terminate()
            assert process.wait(30) == 0
        cancelled = [site.ask("generate", backend=slug) for slug in ("tpp", "emis")]
        for identifier in cancelled:
            with site.client("alice") as alice:
                alice.post(f"/api/v2/job-requests/{identifier}/cancel/").raise_for_status()
        runners = [runner(site, "tpp", "git"), runner(site, "emis", "http")]
        for identifier in cancelled:
            until(lambda one=identifier: status(site, one) == "failed", 60)  # type: ignore[misc]
            found = json.loads(site.run("status", identifier, "--json"))
            assert [job["status_code"] for job in found["jobs"]] == ["cancelled_by_user"]
        # The admin archives the workspace, changes their mind, and is told what is wrong with a typo.
        git(admin, "pull", "-q", "--rebase")
        (admin / "workspaces" / "by-hand.yaml").write_text(
            (admin / "workspaces" / "by-hand.yaml").read_text().replace("archived: false", "archived: true")
        )
        git(admin, "commit", "-qam", "The day is over")
        git(admin, "push", "-q")
        with site.client("alice") as alice:
            refused = alice.post(
                "/api/v2/workspaces/by-hand/job-requests/", json={"requested_actions": ["generate"], "backend": "tpp"}
            )
        assert refused.status_code == 409
        git(admin, "revert", "--no-edit", "HEAD")
        git(admin, "push", "-q")
        # The key changes while everything runs.
        new = site.run("key", "rotate")
        assert new == site.signer()
        site.ask("generate", backend="emis")
        until(lambda: "active/" not in site.git("ls-tree", "-r", "--name-only", "backends/emis"), 60)
        until(lambda: "active/" not in site.git("ls-tree", "-r", "--name-only", "backends/tpp"), 60)
    finally:
        for process in runners:
            process.terminate()
            process.wait(30)
    site.stop()
    site.check_record()
    assert "Traceback" not in (tmp_path / "runner-tpp.log").read_text()
    everything = site.command("audit", "log", "--request", asked[0]).stdout
    assert "jobserver archived" in everything
