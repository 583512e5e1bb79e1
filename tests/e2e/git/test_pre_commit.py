"""`jobserver check` as a pre-commit hook of a real git, as docs/admin.md sets it up."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import zygote
from tests.e2e.harness import Site, bare, git
from tests.samples import only_whole

DOC = (Path(__file__).parents[3] / "docs" / "admin.md").read_text()
GOOD, BAD = "version: 1\nusername: {}\n", "version: 1\nusername: {}\nroles: [Boss]\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.check_record()


class Copy:
    """A working copy with the hook, on a topic branch."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.env = bare(HOME=str(folder))
        self.env["PATH"] = f"{zygote.programs()}:{self.env['PATH']}"
        self.top = folder / "clone"
        git(folder, "clone", "-q", str(site.repo), "clone")
        git(self.top, "checkout", "-q", "-b", "topic")
        (hook,) = re.findall(r"```hook\n(.*?)```", DOC, re.DOTALL)
        subprocess.run(["bash", "-ec", hook], cwd=self.top, check=True)

    def write(self, name: str, text: str) -> str:
        path = f"users/{name}.yaml"
        (self.top / path).write_text(text.format(name))
        return path

    def commit(self, *arguments: str, top: Path | None = None) -> str:
        """What the hook said; empty where git made the commit."""
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *identity, "commit", "-qm", "x", *arguments],
            cwd=top or self.top, env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stderr if done.returncode else ""


@pytest.fixture
def copy(site: Site, tmp_path: Path) -> Copy:
    return Copy(site, tmp_path)


def test_only_staged_files_are_checked(copy: Copy) -> None:
    git(copy.top, "add", copy.write("eve", GOOD))
    copy.write("fay", BAD)  # not staged
    copy.write("eve", BAD)  # its staged version is good
    assert copy.commit() == ""
    copy.write("eve", GOOD)
    git(copy.top, "add", copy.write("fay", BAD))
    copy.write("fay", GOOD)
    said = copy.commit()
    assert "users/fay.yaml:3: roles.0: 'Boss' is not a valid role" in said
    assert git(copy.top, "diff", "--cached", "--name-only") == "users/fay.yaml"  # the index is as it was
    assert copy.commit("-a") == ""


def test_commit_a_and_commit_of_a_file_are_judged_as_what_they_commit(copy: Copy) -> None:
    git(copy.top, "add", copy.write("eve", GOOD), copy.write("fay", GOOD))
    assert copy.commit() == ""
    copy.write("eve", BAD)
    copy.write("fay", GOOD + "name: Fay\n")
    assert "users/eve.yaml:3" in copy.commit("-a")
    assert "users/eve.yaml:3" in copy.commit("users/eve.yaml")
    assert copy.commit("users/fay.yaml") == ""


def test_a_commit_that_repairs_another_is_not_blamed_for_it(copy: Copy) -> None:
    git(copy.top, "add", copy.write("eve", BAD))
    assert copy.commit("--no-verify") == ""
    git(copy.top, "add", copy.write("fay", GOOD))
    assert copy.commit() == ""
    git(copy.top, "add", copy.write("eve", GOOD))
    assert copy.commit("--amend") == ""
    (copy.top / "users" / "eve.yaml").unlink()
    assert copy.commit("-a") == ""


def test_other_places_to_commit_from(copy: Copy) -> None:
    """A linked working copy, a detached head, a folder below the top."""
    git(copy.top, "worktree", "add", "-q", "--detach", "../linked")
    linked = copy.top.parent / "linked"
    for top in (linked, linked / "users"):
        (linked / "users" / "eve.yaml").write_text(BAD.format("eve"))
        git(linked, "add", "-A")
        assert "users/eve.yaml:3" in copy.commit(top=top)
        (linked / "users" / "eve.yaml").write_text(GOOD.format("eve") + f"name: {top.name}\n")
        git(linked, "add", "-A")
        assert copy.commit(top=top) == ""
    git(copy.top, "checkout", "-q", "-b", "mend", "origin/backends/tpp")
    (copy.top / "README.md").write_text("x")
    assert copy.commit("-a") == ""


def test_a_merge_is_refused_as_a_push_of_it_would_be(copy: Copy) -> None:
    git(copy.top, "commit", "-q", "--allow-empty", "--no-verify", "-m", "mine")
    git(copy.top, "checkout", "-q", "main")
    git(copy.top, "commit", "-q", "--allow-empty", "--no-verify", "-m", "theirs")
    git(copy.top, "merge", "-q", "--no-commit", "--no-ff", "topic")
    assert "is a merge: rebase instead" in copy.commit()
    assert copy.commit("--no-verify") == ""
    done = subprocess.run(
        ["jobserver", "check"], cwd=copy.top, env=copy.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "is a merge: rebase instead" in done.stderr


@only_whole
def test_the_frameworks_local_hook(copy: Copy) -> None:
    """It runs `entry` in a shell of its own, with names of files unless told otherwise, and git's variables or not."""
    (entry,) = re.findall(r"entry: (.*)", DOC)
    (copy.top / ".pre-commit-config.yaml").write_text("repos: []\n")
    git(copy.top, "add", ".pre-commit-config.yaml", copy.write("eve", BAD))
    for command in (entry, f"{entry} users/eve.yaml .pre-commit-config.yaml", "jobserver check users/eve.yaml"):
        done = subprocess.run(command.split(), cwd=copy.top, env=copy.env, capture_output=True, text=True, check=False)
        assert done.returncode == 1, command
        assert "users/eve.yaml:3: roles.0" in done.stderr
    git(copy.top, "add", copy.write("eve", GOOD))
    for command in (entry, f"{entry} users/eve.yaml", "jobserver check users/eve.yaml .pre-commit-config.yaml"):
        done = subprocess.run(command.split(), cwd=copy.top, env=copy.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
