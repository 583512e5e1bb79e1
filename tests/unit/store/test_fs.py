import errno
import os
import sqlite3
from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.store.fs import application_of, disk_errors, move_durably, sync_tree


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
