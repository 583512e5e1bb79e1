"""What a branch has had, and nothing of another one."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.store.git import revisions, trees
from jobserver.store.git.revisions import History, commits_in
from tests.e2e.harness import git
from tests.integration.store.read.test_reading import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path / "here")
    yield made
    made.objects.close()


def ids(repository: Repository, *names: str) -> set[bytes]:
    return {bytes.fromhex(git(repository.path, "rev-parse", name)) for name in names}


@pytest.fixture
def two(repository: Repository) -> tuple[str, str, str]:
    """A branch of two commits, and the tip of another branch."""
    first = repository.commit({"active/a": b"once", "gone/x": b"gone", "b": b"1", "archive/deep/down/y": b"kept"})
    second = repository.commit({"active/a": b"now", "b": b"2", "archive/deep/down/y": b"kept"}, first)
    return first, second, repository.commit({"active/a": b"of another branch", "archive/deep/z": b"theirs"})


def test_objects_that_a_branch_has_had_are_known(repository: Repository, two: tuple[str, str, str]) -> None:
    first, second, other = two
    had = ids(
        repository, second, f"{second}^{{tree}}", f"{second}:active", f"{second}:active/a", f"{second}:b",
        first, f"{first}^{{tree}}", f"{first}:active", f"{first}:active/a", f"{first}:gone", f"{first}:gone/x",
        f"{first}:archive/deep", f"{first}:archive/deep/down/y",
    )  # fmt: skip
    strange = ids(
        repository, other, f"{other}^{{tree}}", f"{other}:active", f"{other}:active/a", f"{other}:archive/deep",
        f"{other}:archive/deep/z",
    ) | {bytes(20)}  # fmt: skip
    assert History(repository.path, second).without(had) == set()
    assert History(repository.path, second).without(had | strange) == strange
    assert History(repository.path, first).without(ids(repository, f"{second}:b", second)) == ids(
        repository, f"{second}:b", second
    )
    assert History(repository.path, second).without(set()) == set()


def test_which_commits_are_of_a_branch(repository: Repository, two: tuple[str, str, str]) -> None:
    first, second, other = two
    assert commits_in(repository.path, second, [first, second, other, "1" * 40]) == {first, second}
    assert commits_in(repository.path, first, [second, first]) == {first}
    assert commits_in(repository.path, second, []) == set()


def test_a_history_that_can_not_be_read(repository: Repository) -> None:
    with pytest.raises(Error, match="git can't read the branch's history"):
        commits_in(repository.path, "1" * 40, ["2" * 40])


def test_a_submodule_is_nothing_that_a_branch_has(repository: Repository) -> None:
    """Its id is of no object here, or of one that is not the branch's."""
    other = repository.commit({"of": b"another branch"})
    tree = trees.encode(trees.TreeEntry(b"160000", b"x", bytes.fromhex(other)))
    top = repository.write("tree", tree)
    tip = git(repository.path, "commit-tree", top, "-m", "x")
    after = git(repository.path, "commit-tree", git(repository.path, "write-tree"), "-p", tip, "-m", "x")
    for at in (tip, after):
        strange = History(repository.path, at).without({bytes.fromhex(other), bytes.fromhex(top)})
        assert strange == {bytes.fromhex(other)}


def test_reading_a_history_has_a_time_limit(
    repository: Repository, two: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "_READ_SECONDS", -1)
    with pytest.raises(Error, match="took longer than -1 s"):
        commits_in(repository.path, two[1], ["1" * 40])


def test_few_read_whole_histories_at_once(
    repository: Repository, two: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(revisions, "_FILES", threading.BoundedSemaphore(1))
    with revisions._FILES, pytest.raises(Error, match="too many requests for old commits at the same time") as caught:
        History(repository.path, two[1]).without({bytes(20)})
    assert caught.value.code is Code.UNAVAILABLE
    assert History(repository.path, two[1]).without({bytes(20)}) == {bytes(20)}
