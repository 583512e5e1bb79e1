"""Finds every fault of the documents on a branch, in a commit or in files. A push of them is refused for these."""

from collections.abc import Iterable
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.domain.documents import MODELS, AnyDocument
from jobserver.errors import Error, Fault, invalid
from jobserver.store.git.revision_files import tree_files
from jobserver.store.yaml import codec

# Files of a branch that are not documents.
OTHER_FILES = frozenset({"README.md", "allowed_signers"})
# Main may also have files of a host, an editor or git (.github/, .vscode/, .gitattributes), except those that change
# the apparent author of a commit or add another repository.
_REFUSED = frozenset({".", "..", ".git", ".gitmodules", ".mailmap"})


def is_no_document(branch: str, path: str) -> bool:
    """Whether a file at ``path`` may be something else than a document."""
    first = path.partition("/")[0]
    return path in OTHER_FILES or (branch == layout.MAIN and first.startswith(".") and first.lower() not in _REFUSED)


def read_document(branch: str, path: str, data: bytes) -> tuple[AnyDocument | None, list[Fault]]:
    """The document of the file at ``path`` of ``branch``, or its faults. Neither if the file is not a document."""
    if is_no_document(branch, path):
        return None, []
    where = layout.parse_path(branch, path)
    if where is None:
        return None, [Fault(layout.misplaced(branch, path), path)]
    try:
        document: AnyDocument = codec.read(MODELS[where.kind], data, path)
    except Error as error:
        return None, list(error.faults)
    faults = [Fault(message, path, key=key) for key, message in document.path_faults(where)]
    return (None if faults else document), faults


def check_document(branch: str, path: str, data: bytes) -> list[Fault]:
    """The faults of one file at ``path`` of ``branch``."""
    return read_document(branch, path, data)[1]


def check_revision(repository: Path, branch: str, revision: str) -> tuple[int, list[Fault]]:
    """(number of files, faults) of the tree of ``revision``, checked as ``branch``."""
    count, faults = 0, []
    for path, data in tree_files(repository, revision, once=layout.PIPELINE_FILE):
        count += 1
        faults += check_document(branch, path, data)
    return count, faults


def check_files(branch: str, root: Path, files: Iterable[Path]) -> tuple[int, list[Fault]]:
    """(number of files, faults) of files in a working copy at ``root`` of ``branch``. Raises `Error` (invalid)."""
    count, faults = 0, []
    for file in files:
        count += 1
        try:
            path = file.resolve().relative_to(root.resolve()).as_posix()
            faults += check_document(branch, path, file.read_bytes())
        except ValueError:
            raise invalid(f"is outside of {root}", str(file)) from None
        except OSError as error:
            raise invalid(f"can't be read: {error.strerror}", str(file)) from None
    return count, faults
