"""What a push may name: what it brought itself, or what its branch has had."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.errors import Error
from jobserver.store import brought, trees
from jobserver.store.brought import named, not_in_history
from jobserver.store.quarantine import QuarantinedObjects
from tests.e2e.harness import git
from tests.integration.store.test_reading import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path / "here")
    yield made
    made.objects.close()


@pytest.fixture
def there(tmp_path: Path) -> Repository:
    """Where what is pushed comes from; all of it is brought."""
    return Repository(tmp_path / "there")


def ids(repository: Repository, *names: str) -> set[bytes]:
    return {bytes.fromhex(git(repository.path, "rev-parse", name)) for name in names}


def folder(**entries: bytes) -> bytes:
    return b"".join(trees.encode(trees.Entry(trees.FOLDER, name.encode(), sha)) for name, sha in entries.items())


def test_all_that_is_not_brought_is_told_and_not_entered(repository: Repository, there: Repository) -> None:
    before = repository.tree({"a/old": b"old", "b": b"kept"})
    secret = repository.tree({"inner/secret": b"secret"})
    blob = repository.write("blob", b"theirs")
    new = bytes.fromhex(there.write("blob", b"new"))
    entries = [(trees.FILE, b"new", new), (trees.FILE, b"theirs", bytes.fromhex(blob)), (b"160000", b"z", bytes(20))]
    inner = b"".join(trees.encode(trees.Entry(*one)) for one in entries)
    a = bytes.fromhex(there.write("tree", inner))
    kept = trees.find(repository.objects.tree(before), b"b", trees.FILE).entry
    assert kept is not None
    after = folder(a=a) + trees.encode(kept) + folder(c=secret)
    top = bytes.fromhex(there.write("tree", after))
    objects = QuarantinedObjects(repository.path / ".git", there.path / ".git" / "objects")
    try:
        assert named(objects, before, top) == [("a/theirs", bytes.fromhex(blob)), ("c/", secret)]
        assert named(objects, before, before) == []
        assert named(objects, before, secret) == [("", secret)]
        assert [path for path, _ in named(objects, None, top)] == ["b", "a/theirs", "c/"]
    finally:
        objects.close()


def test_what_is_too_deep_or_too_much(
    repository: Repository, there: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders that name each other cost nothing to send, and stand for more than anybody can look through."""
    sha = bytes.fromhex(there.write("tree", b""))
    for _ in range(8):
        sha = bytes.fromhex(there.write("tree", folder(**{f"n{at:02}": sha for at in range(50)})))
    deep = sha
    for _ in range(20):
        deep = bytes.fromhex(there.write("tree", folder(a=deep)))
    monkeypatch.setattr(brought, "_MAX_ENTRIES", 1000)
    objects = QuarantinedObjects(repository.path / ".git", there.path / ".git" / "objects")
    try:
        with pytest.raises(Error, match="one commit changes more than 1000 files and folders"):
            named(objects, None, sha)
        with pytest.raises(Error, match="folders are nested deeper than 16"):
            named(objects, None, deep)
    finally:
        objects.close()


def test_what_history_has_had(repository: Repository) -> None:
    first = repository.commit({"active/a": b"once", "gone/x": b"gone", "b": b"1"})
    second = repository.commit({"active/a": b"now", "b": b"2"}, first)
    other = repository.commit({"active/a": b"of another branch"})
    had = ids(
        repository, f"{second}^{{tree}}", f"{second}:active", f"{second}:active/a", f"{second}:b",
        f"{first}^{{tree}}", f"{first}:active", f"{first}:active/a", f"{first}:gone", f"{first}:gone/x",
    )  # fmt: skip
    strange = ids(repository, other, f"{other}^{{tree}}", f"{other}:active", f"{other}:active/a") | {bytes(20)}
    assert not_in_history(repository.path, second, had) == set()
    assert not_in_history(repository.path, second, had | strange) == strange
    assert not_in_history(repository.path, second, strange) == strange
    assert not_in_history(repository.path, first, ids(repository, f"{second}:b")) == ids(repository, f"{second}:b")
    assert not_in_history(repository.path, second, set()) == set()


def test_what_is_too_much_to_look_up_counts_as_strange(repository: Repository) -> None:
    names = {f"x/{at}": str(at).encode() for at in range(20)}
    first = repository.commit(dict(names))
    second = repository.commit({"active/a": b"now"}, first)
    old = ids(repository, *(f"{first}:{name}" for name in names))
    assert not_in_history(repository.path, second, old) == old
    few = set(sorted(old)[:16])
    assert not_in_history(repository.path, second, few) == set()
