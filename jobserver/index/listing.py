"""The active job requests of some backends as JSON that is ready to send: the answer to every poll. Immutable.

Kept as bytes with their digest, so that a poll without news costs one comparison.
"""

import hashlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from heapq import merge

import orjson

from jobserver.domain.base.identifiers import micros
from jobserver.domain.base.layout import Area
from jobserver.domain.base.state import Changes
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.index.items import request_item

Key = tuple[int, str]
"""(created_at in microseconds, identifier): the order of lists, newest first."""


def list_body(count: int, items: Iterable[bytes], following: bytes = b"null", previous: bytes = b"null") -> bytes:
    """The JSON of the answer. ``following`` and ``previous`` are JSON already."""
    parts = (b'{"count":%d,"next":%s,"previous":%s,"results":[' % (count, following, previous), b",".join(items), b"]}")
    return b"".join(parts)


def etag(body: bytes) -> str:
    """A strong validator (RFC 9110): it changes exactly when the bytes change."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


@dataclass(frozen=True, slots=True)
class Listing:
    """``items``: newest first. ``body``: the answer with all of them."""

    items: tuple[tuple[Key, bytes], ...]
    body: bytes
    etag: str

    @classmethod
    def of(cls, items: Iterable[tuple[Key, bytes]]) -> "Listing":
        """A listing of items in any order."""
        return cls._of(tuple(sorted(items, reverse=True)))

    @classmethod
    def _of(cls, ordered: tuple[tuple[Key, bytes], ...]) -> "Listing":
        body = list_body(len(ordered), (item for _, item in ordered))
        return cls(ordered, body, etag(body))

    @classmethod
    def joined(cls, listings: Iterable["Listing"]) -> "Listing":
        return cls._of(tuple(merge(*(listing.items for listing in listings), reverse=True)))

    def within(self, workspaces: Container[str]) -> "Listing":
        """The listing of the requests on these workspaces."""
        return self._of(
            tuple(entry for entry in self.items if orjson.loads(entry[1])["workspace"]["name"] in workspaces)
        )

    def followed(self, events: Iterable[Changes]) -> "Listing | None":
        """The listing after these events. The plan moves a request out of ``active/`` in the commit that finishes it.

        The same object if nothing changed; None if a request came back from the archive, which the events do not
        contain.
        """
        updates: dict[str, tuple[Key, bytes] | None] = {}
        for event in events:
            for move in event.moves:
                if move.to is Area.ACTIVE:
                    return None
                updates[move.place.identifier] = None
            for change in event.changes:
                if isinstance(request := change.after, JobRequest) and change.path.startswith(f"{Area.ACTIVE}/"):
                    item = orjson.dumps(request_item(request))
                    updates[request.identifier] = ((micros(request.created_at), request.identifier), item)
        return self._updated(updates) if updates else self

    def _updated(self, updates: Mapping[str, tuple[Key, bytes] | None]) -> "Listing":
        present = {key[1]: (key, item) for key, item in self.items if key[1] in updates}
        wanted = {identifier: entry for identifier, entry in updates.items() if entry is not None}
        if present == wanted:
            return self
        return self.of([entry for entry in self.items if entry[0][1] not in updates] + list(wanted.values()))
