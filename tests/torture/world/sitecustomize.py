"""What Python imports at its start where the torture put it on the path: a server's clock and disk.

``$TORTURE_WORLD`` is a folder: ``clock`` holds the seconds that this server's clock is wrong by, ``full`` stands there
while nothing more can be written.
"""

import errno
import os
from datetime import datetime, timedelta
from pathlib import Path

from jobserver.store import fs

_WORLD = Path(os.environ["TORTURE_WORLD"])
_write_all = fs.write_all


def write_all(descriptor: int, data: bytes) -> None:
    if (_WORLD / "full").exists():
        _write_all(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _write_all(descriptor, data)


fs.write_all = write_all  # before anybody else takes it from there

from jobserver import bootstrap  # noqa: E402
from jobserver.store.write.writer import Writer  # noqa: E402

Writer.enough_to_go_ahead = 1  # as if many clients wrote at once

_now = bootstrap.now


def now() -> datetime:
    try:
        return _now() + timedelta(seconds=float((_WORLD / "clock").read_text() or 0))
    except OSError:
        return _now()


bootstrap.now = now
for _function in vars(bootstrap).values():
    defaults = getattr(_function, "__defaults__", None)
    if defaults and _now in defaults:
        _function.__defaults__ = tuple(now if one is _now else one for one in defaults)
