"""Reads objects by id, with caches. Not thread-safe: each thread has its own reader, or guards it with a lock.

A reader that several threads share fails now and then while packs are replaced (measured: 1.4 to 2% of reads). So a
miss opens the repository again.
"""

import hashlib
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from dulwich.errors import FileFormatException
from dulwich.repo import InvalidWorktreeConfiguration, Repo, UnsupportedExtension, UnsupportedVersion

from jobserver.cache import Cache
from jobserver.domain.base.values import Document
from jobserver.domain.job_requests.pipelines import StoredPipeline
from jobserver.errors import Error, unavailable
from jobserver.store.fs import reason
from jobserver.store.git import trees
from jobserver.store.yaml import codec

D = TypeVar("D", bound=Document)
_KINDS = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
_DAMAGED = (ValueError, zlib.error, FileFormatException)
_TREE_BYTES = 32 * 1024 * 1024
_SET_ENTRIES, _SET = 500_000, 8_000  # of all cached sets together; and what each counts for besides, so at most 62
_DOCUMENTS = 10_000  # each is a few more objects for the garbage collector to visit
_ACTIONS = 50_000  # of all cached pipelines together
_SPOTS = 5_000


def check_id(sha: bytes, kind: bytes, data: bytes, where: str = "") -> None:
    """Raises `Error` (unavailable) unless ``sha`` is the object's id. git checks new objects only, and in fsck."""
    actual = hashlib.sha1(b"%s %d\0" % (kind, len(data)) + data, usedforsecurity=False).hexdigest()
    if actual != sha.hex():
        raise unavailable(f"the object stored as {sha.hex()} is another object, {actual}", where)


def _opened(path: str) -> Repo:
    """Raises `Error` (unavailable) if the config makes it another kind of repository than ours."""
    try:
        return Repo(path)
    except InvalidWorktreeConfiguration:
        setting = "core.worktree"
    except (UnsupportedExtension, UnsupportedVersion):
        setting = "core.repositoryFormatVersion and extensions.*"
    raise unavailable(f"the repository's config has {setting}, which no state repository has: remove it", path)


class Objects:
    """Reads raw trees, commits and documents, and caches them. Call ``forget`` if the caches may be wrong."""

    def __init__(self, repository: Path) -> None:
        self._path = str(repository)
        self._repo: Repo | None = None
        self._trees = Cache[bytes, bytes](_TREE_BYTES, len)
        self._spots: dict[tuple[bytes, bytes, bytes], trees.Spot] = {}
        self._sets = Cache[bytes, frozenset[tuple[bytes, bytes, bytes]]](_SET_ENTRIES, lambda known: _SET + len(known))
        self._documents = Cache[bytes, Document](_DOCUMENTS)
        self._pipelines = Cache[bytes, StoredPipeline](_ACTIONS, lambda pipeline: len(pipeline.actions))

    def close(self) -> None:
        repo, self._repo = self._repo, None
        if repo is None:
            return
        for pack in repo.object_store._iter_cached_packs():
            try:
                pack.close()
            except BufferError:  # a traceback still holds a view of the pack; the second call succeeds
                pack.close()
        repo.close()

    def forget(self) -> None:
        self.close()
        self._trees.clear()
        self._spots.clear()
        self._documents.clear()
        self._pipelines.clear()
        self._sets.clear()

    def raw(self, sha: bytes) -> bytes:
        """The object's bytes. Raises KeyError if there is no such object, `Error` (unavailable) if it is damaged."""
        for _ in range(2):
            with suppress(KeyError, OSError, Error, *_DAMAGED):
                return self._read(sha)
            self.close()
        try:
            return self._read(sha)
        except _DAMAGED as error:
            raise unavailable(f"the object {sha.hex()} can't be read: {reason(error)}") from error

    def _read(self, sha: bytes) -> bytes:
        if self._repo is None:
            self._repo = _opened(self._path)
        kind, data = self._repo.object_store.get_raw(sha.hex().encode())  # type: ignore[arg-type]
        raw = bytes(data)
        check_id(sha, _KINDS.get(kind, b""), raw)
        return raw

    def tree(self, sha: bytes) -> bytes:
        known = self._trees.get(sha)
        return known if known is not None else self.remember_tree(sha, self.raw(sha))

    def find(self, sha: bytes, name: bytes, mode: bytes) -> trees.Spot:
        """As `trees.find`, in the tree ``sha``. A decision looks for the same few entries several times, and then its
        commit does."""
        spot = self._spots.get((sha, name, mode))
        if spot is None:
            spot = trees.find(self.tree(sha), name, mode)
            self._put_spot((sha, name, mode), spot)
        return spot

    def remember_spot(self, sha: bytes, spot: trees.Spot) -> None:
        """Where the tree ``sha`` has an entry."""
        assert spot.entry is not None
        self._put_spot((sha, spot.entry.name, spot.entry.mode), spot)

    def _put_spot(self, key: tuple[bytes, bytes, bytes], spot: trees.Spot) -> None:
        if len(self._spots) >= _SPOTS:
            self._spots.clear()
        self._spots[key] = spot

    def entry_set(self, sha: bytes | None) -> frozenset[tuple[bytes, bytes, bytes]]:
        """The tree's entries; none for None. The last trees are cached: the next commit changes what this one made."""
        if sha is None:
            return frozenset()
        known = self._sets.get(sha)
        if known is None:
            known = trees.entry_set(self.tree(sha))
            self._sets.put(sha, known)
        return known

    def remember_tree(self, sha: bytes, data: bytes, instead_of: bytes | None = None) -> bytes:
        """``instead_of``: the tree that this one replaces, which is not needed again."""
        if instead_of is not None:
            self._trees.remove(instead_of)
        self._trees.put(sha, data)
        return data

    def blob(self, sha: bytes) -> bytes:
        """As `raw`. For objects from strangers, a subclass checks their size here."""
        return self.raw(sha)

    def known(self, sha: bytes) -> Document | None:
        """The document of this blob, if it is cached."""
        return self._documents.get(sha) or self._pipelines.get(sha)

    def document(self, sha: bytes, model: type[D], path: str) -> D:
        """Raises `Error` (invalid) with its faults if the document can't be read."""
        known = self.known(sha)
        if isinstance(known, model):
            return known
        document = codec.read(model, self.raw(sha), path)
        self.remember_document(sha, document)
        return document

    def remember_document(self, sha: bytes, document: Document) -> None:
        if isinstance(document, StoredPipeline):
            self._pipelines.put(sha, document)
        else:
            self._documents.put(sha, document)
