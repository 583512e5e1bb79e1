"""The cache that all parts of the server use. docs/decisions/0019 says why it is not a library's."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Drops the entries that were used longest ago once their weights together exceed ``limit``. Thread-safe.

    The newest entry stays, whatever it weighs.
    """

    def __init__(self, limit: int, weigh: Callable[[V], int] = lambda value: 1) -> None:
        """``weigh`` gives a value's weight, which never changes; by default ``limit`` is a number of entries."""
        self._limit, self._weigh = limit, weigh
        self._entries: OrderedDict[K, V] = OrderedDict()
        self.weight = 0  # of all entries together
        self._guard = threading.Lock()

    def get(self, key: K) -> V | None:
        try:  # without the guard, which would cost as much again
            value = self._entries[key]
            self._entries.move_to_end(key)
        except KeyError:  # not there, or dropped between the two lines
            return None
        return value

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def put(self, key: K, value: V) -> None:
        with self._guard:
            if key in self._entries:
                self._remove(key)
            self._entries[key] = value
            self.weight += self._weigh(value)
            while self.weight > self._limit and len(self._entries) > 1:
                self.weight -= self._weigh(self._entries.popitem(last=False)[1])

    def remove(self, key: K) -> None:
        """Does nothing if there is no such entry."""
        with self._guard:
            if key in self._entries:
                self._remove(key)

    def clear(self) -> None:
        with self._guard:
            self._entries.clear()
            self.weight = 0

    def _remove(self, key: K) -> None:
        self.weight -= self._weigh(self._entries.pop(key))
