"""Every fault of the documents on a branch, in a commit or in files: what a push of them is refused for."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from jobserver.domain import names
from jobserver.domain.documents import MODELS, name_faults
from jobserver.errors import Error, Fault, invalid
from jobserver.store import codec
from jobserver.store.repo import git, git_bytes

# Files of a branch that are no documents.
_OTHERS = frozenset({"README.md", "allowed_signers"})


def check_document(branch: str, path: str, data: bytes) -> list[Fault]:
    """The faults of one file as it would stand at ``path`` of ``branch``."""
    if path in _OTHERS:
        return []
    where = names.parse_path(branch, path)
    if where is None:
        return [Fault(f"no document may stand here on {branch}", path)]
    try:
        document = codec.read(MODELS[where.kind], data, path)
    except Error as error:
        return list(error.faults)
    return [Fault(message, path, key=key) for key, message in name_faults(where, document)]


def check_revision(repository: Path, branch: str, revision: str) -> tuple[int, list[Fault]]:
    """(files looked at, faults) of the tree of ``revision``, judged as ``branch``."""
    count, faults = 0, []
    for path, data in _files(repository, revision):
        count += 1
        faults += check_document(branch, path, data)
    return count, faults


def _files(repository: Path, revision: str) -> Iterator[tuple[str, bytes]]:
    listing = git(repository, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", revision).split("\0")
    rows = [row.split("\t", 1) for row in listing if row]
    shas = [meta.split()[2] for meta, _ in rows]
    answer = git_bytes(repository, ("cat-file", "--batch"), "".join(f"{sha}\n" for sha in shas).encode())
    at = 0
    for _, path in rows:
        end = answer.index(b"\n", at)
        size = int(answer[at:end].rsplit(b" ", 1)[1])
        yield path, answer[end + 1 : end + 1 + size]
        at = end + size + 2


def check_files(branch: str, root: Path, files: Iterable[Path]) -> tuple[int, list[Fault]]:
    """(files looked at, faults) of files in a working copy at ``root`` of ``branch``. Raises `Error` (invalid)."""
    count, faults = 0, []
    for file in files:
        count += 1
        try:
            path = file.resolve().relative_to(root.resolve()).as_posix()
            faults += check_document(branch, path, file.read_bytes())
        except ValueError:
            raise invalid(f"is outside of {root}", str(file)) from None
        except OSError as error:
            raise invalid(f"cannot be read: {error.strerror}", str(file)) from None
    return count, faults
