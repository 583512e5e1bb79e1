"""What the disk refuses, said plainly."""

import contextlib
import errno
from collections.abc import Iterator

from jobserver.errors import Error, unavailable


def refused(error: OSError) -> Error:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    where = str(error.filename) if error.filename is not None else ""
    return unavailable("the disk is full" if full else f"the disk refused: {error.strerror}", where)


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Raises an OSError from within as an `Error` (unavailable)."""
    try:
        yield
    except OSError as error:
        raise refused(error) from None
