"""The objects of a push that git has received and not accepted yet: git's quarantine folder, on top of the store.

Other readers of the repository don't see these objects (git-receive-pack(1), "Quarantine environment"), and must not:
nobody has judged them. Their sizes are checked before anything is unpacked.
"""

from pathlib import Path

from dulwich.errors import FileFormatException
from dulwich.object_store import DiskObjectStore

from jobserver.domain.job_requests.pipelines import StoredPipeline
from jobserver.errors import Fault, invalid
from jobserver.store.git.command import environment, run
from jobserver.store.git.objects import Objects

MAX_BLOB = StoredPipeline.max_bytes + 1  # one more than any document, so that the reader refuses it
MAX_TREE = 4 * 1024 * 1024
MAX_COMMIT = 64 * 1024
_LIMITS = {"blob": MAX_BLOB, "tree": MAX_TREE, "commit": MAX_COMMIT}


class QuarantinedObjects(Objects):
    """The objects of the store and of the push in ``folder``. Raises `Error` (invalid) if one is too large."""

    def __init__(self, repository: Path, folder: Path) -> None:
        super().__init__(repository)
        self._too_large = _check_sizes(repository, folder)
        self._pushed = DiskObjectStore(str(folder))

    def close(self) -> None:
        super().close()
        self._pushed.close()

    def blob(self, sha: bytes) -> bytes:
        """Raises `Error` (invalid) for a blob that is larger than any document may be."""
        if size := self._too_large.get(sha):
            raise invalid(f"{size} bytes; at most {MAX_BLOB - 1} are allowed")
        return super().blob(sha)

    def raw(self, sha: bytes) -> bytes:
        try:
            return bytes(self._pushed.get_raw(sha.hex().encode())[1])  # type: ignore[arg-type]
        except KeyError:
            return super().raw(sha)
        except FileFormatException as error:  # git checks objects, but not for everything
            raise ValueError(str(error)) from error


def _check_sizes(repository: Path, folder: Path) -> dict[bytes, int]:
    """Blobs that are too large -> their sizes; the faults name their files later.

    Raises `Error` (invalid) for any other object that is too large, and for objects that no branch contains.
    """
    command = ["cat-file", "--batch-all-objects", "--unordered", "--buffer"]
    command.append("--batch-check=%(objectname) %(objecttype) %(objectsize)")
    done = run(command, environment(GIT_OBJECT_DIRECTORY=str(folder)), repository=repository)
    if done.returncode:
        raise invalid(f"the push can't be read: {done.stderr.decode(errors='replace').strip()}")
    faults, too_large = [], {}
    for line in done.stdout.decode().splitlines():
        sha, kind, size = line.split(" ")
        limit = _LIMITS.get(kind, 0)
        if kind == "blob" and int(size) > limit:
            too_large[bytes.fromhex(sha)] = int(size)
        elif int(size) > limit:
            too_long = f"a {kind} of {size} bytes; at most {limit - 1} are allowed"
            faults.append(Fault(too_long if limit else f"a {kind} can't be pushed", sha))
    if faults:
        raise invalid(str(faults[0]), faults=faults)
    return too_large
