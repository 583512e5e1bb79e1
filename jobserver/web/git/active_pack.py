"""git's `uploadpack.packObjectsHook` for a fetch without the archive: packs a backend's branch without `OMITTED`.

git has no filter that leaves a folder out, so `git upload-pack` starts this file in place of `git pack-objects`, with
the same arguments and the same input (gitprotocol-pack(5) calls them wants, haves and shallow commits). Each new commit
brings what differs from its parents, also if an older commit has it in `OMITTED`: the client need not.

The list of what to pack is complete before git packs it: a pack of half a list looks valid to a client, which would
never ask for the rest. Then this process becomes `git pack-objects`. Until then it ends at git's signal, so that no
process outlives its client.

It imports only the standard library, because each such fetch waits for it.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import IO, NoReturn

OMITTED = ("archive", "releases")
"""Folders of finished work, which only grow. git's `log` lists them, and we pack them, but nothing below: the client's
`log` and `checkout` look into them before they find that they need nothing of them."""
_COMMIT, _SUBMODULE, _REMOVED = b"commit ", b"160000", b"000000"
_LOG = (
    *("-c", "log.showRoot=true", "-c", "log.showSignature=false", "log", "--format=commit %H %T", "--raw", "-t", "-m"),
    *("--no-abbrev", "--no-renames", "--no-color", "--full-history", "--sparse", "--stdin"),
)
_PATHS = ("--", ".", *(f":(exclude){folder}" for folder in OMITTED))
_KEPT = ("--stdout", "--progress", "--delta-base-offset")
_SIGNALS = (signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""By these git ends its children. Python ignores the first of them by itself."""


def main(arguments: list[str]) -> NoReturn:
    for number in _SIGNALS:
        signal.signal(number, lambda *_: sys.exit(1))
    shallow, wanted, had = read(sys.stdin.buffer)
    # A client that takes deltas of what it has ("thin") has all of these commits that `OMITTED` does not name.
    bases = [b"-%s\n" % sha for sha in had] if "--thin" in arguments else []
    with tempfile.TemporaryFile(dir=_folder()) as listing:
        listing.writelines(bases)
        _list_objects(listing, shallow, revisions(wanted, had))
        listing.seek(0)
        os.dup2(listing.fileno(), 0)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    os.execvp("git", ["git", "pack-objects", *(word for word in arguments if word in _KEPT)])


def _folder() -> str:
    """For temporary files. Not the working folder, which Python takes if it can write no other: it is a repository."""
    folder = tempfile.gettempdir()
    if folder == os.getcwd():  # noqa: PTH109 - to import pathlib takes as long as the rest
        sys.exit("jobserver: the server can't write temporary files: set TMPDIR")
    return folder


def _list_objects(listing: IO[bytes], shallow: list[bytes], revisions: bytes) -> None:
    with ExitStack() as held:
        options: list[str] = []
        if shallow:
            file = held.enter_context(tempfile.NamedTemporaryFile(prefix="jobserver-shallow-", dir=_folder()))
            file.writelines(sha + b"\n" for sha in shallow)
            file.flush()
            options = ["--shallow-file", file.name]
        command = ["git", *options, *_LOG, *_PATHS]
        log = held.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        held.callback(log.kill)
        assert log.stdin is not None and log.stdout is not None
        with log.stdin as pipe:
            pipe.write(revisions)
        listing.writelines(objects(log.stdout))
        if log.wait():
            sys.exit("jobserver: git can't read the branch")


def read(lines: Iterable[bytes]) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """The shallow commits, the wanted ones, and those that the client has."""
    shallow: list[bytes] = []
    wanted: list[bytes] = []
    had: list[bytes] = []
    revisions = wanted
    for line in map(bytes.strip, lines):
        if line == b"--not":
            revisions = had
        elif line.startswith(b"--shallow "):
            shallow.append(line.split(b" ")[1])
        elif line:
            revisions.append(line)
    return shallow, wanted, had


def revisions(wanted: list[bytes], had: list[bytes]) -> bytes:
    return b"".join([*(b"%s\n" % sha for sha in wanted), *(b"^%s\n" % sha for sha in had)])


def objects(listing: Iterable[bytes]) -> Iterator[bytes]:
    """What git is to pack, as `<id> <path>`, from the output of `git log`."""
    for line in listing:
        if line.startswith(_COMMIT):
            for sha in line.split()[1:]:
                yield sha + b"\n"
        elif line.startswith(b":"):
            head, _, path = line.partition(b"\t")  # of which `path` ends in a line break
            mode, sha = head.split(b" ")[1:4:2]
            if mode not in (_SUBMODULE, _REMOVED):
                yield sha + b" " + path


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - the client must see none of the server's paths
        sys.exit(f"jobserver: what to send can't be listed: {getattr(error, 'strerror', None) or type(error).__name__}")
