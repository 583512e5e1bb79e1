"""What SuperUsers push: it is judged like everybody's, and what they did with it stands in the record."""

from pathlib import Path

import pytest

from tests.e2e.git.clone import Clone, document
from tests.e2e.harness import Site, job


@pytest.fixture
def root(site: Site, tmp_path: Path) -> Clone:
    return Clone(site, tmp_path / "root", "root", "main")


def test_an_admin_edits_main_and_undoes_it(site: Site, root: Clone) -> None:
    root.git("pull", "-q")
    alice = (root.folder / "users" / "alice.yaml").read_text()
    root.commit("rename", **{"users/alice.yaml": alice.replace('name: ""', "name: Alice A")})
    done = root.push()
    assert done.returncode == 0, done.stderr
    assert "name: Alice A" in site.git("show", "main:users/alice.yaml")
    root.git("revert", "--no-edit", "HEAD")
    assert root.push().returncode == 0
    assert site.git("show", "main:users/alice.yaml") + "\n" == alice
    for path, words in (
        ("orgs/datalab.yaml", "projects/datalab/trends.yaml refers to it"),
        ("projects/datalab/trends.yaml", "workspaces/grouped.yaml refers to it"),
        ("backends/tpp.yaml", "cannot be deleted"),
        ("allowed_signers", "only the server may write this file"),
    ):
        root.commit(**{path: None})
        done = root.push()
        assert done.returncode != 0
        assert words in done.stderr, done.stderr
        root.git("reset", "-q", "--hard", "HEAD~1")
    root.commit(**{"workspaces/new-one.yaml": "name: new-one\n"})
    done = root.push()
    for key in ("repo", "branch", "created_by"):
        assert f"workspaces/new-one.yaml:1: {key}: required" in done.stderr, done.stderr


def test_an_admin_reverts_an_archive_move_only_into_a_sound_state(site: Site, tmp_path: Path) -> None:
    identifier = site.ask("generate")
    with site.client("tpp") as runner:
        assert runner.report(job(identifier, f"a-{identifier}", "succeeded", 1)).status_code == 200
    admin = Clone(site, tmp_path / "admin", "root", "backends/tpp")
    admin.git("revert", "--no-edit", "HEAD")  # takes the job away, and the request back to active/
    done = admin.push()
    assert done.returncode == 0, done.stderr
    assert {path.split("/")[0] for path in site.files(identifier)} == {"active"}
    with site.client("tpp") as runner:
        assert identifier in runner.listed()


def test_an_admin_corrects_a_finished_job_and_the_record_says_so(site: Site, tmp_path: Path) -> None:
    """What a runner reported is evidence: an admin may correct it, and can't hide that."""
    identifier = site.ask("generate")
    with site.client("tpp") as runner:
        runner.report(job(identifier, f"f-{identifier}", "succeeded", 1)).raise_for_status()
    admin = Clone(site, tmp_path / "admin", "root", "backends/tpp")
    path = next(path for path in site.files(identifier) if f"/f-{identifier}" in path)
    assert path.startswith("archive/")
    why = "It had failed: the disk was full"
    sha = admin.commit(why, **{path: document(f"f-{identifier}", "failed", 2, status_message="the disk was full")})
    done = admin.push()
    assert done.returncode == 0, done.stderr
    with site.client("alice") as alice:
        assert alice.get(f"/api/v2/job-requests/{identifier}/").json()["status"] == "failed"
    history = site.git("log", "--format=%H %s", "backends/tpp", "--", path).splitlines()
    assert history[0] == f"{sha} {why}"
    assert len(history) == 2, "what the runner said is one commit below"
    log = site.command("audit", "log", "--limit", "20").stdout
    assert "user/root pushed" in log
    assert why in log
    admin.commit("Away with it", **{path: None})
    refused = admin.push()
    assert refused.returncode != 0
    assert "a request in archive/ must have jobs" in refused.stderr
