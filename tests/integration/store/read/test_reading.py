"""What is read of a repository that strangers wrote to: any tree and any commit that git would take."""

import subprocess
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue

import pytest

from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Code, Error
from jobserver.store.git import revision_files, trees
from jobserver.store.git.cat_file import PipedObjects, branches, commits_between, first_parent_log
from jobserver.store.git.diff import diff
from jobserver.store.git.objects import Objects
from jobserver.store.read import validate
from jobserver.store.read.commits import Commit, parse_commit, reserved_trailers
from jobserver.store.read.quarantine import MAX_BLOB, QuarantinedObjects
from jobserver.store.read.tree_changes import MAX_FILES, read_changes
from tests.e2e.harness import git
from tests.samples import only_whole, size

USER = b"version: 1\nusername: alice\nname: Alice\nroles: []\nactive: true\ntokens: []\n"


class Repository:
    """A plain one; trees are written from {path: (mode, data)}."""

    def __init__(self, path: Path) -> None:
        self.path = path
        git(path.parent, "init", "-q", "-b", "main", str(path))
        self.objects = Objects(path)
        self.blob = cache(partial(self.write, "blob"))

    def write(self, kind: str, data: bytes) -> str:
        done = subprocess.run(
            ["git", "-C", self.path, "hash-object", "-w", "-t", kind, "--literally", "--stdin"],
            input=data, check=True, capture_output=True,
        )  # fmt: skip
        return done.stdout.decode().strip()

    def tree(self, files: dict[str, bytes | tuple[bytes, bytes]]) -> bytes:
        entries: list[trees.TreeEntry] = []
        folders: dict[str, dict[str, bytes | tuple[bytes, bytes]]] = {}
        for path, one in files.items():
            name, _, rest = path.partition("/")
            if rest:
                folders.setdefault(name, {})[rest] = one
                continue
            mode, data = one if isinstance(one, tuple) else (trees.FILE, one)
            sha = bytes.fromhex(self.blob(data))
            entries.append(trees.TreeEntry(mode, name.encode(), sha))
        entries += [trees.TreeEntry(trees.FOLDER, name.encode(), self.tree(inner)) for name, inner in folders.items()]
        entries.sort(key=trees.order)
        return bytes.fromhex(self.write("tree", b"".join(map(trees.encode, entries))))

    def commit(self, files: dict[str, bytes | tuple[bytes, bytes]], *parents: str) -> str:
        more = [part for parent in parents for part in ("-p", parent)]
        sha = git(self.path, "commit-tree", self.tree(files).hex(), *more, "-m", "a commit")
        git(self.path, "update-ref", "refs/heads/main", sha)
        return sha


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path / "r")
    yield made
    made.objects.close()


def test_entries_that_were_looked_up_are_found_again(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when there were so many of them that they were forgotten."""
    monkeypatch.setattr("jobserver.store.git.objects._SPOTS", 2)
    objects = Objects(repository.path)
    sha = repository.tree({"one.yaml": b"1", "b/two.yaml": b"2"})
    wanted = ((b"one.yaml", trees.FILE), (b"b", trees.FOLDER), (b"none", trees.FOLDER), (b"none", trees.FILE))
    expected = [trees.find(objects.raw(sha), *names) for names in wanted]
    assert [[objects.find(sha, *names) for names in wanted] for _ in range(2)] == [expected, expected]
    assert [spot.entry is None for spot in expected] == [False, False, True, True]


def test_a_pack_is_given_up_while_something_still_looks_into_it(repository: Repository) -> None:
    """Found: a failed read's traceback held a view of the pack, so closing it for another try raised BufferError."""
    sha = bytes.fromhex(repository.commit({"a": b"one"}))
    git(repository.path, "gc", "-q")
    data = repository.objects.raw(sha)
    assert repository.objects._repo is not None
    (pack,) = repository.objects._repo.object_store.packs
    with memoryview(pack.data._buffer()):
        repository.objects.close()
        assert repository.objects.raw(sha) == data


def test_a_damaged_object_is_named(repository: Repository) -> None:
    sha = repository.commit({"a": b"one"})
    git(repository.path, "gc", "-q")
    (pack,) = (repository.path / ".git" / "objects" / "pack").glob("*.pack")
    data = pack.read_bytes()
    pack.chmod(0o644)
    pack.write_bytes(data[:13] + bytes(len(data) - 33) + data[-20:])
    with pytest.raises(Error, match=f"the object {sha} can't be read: ") as caught:
        repository.objects.raw(bytes.fromhex(sha))
    assert caught.value.code is Code.UNAVAILABLE


# Files of a revision


@only_whole
def test_every_file_of_a_revision(repository: Repository) -> None:
    sha = repository.commit({f"users/a{number}.yaml": b"%d" % number * number for number in range(1500)} | {"x": b""})
    found = dict(revision_files.tree_files(repository.path, sha))
    assert len(found) == 1501
    assert found["users/a12.yaml"] == b"12" * 12
    assert found["x"] == b""


def test_the_list_of_files_is_not_held_whole(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million job requests have seven million files."""
    sizes, count = [], size(10_000, 20_000)  # two pipes of 64 KB hold up to 3,000 paths and answers

    class Watched(SimpleQueue[object]):
        def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
            super().put(item)
            sizes.append(self.qsize())

    monkeypatch.setattr(revision_files, "_BYTES", 4096)
    monkeypatch.setattr(revision_files, "SimpleQueue", Watched)
    blob = subprocess.check_output(["git", "-C", repository.path, "hash-object", "-w", "--stdin"], input=b"x").decode()
    rows = "".join(f"100644 blob {blob.strip()}\ta{number}\n" for number in range(count))
    tree = subprocess.check_output(["git", "-C", repository.path, "mktree"], input=rows.encode()).decode().strip()
    assert sum(1 for _ in revision_files.tree_files(repository.path, tree)) == count
    assert max(sizes) < count // 2


def test_a_revision_that_does_not_exist_is_named(repository: Repository) -> None:
    with pytest.raises(Error, match=r"git ls-tree: .*nothing"):
        list(revision_files.tree_files(repository.path, "nothing"))


def test_a_listing_that_can_not_be_followed_ends_the_reading(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Or git would wait for ever for somebody who reads the rest of its list."""
    sha = repository.commit({f"{'a' * 200}{number}": b"" for number in range(400)})

    def fails(rows: object, once: str) -> Iterator[tuple[str, str]]:
        raise MemoryError
        yield

    monkeypatch.setattr(revision_files, "_files", fails)
    with pytest.raises(Error, match="git ls-tree: ended with -13"):
        list(revision_files.tree_files(repository.path, sha))
    assert "MemoryError" in caplog.text


def test_a_reader_may_stop_early(repository: Repository) -> None:
    sha = repository.commit({f"a{number}": bytes(100_000) for number in range(80)})
    files = revision_files.tree_files(repository.path, sha)
    assert next(files)[0] == "a0"
    files.close()  # type: ignore[attr-defined]


def test_a_missing_object_is_named(repository: Repository) -> None:
    sha = repository.commit({"a": b"one", "b": b"two"})
    blob = git(repository.path, "rev-parse", f"{sha}:b")
    (repository.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(Error, match="b: git cat-file ended early"):
        list(revision_files.tree_files(repository.path, sha))


def test_faults_of_a_revision_and_of_files(repository: Repository, tmp_path: Path) -> None:
    sha = repository.commit({"README.md": b"hello", "users/alice.yaml": USER, "users/bob.yaml": USER, "what": b""})
    count, faults = validate.check_revision(repository.path, "main", sha)
    assert (count, [fault.path for fault in faults]) == (4, ["users/bob.yaml", "what"])
    (tmp_path / "users").mkdir()
    good, bad = tmp_path / "users" / "alice.yaml", tmp_path / "users" / "bad.yaml"
    good.write_bytes(USER)
    bad.write_text("version: 2\n")
    count, faults = validate.check_files("main", tmp_path, [good, bad])
    assert (count, {fault.path for fault in faults}) == (2, {"users/bad.yaml"})
    for file, reason in [(Path("/etc/hostname"), "is outside of"), (tmp_path / "none", "can't be read: No such file")]:
        with pytest.raises(Error, match=reason):
            validate.check_files("main", tmp_path, [file])


# Differences


def test_files_that_come_go_and_become_folders(repository: Repository) -> None:
    old = repository.tree({"a": b"1", "b": b"2", "f/x": b"3", "same/y": b"4"})
    new = repository.tree({"a/deep": b"1", "b": (b"100755", b"2"), "f": b"3", "same/y": b"4", "n": b"5"})
    found = {
        one.path: (one.old is not None, one.new is not None, one.mode) for one in diff(repository.objects, old, new)
    }
    assert found == {
        "a": (True, False, b"100644"),
        "a/deep": (False, True, b"100644"),
        "b": (True, True, b"100755"),
        "f": (False, True, b"100644"),
        "f/x": (True, False, b"100644"),
        "n": (False, True, b"100644"),
    }
    assert list(diff(repository.objects, old, old)) == []
    assert [one.path for one in diff(repository.objects, None, repository.tree({"z": b""}))] == ["z"]


def test_folders_nested_too_deep_are_refused(repository: Repository) -> None:
    deep = repository.tree({"/".join("a" * 17): b""})
    with pytest.raises(Error, match="nested deeper than 16"):
        list(diff(repository.objects, None, deep))


# Commits


def test_a_commit_is_read_as_git_reads_it(repository: Repository) -> None:
    raw = (
        b"tree " + b"1" * 40 + b"\nparent " + b"2" * 40 + b"\nparent " + b"3" * 40
        + b"\nauthor A <a@b> 1 +0000\ncommitter C <c@d> 86400 -0130\nencoding UTF-8\nmergetag object x\n type commit\n"
        b"gpgsig -----BEGIN\n abc\n -----END\n\nsubject\n\nbody\n\nActor: user:x\nWhy: because\n"
    )  # fmt: skip
    commit = parse_commit("f" * 40, raw)
    assert (commit.parents, commit.author, commit.time) == (("2" * 40, "3" * 40), "a@b", 86400)
    assert commit.committed_at.isoformat() == "1970-01-02T00:00:00+00:00"
    assert commit.signature == b"-----BEGIN\nabc\n-----END"
    assert commit.signed == raw.replace(b"gpgsig -----BEGIN\n abc\n -----END\n", b"")
    assert commit.subject == "subject"
    assert commit.trailers() == [("Actor", "user:x"), ("Why", "because")]
    assert (commit.trailer("Why"), commit.trailer("Else")) == ("because", "")
    assert reserved_trailers(commit) == ["Actor"]


@pytest.mark.parametrize("message", ["", "subject", "subject\n\nActor: x\nand more\n"])
def test_text_that_is_no_trailer_is_not_read_as_one(message: str) -> None:
    assert Commit("", b"", (), "", 0, message).trailers() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"1" * 40, b"1" * 39),
        (b"1" * 40, b"g" * 40),
        (b"\nauthor", b"\nparent x\nauthor"),
        (b"author A", b"author"),
        (b"> 86400", b"> -1"),
        (b"> 86400", b"> " + b"9" * 12),
    ],
)
def test_a_malformed_commit_is_refused(old: bytes, new: bytes) -> None:
    raw = b"tree " + b"1" * 40 + b"\nauthor A <a@b> 1 +0000\ncommitter C <c@d> 86400 +0000\n\nx"
    with pytest.raises(Error, match="is not a valid commit"):
        parse_commit("f" * 40, raw.replace(old, new))


def test_each_file_of_a_commit_that_is_no_document_is_judged(repository: Repository) -> None:
    before = repository.tree({"users/alice.yaml": b"broken: [", "junk": b"1", "junk2": b"2", "users/dora.yaml": USER})
    after = repository.tree(
        {
            "README.md": b"read me",
            "users/alice.yaml": USER,
            "users/bob.yaml": (b"120000", b"../etc/passwd"),
            "users/carol.yaml": (b"100600", USER),
            "what": b"",
            "junk2": b"3",
        }
    )
    found = read_changes(repository.objects, "main", before, after)
    assert found.others == ["README.md"]
    assert [(fault.path, fault.message) for fault in found.faults] == [
        ("junk2", "no document is allowed here on main"),
        ("users/bob.yaml", "is a symbolic link: expected a file"),
        ("users/carol.yaml", "is no ordinary file: expected a file"),
        ("what", "no document is allowed here on main"),
    ]
    by_path = {change.path: (change.before, change.after) for change in found.proposed.changes}
    assert set(by_path) == {"users/alice.yaml", "users/dora.yaml"}
    assert by_path["users/alice.yaml"][0] is None  # what can't be read counts as not there


def test_the_same_bytes_are_read_once(repository: Repository) -> None:
    after = repository.tree({"users/alice.yaml": USER})
    first = read_changes(repository.objects, "main", None, after).proposed.changes[0].after
    again = read_changes(repository.objects, "main", None, repository.tree({"users/bob.yaml": USER})).proposed.changes[
        0
    ]
    assert again.after is first
    assert isinstance(first, User)


def test_more_files_than_can_be_judged(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_FILES == 20_000
    monkeypatch.setattr("jobserver.store.read.tree_changes.MAX_FILES", 2)
    with pytest.raises(Error, match="one commit changes more than 2 files"):
        read_changes(repository.objects, "main", None, repository.tree({"a": b"", "b": b"", "c": b""}))


# Histories


def test_a_history_is_streamed(repository: Repository) -> None:
    first = repository.commit({"a": b"1"})
    second = repository.commit({"a": b"2"}, first)
    side = git(repository.path, "commit-tree", f"{first}^{{tree}}", "-p", first, "-m", "aside")
    merged = repository.commit({"a": b"3"}, second, side)
    assert [commit.sha for commit in first_parent_log(repository.path, "main")] == [merged, second, first]
    line = commits_between(repository.path, "main", second)
    assert line == [(side, (first,)), (merged, (second, side))]
    assert commits_between(repository.path, first) == [(first, ())]
    commits = first_parent_log(repository.path, "main")
    next(commits)
    commits.close()  # type: ignore[attr-defined]
    with pytest.raises(Error, match="git rev-list nothing failed"):
        list(first_parent_log(repository.path, "nothing"))
    with PipedReader(repository.path) as objects, pytest.raises(KeyError):
        objects.commit("0" * 40)


class PipedReader(PipedObjects):
    def __enter__(self) -> "PipedReader":
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
        self.close()  # again is free


def test_branches_of_a_clone(repository: Repository, tmp_path: Path) -> None:
    sha = repository.commit({"a": b"1"})
    git(repository.path, "branch", "backends/tpp")
    git(tmp_path, "clone", "-q", str(repository.path), "clone")
    clone = tmp_path / "clone"
    git(clone, "commit", "-q", "--allow-empty", "-m", "here only")
    git(clone, "branch", "mine")
    found = branches(clone)
    assert found == {"backends/tpp": sha, "main": sha, "mine": git(clone, "rev-parse", "mine")}


# Objects


def test_objects_are_remembered_up_to_a_size(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobserver.store.git.objects._TREE_BYTES", 100)
    monkeypatch.setattr("jobserver.store.git.objects._SET_ENTRIES", 20_000)
    monkeypatch.setattr("jobserver.store.git.objects._DOCUMENTS", 1)
    objects = Objects(repository.path)
    made = [repository.tree({name: b"x"}) for name in ("a", "b", "c", "d", "e")]
    for sha in [*made, *made]:
        assert objects.tree(sha) == objects.tree(sha)
        assert len(objects.entry_set(sha)) == 1
    assert (objects._trees.weight, len(objects._trees)) == (87, 3)
    assert (objects._sets.weight, len(objects._sets)) == (16_002, 2)
    assert objects.entry_set(None) == frozenset()
    objects.remember_tree(made[0], objects.raw(made[0]), instead_of=made[4])
    objects.remember_tree(made[0], objects.raw(made[0]), instead_of=made[4])
    alice = bytes.fromhex(repository.write("blob", USER))
    bob = bytes.fromhex(repository.write("blob", USER.replace(b"alice", b"bob")))
    first = objects.document(alice, User, "a")
    assert objects.document(alice, User, "a") is first
    with pytest.raises(Error):
        objects.document(alice, Workspace, "a")
    objects.document(bob, User, "b")
    assert objects.known(alice) is None
    objects.forget()
    assert objects.known(bob) is None


def test_a_reader_looks_again_where_packs_are_replaced(repository: Repository) -> None:
    """Packed by git while we read, and the old packs taken away."""
    sha = bytes.fromhex(repository.commit({"a": b"1"}))
    git(repository.path, "repack", "-adq")
    before = repository.objects.raw(sha)
    later = bytes.fromhex(repository.commit({"a": b"2"}))
    git(repository.path, "reset", "-q", "--hard")
    git(repository.path, "repack", "-adq", "--unpack-unreachable=now")
    git(repository.path, "prune-packed")
    assert repository.objects.raw(later) != before
    with pytest.raises(KeyError):
        repository.objects.raw(bytes(20))


def test_folders_that_name_each_other_very_often_are_not_looked_through(repository: Repository) -> None:
    """They cost nothing to send, and stand for more than anybody can look through."""
    sha = bytes.fromhex(repository.write("tree", b""))
    for _ in range(8):
        entries = [trees.TreeEntry(trees.FOLDER, b"n%02d" % at, sha) for at in range(50)]
        sha = bytes.fromhex(repository.write("tree", b"".join(map(trees.encode, entries))))
    with pytest.raises(Error, match="one commit changes more than 1000 folders"):
        list(diff(repository.objects, None, sha, 1000))
    with pytest.raises(Error, match="one commit changes more than 60000 folders"):
        read_changes(repository.objects, "main", None, sha)


# A push that is not taken yet


def test_sizes_are_looked_at_before_anything_is_read(repository: Repository, tmp_path: Path) -> None:
    known = bytes.fromhex(repository.write("blob", b"known"))
    other = Repository(tmp_path / "other")
    small = bytes.fromhex(other.write("blob", b"small"))
    large = bytes.fromhex(other.write("blob", bytes(MAX_BLOB + 1)))
    objects = QuarantinedObjects(repository.path / ".git", other.path / ".git" / "objects")
    try:
        assert (objects.blob(small), objects.blob(known)) == (b"small", b"known")
        with pytest.raises(Error, match=f"{MAX_BLOB + 1} bytes; at most {MAX_BLOB - 1} are allowed"):
            objects.blob(large)
    finally:
        objects.close()


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        ("commit", b"tree " + bytes(64 * 1024), "a commit of 65541 bytes; at most 65535 are allowed"),
        ("tag", b"object x", "a tag can't be pushed"),
    ],
)
def test_a_pushed_object_that_is_no_part_of_a_branch_is_refused(
    repository: Repository, tmp_path: Path, kind: str, data: bytes, reason: str
) -> None:
    other = Repository(tmp_path / "other")
    other.write(kind, data)
    with pytest.raises(Error, match=reason):
        QuarantinedObjects(repository.path / ".git", other.path / ".git" / "objects")


def test_a_push_that_can_not_be_read(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    with pytest.raises(Error, match="the push can't be read: fatal: "):
        QuarantinedObjects(tmp_path, tmp_path / "objects")


@pytest.mark.parametrize("setting", ["core.worktree=/", "core.repositoryFormatVersion=7", "extensions.unheard=of"])
def test_a_config_that_makes_another_kind_of_repository_is_named(tmp_path: Path, setting: str) -> None:
    repo = tmp_path / "bare.git"
    git(tmp_path, "init", "-q", "--bare", str(repo))
    file = ("config", "--file", str(repo / "config"))
    git(tmp_path, *file, "core.repositoryFormatVersion", "1")
    git(tmp_path, *file, *setting.split("="))
    with pytest.raises(Error, match=r"bare\.git: the repository's config has core\.") as caught:
        Objects(repo).raw(bytes(20))
    assert caught.value.code is Code.UNAVAILABLE
