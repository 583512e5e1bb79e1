"""Branch tips as git leaves them, and moves that others are in the way of."""

import contextlib
import errno
import os
import shutil
import time
from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.store.git import refs as module
from jobserver.store.git.refs import Refs
from jobserver.store.upstream import Unconfirmed

ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "refs" / "heads" / "backends").mkdir(parents=True)
    (tmp_path / "packed-refs").write_text(
        f"# pack-refs with: peeled fully-peeled sorted\n{ONE} refs/heads/backends/tpp\n{ONE} refs/heads/main\n"
        f"{TWO} refs/tags/v1\n^{THREE}\n"
    )
    return tmp_path


def test_tips_are_loose_or_packed(root: Path) -> None:
    refs = Refs(root)
    assert refs.branches() == {"backends/tpp": ONE, "main": ONE}
    (root / "refs" / "heads" / "main").write_text(TWO + "\n")
    (root / "refs" / "heads" / "audit").write_text("half\n")
    (root / "refs" / "heads" / "main.lock").write_text(THREE + "\n")
    assert refs.branches() == {"backends/tpp": ONE, "main": TWO}
    assert refs.tip("audit") is None
    assert refs.tip("backends") is None  # a folder
    assert refs.tip("main/below") is None
    (root / "packed-refs").unlink()
    assert refs.branches() == {"main": TWO}


def test_a_tip_is_what_its_file_says_now_however_it_changed(root: Path) -> None:
    """It keeps the file open, to see by one call whether another one is in its place."""
    refs, path = Refs(root), root / "refs" / "heads" / "main"
    # As git does it, twice between two looks and within a tick of the clock: ext4 gives the number of a deleted file to
    # the next one.
    for tip in (ONE, TWO, THREE) * 10:
        for text in ("4" * 40, tip):
            (other := path.with_suffix(".lock")).write_text(text + "\n")
            os.utime(other, ns=(0, 0))
            other.rename(path)
        assert [refs.tip("main"), refs.tip("main")] == [tip, tip]
    path.write_text(TWO + "\n")  # as an editor does it, a moment later
    os.utime(path, ns=(0, 10**9))
    assert refs.tip("main") == TWO
    path.write_text("half")
    assert refs.tip("main") == ONE  # that of packed-refs
    path.unlink()
    assert refs.tip("main") == ONE
    path.write_text(TWO)
    assert refs.tip("main") == TWO
    root.rename(root.with_name("old"))
    shutil.copytree(root.with_name("old"), root)  # a backup that somebody brings back
    path.write_text(THREE)
    shutil.copystat(root.with_name("old") / "refs" / "heads" / "main", path)
    assert refs.tip("main") == THREE


def test_a_file_that_changes_while_it_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refs, path = Refs(root), root / "refs" / "heads" / "main"
    path.write_text(TWO)

    def read(descriptor: int, size: int) -> bytes:
        found = os.pread(descriptor, size, 0)
        path.write_text(THREE)
        os.utime(path, ns=(0, 0))
        monkeypatch.undo()
        return found

    monkeypatch.setattr(os, "read", read)
    assert [refs.tip("main"), refs.tip("main")] == [TWO, THREE]


def test_only_files_of_a_state_repositorys_branches_stay_open(root: Path) -> None:
    refs, heads = Refs(root), root / "refs" / "heads"
    for name in ("main", "backends/tpp", *(f"stray-{number}" for number in range(20))):
        (heads / name).write_text(TWO)
    assert refs.branches() == {"backends/tpp": TWO, "main": TWO}
    assert _open_files(root) == 2
    for _ in range(3):
        assert refs.move("main", refs.tip("main"), THREE)
        assert refs.tip("main") == THREE
    assert _open_files(root) == 2
    del refs
    assert _open_files(root) == 0


def _open_files(root: Path) -> int:
    """How many files below ``root`` this process has open."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of this loop, or of another thread
            count += link.readlink().is_relative_to(root)
    return count


def test_a_move_compares_what_the_file_says(root: Path) -> None:
    """Even if somebody wrote into it within one tick of the disk's clock, which nothing but its bytes shows."""
    refs, path = Refs(root), root / "refs" / "heads" / "main"
    path.write_text(TWO)
    assert refs.tip("main") == TWO
    status = path.stat()
    path.write_text(THREE)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not refs.move("main", TWO, ONE)
    assert refs.tip("main") == THREE


def test_a_tip_that_is_packed_between_two_looks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refs = Refs(root)
    looks: list[dict[str, str]] = [{}, {"main": TWO}]
    monkeypatch.setattr(refs, "_packed", lambda: looks.pop(0))
    assert refs.tip("main") == TWO


def test_a_tip_is_synced_once_before_a_reader_sees_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(module, "sync_folder", synced.append)
    refs, heads = Refs(root), root / "refs" / "heads"
    (heads / "main").write_text(TWO)
    assert [refs.durable_tip("main"), refs.durable_tip("main")] == [TWO, TWO]
    assert synced == [heads]
    assert refs.durable_tip("audit") is None
    (heads / "backends").rmdir()
    assert refs.durable_tip("backends/tpp") == ONE  # packed, and nothing here to sync
    assert synced == [heads]


def test_a_move_is_a_compare_and_swap(root: Path) -> None:
    refs = Refs(root)
    assert not refs.move("main", TWO, THREE)
    assert refs.move("main", ONE, TWO)
    assert not refs.move("main", None, THREE)
    assert refs.move("backends/new", None, ONE)
    assert refs.branches() == {"backends/new": ONE, "backends/tpp": ONE, "main": TWO}
    assert not list(root.rglob("*.lock"))


def test_a_move_to_a_prepared_tip_does_not_wait_for_its_bytes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refs, packs = Refs(root), root / "objects" / "pack"
    packs.mkdir(parents=True)
    with refs.prepared([TWO, THREE]) as descriptors:
        assert [os.fstat(descriptor).st_size for descriptor in descriptors] == [41, 41]
        synced: list[Path] = []
        monkeypatch.setattr(module, "sync_folder", synced.append)
        monkeypatch.setattr(os, "fsync", lambda descriptor: pytest.fail("waited"))
        assert refs.move("main", ONE, TWO)
        assert synced == [root / "refs" / "heads"]
        assert not refs.move("backends/tpp", TWO, THREE)
    assert (root / "refs" / "heads" / "main").read_text() == f"{TWO}\n"
    assert [path for path in root.rglob("*") if path.suffix == ".lock" or path.parent == packs] == []


def test_the_folder_of_packed_branches_is_durable_once_it_is_made_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads, synced = root / "refs" / "heads", list[Path]()
    (heads / "backends").rmdir()  # as `git pack-refs --all` leaves it
    monkeypatch.setattr(module, "sync_folder", synced.append)
    assert Refs(root).move("backends/tpp", ONE, TWO)
    assert synced == [heads, heads / "backends"]


def test_a_lock_of_another_process_is_in_the_way_of_a_prepared_tip(root: Path) -> None:
    (root / "objects" / "pack").mkdir(parents=True)
    lock = root / "refs" / "heads" / "main.lock"
    lock.touch()
    with Refs(root).prepared([TWO]), pytest.raises(Error, match="another process holds the lock"):
        Refs(root).move("main", ONE, TWO)
    assert lock.read_bytes() == b""


def test_a_prepared_tip_is_written_again_where_there_are_no_links(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **more: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    (root / "objects" / "pack").mkdir(parents=True)
    monkeypatch.setattr(os, "link", refused)
    refs = Refs(root)
    with refs.prepared([TWO]):
        assert refs.move("main", ONE, TWO)
    assert refs.tip("main") == TWO


def test_a_lock_of_another_process_is_waited_for_a_little(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refs, lock = Refs(root), root / "refs" / "heads" / "main.lock"
    lock.touch()
    with pytest.raises(Error, match="another process holds the lock") as refused:
        refs.move("main", ONE, TWO)
    assert refused.value.code is Code.UNAVAILABLE
    monkeypatch.setattr(time, "sleep", lambda seconds: lock.unlink())
    assert refs.move("main", ONE, TWO)


def test_a_stale_lock_is_taken_over(root: Path) -> None:
    refs, lock = Refs(root), root / "refs" / "heads" / "main.lock"
    lock.touch()
    os.utime(lock, (time.time() - 60, time.time() - 60))
    assert refs.move("main", ONE, TWO)


def refusing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os if name == "fsync" else module, name, refused)


def test_a_disk_that_refuses_changes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refs = Refs(root)
    refusing("fsync", monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        refs.move("main", ONE, TWO)
    assert refs.tip("main") == ONE
    assert not list(root.rglob("*.lock"))


def test_a_disk_that_does_not_confirm_is_no_reason_to_try_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refs = Refs(root)
    refusing("sync_folder", monkeypatch)
    with pytest.raises(Unconfirmed, match="No space left"):
        refs.move("main", ONE, TWO)
    assert refs.tip("main") == TWO
