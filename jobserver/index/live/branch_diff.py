"""The documents in which two commits of a branch differ."""

from collections.abc import Iterator
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.domain.documents import AnyDocument
from jobserver.domain.job_requests.pipelines import StoredPipeline
from jobserver.errors import Fault
from jobserver.index.sqlite.apply import Delta
from jobserver.store.git.diff import diff
from jobserver.store.git.objects import Objects
from jobserver.store.read.snapshot import Head
from jobserver.store.read.validate import read_document


class BranchDiff:
    """Not thread-safe."""

    def __init__(self, repository: Path) -> None:
        self._objects = Objects(repository)

    def close(self) -> None:
        self._objects.close()

    def between(self, branch: str, old: str | None, new: str) -> Iterator[Delta]:
        before, after = (Head.read(branch, tip, self._objects).root for tip in (old, new))
        for path, _, blob, _ in diff(self._objects, before, after):
            if blob is None:
                yield Delta(path)
            else:
                document, faults = self._read(branch, path, blob)
                if document is not None or faults:
                    yield Delta(path, document, tuple(faults))

    def _read(self, branch: str, path: str, blob: bytes) -> tuple[AnyDocument | None, list[Fault]]:
        known = self._objects.known(blob) if path.endswith(layout.PIPELINE_FILE) else None
        if isinstance(known, StoredPipeline):
            return known, []
        document, faults = read_document(branch, path, self._objects.raw(blob))
        if isinstance(document, StoredPipeline):  # pipelines are large, and a rerun has the same one
            self._objects.remember_document(blob, document)
        return document, faults
