import contextlib
import errno
import os
import signal
import sqlite3
import threading
from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.store import fs
from jobserver.store.fs import application_of, disk_errors, move_durably, sync_together, sync_tree


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths that were synced, in their order."""
    paths: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: paths.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    return paths


def test_a_tree_is_synced_with_its_own_folder(tmp_path: Path, synced: list[Path]) -> None:
    inner = tmp_path / "tree" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    sync_tree(tmp_path / "tree")
    assert synced == [inner, inner / "file", inner.parent]


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fs, "_last_syncs", [1.0])


@pytest.mark.usefixtures("slow_disk")
def test_files_are_synced_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(4, timeout=10)
    monkeypatch.setattr(os, "fsync", lambda descriptor: together.wait() and None)
    with contextlib.ExitStack() as files:
        sync_together([files.enter_context((tmp_path / str(name)).open("wb")).fileno() for name in range(4)])


def test_a_disk_that_needs_no_wait_is_not_waited_for_by_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is slow again."""
    threads: list[str] = []
    monkeypatch.setattr(fs, "_last_syncs", [0.0])
    monkeypatch.setattr(os, "fsync", lambda descriptor: threads.append(threading.current_thread().name))
    sync_together([0, 1, 2])
    assert len(threads) == 3
    assert len(set(threads)) == 1
    fs._last_syncs[0] = 1.0
    sync_together([0, 1, 2])
    assert len(threads) == 6
    assert len(set(threads)) > 1


@pytest.mark.parametrize("last", [0.0, 1.0])
@pytest.mark.parametrize("refused", [0, 2])
def test_a_file_that_can_not_be_synced_is_told_when_all_have_ended(
    monkeypatch: pytest.MonkeyPatch, refused: int, last: float
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(fs, "_last_syncs", [last])

    def sync(descriptor: int) -> None:
        ended.append(descriptor)
        if descriptor == refused:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(OSError, match="Input/output error"):
        sync_together([0, 1, 2])
    assert sorted(ended) == [0, 1, 2]


@pytest.mark.usefixtures("slow_disk")
def test_a_forked_process_syncs_with_threads_of_its_own(tmp_path: Path) -> None:
    with (tmp_path / "one").open("wb") as one, (tmp_path / "other").open("wb") as other:
        sync_together([one.fileno(), other.fileno()])
        fs._last_syncs[0] = 1.0
        if (child := os.fork()) == 0:
            signal.alarm(10)
            sync_together([one.fileno(), other.fileno()])
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_move_is_durable_in_the_folder_that_gains_the_name_before_the_one_that_loses_it(
    tmp_path: Path, synced: list[Path]
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    (old / "file").touch()
    move_durably(old / "file", new / "file")
    assert synced == [new, old]
    move_durably(new / "file", new / "other")
    assert synced == [new, old, new]


@pytest.mark.parametrize(
    ("number", "filename", "said"),
    [
        (errno.ENOSPC, None, "the disk is full"),
        (errno.EDQUOT, "/a", "/a: the disk is full"),
        (errno.EIO, "/a", "/a: the disk refused: Input/output error"),
    ],
)
def test_an_error_of_the_disk_is_told_plainly(number: int, filename: str | None, said: str) -> None:
    with pytest.raises(Error) as refused, disk_errors():
        raise OSError(number, os.strerror(number), filename)
    assert (refused.value.code, str(refused.value)) == (Code.UNAVAILABLE, said)


def test_a_disk_that_works_raises_nothing() -> None:
    with disk_errors():
        pass


def test_a_databases_application_id_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert application_of(file) is None
    file.write_bytes(bytes(100))
    assert application_of(file) is None
    file.write_bytes(b"a letter to somebody")
    with pytest.raises(Error, match="expected an SQLite database"):
        application_of(file)
    with pytest.raises(Error, match="can't be read: Is a directory"):
        application_of(tmp_path)
    file.unlink()
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA application_id=1234")
    connection.close()
    assert application_of(file) == 1234
