"""Streams every file of a revision from `git cat-file --batch`, for readers of a whole branch.

Faster than reading object by object in process, and holds only a part in memory at a time.
"""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from jobserver.errors import unavailable
from jobserver.store.git.command import git, start
from jobserver.store.git.objects import check_id
from jobserver.worker import start_task


def tree_files(
    repository: Path, revision: str, folders: Sequence[str] | None = None, once: str = ""
) -> Iterator[tuple[str, bytes]]:
    """(path, data) of each file, or of each file in ``folders``, in the tree's order.

    ``once``: files whose path ends in this come only once if their bytes are the same. Raises `Error` (unavailable)
    with git's message, or for an object that is not what its id says.
    """
    if folders is not None and not folders:
        return
    files = _list(repository, revision, folders, once)
    pipe = subprocess.PIPE
    command = ["cat-file", "--batch", "--buffer"]
    with start(command, repository=repository, stdin=pipe, stdout=pipe, bufsize=1 << 20) as process:
        requests, answers = process.stdin, process.stdout
        assert requests is not None
        assert answers is not None
        # Requests come from a thread of their own, because both pipes fill up.
        thread = start_task("objects", lambda: _request(requests, [sha for _, sha in files]))
        try:
            for path, sha in files:
                head = answers.readline().split()
                if len(head) != 3:
                    raise unavailable("git cat-file ended early; run `git fsck` to find missing objects", path)
                data = answers.read(int(head[2]))
                answers.read(1)
                check_id(bytes.fromhex(sha), head[1], data, path)
                yield path, data
        finally:
            process.kill()
            thread.join()


def _list(repository: Path, revision: str, folders: Sequence[str] | None, once: str) -> list[tuple[str, str]]:
    """(path, blob) of each file."""
    limits = ["--", *folders] if folders is not None else []
    listing = git(repository, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", revision, *limits)
    files: list[tuple[str, str]] = []
    seen: set[str] = set()
    for row in listing.split("\0"):
        columns, _, path = row.partition("\t")
        sha = columns.rpartition(" ")[2]
        if not row or sha in seen:
            continue
        if once and path.endswith(once):
            seen.add(sha)
        files.append((path, sha))
    return files


def _request(pipe: IO[bytes], shas: Sequence[str]) -> None:
    try:
        for first in range(0, len(shas), 1000):
            pipe.write(("\n".join(shas[first : first + 1000]) + "\n").encode())
        pipe.close()
    except BrokenPipeError:
        pass
