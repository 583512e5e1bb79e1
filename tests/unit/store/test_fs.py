import errno
import os
import sqlite3
from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.store.fs import application_of, disk_errors


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
