"""The active job requests of one backend as ready JSON: what every poll asks for. Immutable; a new one per change.

Kept as bytes with their digest, so that a poll that brings nothing new costs a comparison.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import merge

Key = tuple[int, str]
"""(created_at in microseconds, identifier): the order of lists, newest first."""


def list_body(count: int, items: Iterable[bytes], following: bytes = b"null", previous: bytes = b"null") -> bytes:
    """The reply's JSON; ``following`` and ``previous`` are JSON already."""
    parts = (b'{"count":%d,"next":%s,"previous":%s,"results":[' % (count, following, previous), b",".join(items), b"]}")
    return b"".join(parts)


def etag(body: bytes) -> str:
    """A strong validator: it changes when the bytes do, and only then."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


@dataclass(frozen=True, slots=True)
class Listing:
    """``items`` newest first, with ``body`` the whole of them as a reply."""

    items: tuple[tuple[Key, bytes], ...]
    body: bytes
    etag: str

    @classmethod
    def of(cls, items: Iterable[tuple[Key, bytes]]) -> "Listing":
        """From items in any order."""
        return cls._of(tuple(sorted(items, reverse=True)))

    @classmethod
    def _of(cls, ordered: tuple[tuple[Key, bytes], ...]) -> "Listing":
        body = list_body(len(ordered), (item for _, item in ordered))
        return cls(ordered, body, etag(body))

    @classmethod
    def joined(cls, listings: Iterable["Listing"]) -> "Listing":
        return cls._of(tuple(merge(*(one.items for one in listings), reverse=True)))

    def updated(self, found: Mapping[str, tuple[Key, bytes] | None]) -> "Listing":
        """With these ids replaced, or, if None, gone. Returns itself if nothing differs."""
        present = {key[1]: (key, item) for key, item in self.items if key[1] in found}
        wanted = {identifier: entry for identifier, entry in found.items() if entry is not None}
        if present == wanted:
            return self
        return self.of([entry for entry in self.items if entry[0][1] not in found] + list(wanted.values()))
