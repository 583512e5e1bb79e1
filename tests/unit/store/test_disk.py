import errno
import os

import pytest

from jobserver.errors import Code, Error
from jobserver.store.disk import plainly


@pytest.mark.parametrize(
    ("number", "filename", "said"),
    [
        (errno.ENOSPC, None, "the disk is full"),
        (errno.EDQUOT, "/a", "/a: the disk is full"),
        (errno.EIO, "/a", "/a: the disk refused: Input/output error"),
    ],
)
def test_what_a_disk_refuses_is_said_plainly(number: int, filename: str | None, said: str) -> None:
    with pytest.raises(Error) as refused, plainly():
        raise OSError(number, os.strerror(number), filename)
    assert (refused.value.code, str(refused.value)) == (Code.UNAVAILABLE, said)


def test_nothing_to_say() -> None:
    with plainly():
        pass
