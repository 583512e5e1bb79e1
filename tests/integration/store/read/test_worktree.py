"""A working copy judged before it is pushed."""

from pathlib import Path

import pytest

from jobserver.errors import Error
from jobserver.store.read.worktree import branch_of, check_staged, check_worktree, top_of
from tests.e2e.harness import git
from tests.site import Site


@pytest.fixture
def clone(site: Site, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "-q", str(site.path), "clone")
    return tmp_path / "clone"


def faults(clone: Path) -> list[str]:
    return [str(fault) for fault in check_worktree(clone, "main")[1]]


def test_the_top_of_a_working_copy_is_found(clone: Path, tmp_path: Path) -> None:
    assert top_of(clone / "users") == clone.resolve()
    assert top_of(tmp_path) is None
    assert branch_of(clone) == "main"
    git(clone, "checkout", "-q", "-b", "feature")
    assert branch_of(clone) == "main"  # which it began on
    git(clone, "checkout", "-q", "--orphan", "fresh")
    with pytest.raises(Error, match="is on fresh, and no commit says which branch it started from"):
        branch_of(clone)
    git(clone, "checkout", "-q", "-f", "-b", "mend", "origin/backends/tpp")
    assert branch_of(clone) == "backends/tpp"
    git(clone, "checkout", "-q", "--detach")
    assert branch_of(clone) == "backends/tpp"
    git(clone, "checkout", "-q", "-b", "backends/tpp")
    assert branch_of(clone) == "backends/tpp"


def test_a_sound_working_copy_has_no_faults(clone: Path) -> None:
    count, found = check_worktree(clone, "main")
    assert (count, found) == (len(git(clone, "ls-files").splitlines()), [])


def test_links_and_submodules_are_faults_of_the_working_copy(clone: Path) -> None:
    (clone / "users" / "bob.yaml").unlink()
    (clone / "users" / "dora.yaml").symlink_to("alice.yaml")
    (clone / "module").mkdir()
    git(clone / "module", "init", "-q")
    git(clone / "module", "commit", "-q", "--allow-empty", "-m", "x")
    git(clone, "add", "module")
    found = faults(clone)
    assert "users/dora.yaml: expected a file" in found
    assert "users/dora.yaml: is a symbolic link: expected a file" in found
    assert "module: is a submodule: expected a file" in found


def test_each_commit_that_is_not_pushed_is_judged(clone: Path) -> None:
    user = clone / "users" / "bob.yaml"
    good = user.read_text()
    user.write_text(good + "what: 1\n")
    git(clone, "commit", "-qam", "broken\n\nEvent: user.added")
    sha = git(clone, "rev-parse", "--short=10", "HEAD")
    user.write_text(good)
    git(clone, "commit", "-qam", "mended")
    (clone / "allowed_signers").write_text("me")
    found = faults(clone)
    assert f"{sha}: only the server may write the trailer Event:" in found
    assert any(one.startswith(f"{sha} users/bob.yaml:") and "unknown key" in one for one in found)
    assert "allowed_signers: only the server may write this file" in found


def test_without_a_remote_branch_the_files_alone_are_judged(clone: Path) -> None:
    git(clone, "checkout", "-q", "-b", "mine")
    git(clone, "remote", "remove", "origin")
    git(clone, "branch", "-q", "-D", "main")
    (clone / "allowed_signers").write_text("me")
    assert faults(clone) == []


def test_a_folder_that_git_can_not_add_is_named(clone: Path) -> None:
    (clone / "plain").mkdir()
    git(clone / "plain", "init", "-q")  # a repository without a commit
    with pytest.raises(Error, match="plain"):
        check_worktree(clone, "main")


def test_a_topic_branch_is_judged_from_where_it_left_the_servers(clone: Path) -> None:
    git(clone, "checkout", "-q", "-b", "topic")
    (clone / "users" / "eve.yaml").write_text("version: 1\nusername: eve\n")
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "x\n\nactor : user/alice")
    sha = git(clone, "rev-parse", "--short=10", "HEAD")
    git(clone, "checkout", "-q", "main")
    (clone / "users" / "fay.yaml").write_text("version: 1\nusername: fay\n")
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "what others did meanwhile")
    git(clone, "push", "-q", "--force", "origin", "main:refs/heads/main")
    git(clone, "checkout", "-q", "topic")
    assert faults(clone) == [f"{sha}: only the server may write the trailer actor:"]  # and fay is not deleted
    git(clone, "config", "branch.topic.remote", "origin")
    git(clone, "config", "branch.topic.merge", "refs/heads/main")
    assert faults(clone) == [f"{sha}: only the server may write the trailer actor:"]


def test_a_merge_is_a_fault_of_the_working_copy(clone: Path) -> None:
    """It passed once, and its push was refused."""
    git(clone, "checkout", "-q", "-b", "side")
    git(clone, "commit", "-q", "--allow-empty", "-m", "x")
    git(clone, "checkout", "-q", "main")
    git(clone, "commit", "-q", "--allow-empty", "-m", "y")
    git(clone, "merge", "-q", "--no-edit", "side")
    sha = git(clone, "rev-parse", "--short=10", "HEAD")
    assert faults(clone) == [f"{sha}: is a merge: rebase instead; a branch has a linear history"]


def test_a_fault_is_told_once_at_the_commit_that_brought_it(clone: Path) -> None:
    user = clone / "users" / "bob.yaml"
    user.write_text(user.read_text() + "role: []\n")
    git(clone, "commit", "-qam", "broken")
    sha = git(clone, "rev-parse", "--short=10", "HEAD")
    (clone / "users" / "eve.yaml").write_text("version: 1\nusername: eve\n")
    (told,) = faults(clone)
    assert told.startswith(f"{sha} users/bob.yaml:")


def test_a_first_commit_has_nothing_below_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "fresh")
    assert check_staged(tmp_path / "fresh", "main") == (0, [])
    (tmp_path / "fresh" / "notes.txt").write_text("x")
    git(tmp_path / "fresh", "add", "-A")
    (told,) = check_staged(tmp_path / "fresh", "main")[1]
    assert str(told) == "notes.txt: no document is allowed here on main"
