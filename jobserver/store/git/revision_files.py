"""Every file of a revision, streamed from `git cat-file --batch`: for whoever reads a branch whole.

Faster than reading object by object in process, and in memory only a part at a time.
"""

import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobserver.errors import unavailable
from jobserver.store.git.command import git, start
from jobserver.store.git.objects import check_id


def tree_files(
    repository: Path, revision: str, folders: Sequence[str] | None = None, once: str = ""
) -> Iterator[tuple[str, bytes]]:
    """(path, data) of each file, or of those in ``folders``, in the tree's order.

    Of those that end in ``once``, the same bytes come once only. Raises `Error` (unavailable) with git's own words, or
    for an object that is not what its id says.
    """
    if folders is not None and not folders:
        return
    some = ["--", *folders] if folders is not None else []
    listing = git(repository, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", revision, *some)
    paths, shas = [], []
    given: set[str] = set()
    for row in listing.split("\0"):
        about, _, path = row.partition("\t")
        sha = about.rpartition(" ")[2]
        if not row or sha in given:
            continue
        if once and path.endswith(once):
            given.add(sha)
        paths.append(path)
        shas.append(sha)
    del listing
    asking = ["cat-file", "--batch", "--buffer"]
    pipe = subprocess.PIPE
    with start(asking, repository=repository, stdin=pipe, stdout=pipe, bufsize=1 << 20) as process:
        asked, answered = process.stdin, process.stdout
        assert asked is not None
        assert answered is not None

        def ask() -> None:
            # From a thread of its own: both pipes fill up.
            try:
                for start in range(0, len(shas), 1000):
                    asked.write(("\n".join(shas[start : start + 1000]) + "\n").encode())
                asked.close()
            except BrokenPipeError:
                pass

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            for path, sha in zip(paths, shas, strict=True):
                head = answered.readline().split()
                if len(head) != 3:
                    raise unavailable("git cat-file ended early; `git fsck` says whether objects are missing", path)
                data = answered.read(int(head[2]))
                answered.read(1)
                check_id(bytes.fromhex(sha), head[1], data, path)
                yield path, data
        finally:
            process.kill()
            thread.join()
