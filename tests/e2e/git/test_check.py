"""`jobserver check` in a working copy says what a push of it would say."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e import zygote
from tests.e2e.harness import Site, bare, git


@pytest.fixture
def clone(site: Site, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "-q", str(site.repo), "clone")
    return tmp_path / "clone"


def check(clone: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """With no setting at all, as on a hosted repository's CI."""
    return zygote.command(["check", *arguments], bare(), clone)


def test_a_sound_copy_has_no_faults(clone: Path) -> None:
    done = check(clone)
    assert done.returncode == 0, done.stderr
    assert "no fault" in done.stderr


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("users/alice.yaml", "nonsense: 1\n", "users/alice.yaml:1: nonsense: unknown key"),
        ("orgs/other.yaml", "version: 1\nslug: another\nname: x\n", "slug: is 'another', but the path says 'other'"),
        ("projects/none/p.yaml", "version: 1\nslug: p\nname: p\norg: none\n", "org 'none' does not exist"),
        ("notes.txt", "hello", "no document is allowed here on main"),
        ("orgs/datalab.yaml", None, "projects/datalab/trends.yaml refers to it"),
        ("allowed_signers", "x", "allowed_signers: only the server may write this file"),
    ],
)
def test_check_and_push_find_the_same(site: Site, clone: Path, path: str, text: str | None, words: str) -> None:
    file = clone / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    before = check(clone)
    assert before.returncode == 1
    assert words in before.stderr, before.stderr
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "x")
    after = check(clone)
    assert words in after.stderr, after.stderr
    push = subprocess.run(["git", "push"], cwd=clone, capture_output=True, text=True, check=False)
    assert push.returncode != 0
    assert words in push.stderr, push.stderr


def test_an_org_and_its_project_may_come_together(site: Site, clone: Path) -> None:
    (clone / "orgs" / "fresh.yaml").write_text("slug: fresh\nversion: 1\nname: Fresh\n")
    (clone / "projects" / "fresh").mkdir()
    (clone / "projects" / "fresh" / "p.yaml").write_text("version: 1\nslug: p\nname: p\norg: fresh\n")
    assert check(clone).returncode == 0
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "x")
    git(clone, "push", "-q")


def test_only_the_named_files_are_checked(clone: Path) -> None:
    (clone / "users" / "bob.yaml").write_text("version: 2\n")
    done = check(clone, "users/bob.yaml")
    assert done.returncode == 1
    assert "users/bob.yaml:1: version" in done.stderr
    assert check(clone, "users/alice.yaml").returncode == 0


def test_check_takes_a_revision_of_the_working_copy(clone: Path) -> None:
    assert check(clone, "HEAD").returncode == 0
    (clone / "users" / "bob.yaml").write_text("version: 2\n")
    git(clone, "commit", "-qam", "x")
    done = check(clone, "HEAD")
    assert (done.returncode, "users/bob.yaml:1: version" in done.stderr) == (1, True)
    assert check(clone, "origin/main").returncode == 0
