"""The objects of a push that git has received and not yet taken: git's quarantine folder, laid over the store.

A plain reader of the repository does not see them (git-receive-pack(1), "Quarantine environment"), and must not: they
are a stranger's until they are judged. Their sizes are looked at before anything is unpacked.
"""

from pathlib import Path

from dulwich.errors import FileFormatException
from dulwich.object_store import DiskObjectStore

from jobserver.domain.job_requests.pipelines import StoredPipeline
from jobserver.errors import Fault, invalid
from jobserver.store.git.command import environment, run
from jobserver.store.git.objects import Objects

MAX_BLOB = StoredPipeline.max_bytes + 1  # what any document may have, and one more for the reader to complain about
MAX_TREE = 4 * 1024 * 1024
MAX_COMMIT = 64 * 1024
_LIMITS = {"blob": MAX_BLOB, "tree": MAX_TREE, "commit": MAX_COMMIT}


class QuarantinedObjects(Objects):
    """The store's objects and those of the push at ``folder``. Raises `Error` (invalid) if one is too large."""

    def __init__(self, repository: Path, folder: Path) -> None:
        super().__init__(repository)
        self._too_large = _check_sizes(repository, folder)
        self._pushed = DiskObjectStore(str(folder))

    def close(self) -> None:
        super().close()
        self._pushed.close()

    def blob(self, sha: bytes) -> bytes:
        """Raises `Error` (invalid) for one that is larger than any document may be."""
        if size := self._too_large.get(sha):
            raise invalid(f"{size} bytes; at most {MAX_BLOB - 1} are allowed")
        return super().blob(sha)

    def raw(self, sha: bytes) -> bytes:
        try:
            return bytes(self._pushed.get_raw(sha.hex().encode())[1])  # type: ignore[arg-type]
        except KeyError:
            return super().raw(sha)
        except FileFormatException as error:  # git looks at what it takes; this is for what it lets pass
            raise ValueError(str(error)) from error


def _check_sizes(repository: Path, folder: Path) -> dict[bytes, int]:
    """Blobs that are too large, with their sizes: the files they stand at will be named.

    Raises `Error` (invalid) for anything else that is too large, or no part of a branch.
    """
    asked = ["cat-file", "--batch-all-objects", "--unordered", "--buffer"]
    asked.append("--batch-check=%(objectname) %(objecttype) %(objectsize)")
    done = run(asked, environment(GIT_OBJECT_DIRECTORY=str(folder)), repository=repository)
    if done.returncode:
        raise invalid(f"the push can't be read: {done.stderr.decode(errors='replace').strip()}")
    faults, too_large = [], {}
    for line in done.stdout.decode().splitlines():
        sha, kind, size = line.split(" ")
        limit = _LIMITS.get(kind, 0)
        if kind == "blob" and int(size) > limit:
            too_large[bytes.fromhex(sha)] = int(size)
        elif int(size) > limit:
            what = f"a {kind} of {size} bytes; at most {limit - 1} are allowed" if limit else f"no {kind} may be pushed"
            faults.append(Fault(what, sha))
    if faults:
        raise invalid(str(faults[0]), faults=faults)
    return too_large
