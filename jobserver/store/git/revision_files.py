"""Streams every file of a revision from `git ls-tree` through `git cat-file --batch`, for readers of a whole branch.

Faster than reading object by object in process, and holds only a part in memory at a time, also of the list of files:
that of a million job requests has seven million.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from jobserver.errors import unavailable
from jobserver.store.git.command import start
from jobserver.store.git.objects import check_id
from jobserver.worker import start_task

_PIPE = subprocess.PIPE
_BYTES = 1 << 20


def tree_files(
    repository: Path, revision: str, folders: Sequence[str] | None = None, once: str = ""
) -> Iterator[tuple[str, bytes]]:
    """(path, data) of each file, or of each file in ``folders``, in the tree's order.

    ``once``: files whose path ends in this come only once if their bytes are the same. Raises `Error` (unavailable)
    with git's message, or for an object that is not what its id says.
    """
    if folders is not None and not folders:
        return
    limits = ["--", *folders] if folders is not None else []
    list_files = ["ls-tree", "-r", "-z", "--full-tree", "--end-of-options", revision, *limits]
    read_files = ["cat-file", "--batch", "--buffer"]
    with (
        start(list_files, repository=repository, stdout=_PIPE, stderr=_PIPE) as listing,
        start(read_files, repository=repository, stdin=_PIPE, stdout=_PIPE, bufsize=_BYTES) as reading,
    ):
        rows, requests, answers = listing.stdout, reading.stdin, reading.stdout
        assert rows is not None
        assert requests is not None
        assert answers is not None
        paths = SimpleQueue[tuple[str, str] | None]()  # that git was asked for; None at the end
        # Requests come from a thread of their own, because both pipes fill up.
        thread = start_task("objects", lambda: _request(rows, requests, paths, once))
        try:
            while (asked := paths.get()) is not None:
                path, sha = asked
                head = answers.readline().split()
                if len(head) != 3:
                    raise unavailable("git cat-file ended early; run `git fsck` to find missing objects", path)
                data = answers.read(int(head[2]))
                answers.read(1)
                check_id(bytes.fromhex(sha), head[1], data, path)
                yield path, data
            if code := listing.wait():
                assert listing.stderr is not None
                reason = listing.stderr.read().decode(errors="replace").strip() or f"ended with {code}"
                raise unavailable(f"git ls-tree: {reason}")
        finally:
            listing.kill()
            reading.kill()
            thread.join()


def _request(rows: IO[bytes], pipe: IO[bytes], paths: "SimpleQueue[tuple[str, str] | None]", once: str) -> None:
    """Asks for each file of the listing ``rows``. git's pipes bound how many paths wait for their answers."""
    try:
        with suppress(BrokenPipeError), rows, pipe:  # a git whose output nobody reads would wait for ever
            for path, sha in _files(rows, once):
                paths.put((path, sha))
                pipe.write(sha.encode() + b"\n")
    finally:
        paths.put(None)


def _files(rows: IO[bytes], once: str) -> Iterator[tuple[str, str]]:
    """(path, blob) of each row of `git ls-tree -z`."""
    seen: set[str] = set()
    rest = b""
    while part := rows.read(_BYTES):
        *whole, rest = (rest + part).split(b"\0")
        for row in whole:
            columns, _, name = row.partition(b"\t")
            path, sha = name.decode(errors="surrogateescape"), columns[-40:].decode()
            if sha in seen:
                continue
            if once and path.endswith(once):
                seen.add(sha)
            yield path, sha
