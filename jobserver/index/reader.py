"""Who reads the index in this thread, where reading is limited: a person who sees some projects and workspaces only.

Set at the beginning of each request of a server that limits reading (`web.visibility`), so that no query and no page
has to know of it. Threads in the background, and servers that do not limit reading, see everything.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from jobserver.index.directory import Directory

Limit: TypeAlias = Callable[[Directory], Directory]
"""From ``main`` as it is, what the reader may see of it: the same object for everything."""

_limit: ContextVar[Limit | None] = ContextVar("limit", default=None)


def begin(limit: Limit | None) -> None:
    """From now on this thread reads with this limit. It lasts until the next call, so that the parts of an answer that
    are made late have it too."""
    _limit.set(limit)


@contextmanager
def of_everything() -> Iterator[None]:
    """Without a limit: for what is public, whoever asks."""
    before = _limit.get()
    _limit.set(None)
    try:
        yield
    finally:
        _limit.set(before)


def seen(directory: Directory) -> Directory:
    """What the reader may see."""
    limit = _limit.get()
    return directory if limit is None else limit(directory)


def is_limited() -> bool:
    return _limit.get() is not None
