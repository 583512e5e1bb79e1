"""git's `uploadpack.packObjectsHook` for a fetch without the archive: packs a backend's branch without `OMITTED`.

git has no filter that leaves a folder out, so `git upload-pack` starts this file in place of `git pack-objects`, with
the same arguments and the same input (gitprotocol-pack(5) calls them wants, haves and shallow commits). Each new commit
brings what differs from its parents, also if an older commit has it in `OMITTED`: the client need not.

It imports only the standard library, because each such fetch waits for it.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator

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


def main(arguments: list[str]) -> int:
    shallow, wanted, had = read(sys.stdin.buffer)
    # A client that takes deltas of what it has ("thin") has all of these commits that `OMITTED` does not name.
    bases = [b"-%s\n" % sha for sha in had] if "--thin" in arguments else []
    pack_objects = ["git", "pack-objects", *(word for word in arguments if word in _KEPT)]
    with tempfile.NamedTemporaryFile(prefix="jobserver-shallow-") as file:
        file.write(b"".join(sha + b"\n" for sha in shallow))
        file.flush()
        log = subprocess.Popen(
            ["git", "--shallow-file", file.name, *_LOG, *_PATHS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        pack = subprocess.Popen(pack_objects, stdin=subprocess.PIPE)
        assert log.stdin is not None and log.stdout is not None and pack.stdin is not None
        with log.stdin as pipe:
            pipe.write(revisions(wanted, had))
        pack.stdin.writelines(bases)
        pack.stdin.writelines(objects(log.stdout))
        if log.wait():
            pack.kill()  # before the end of its input: it has packed nothing yet
            return 1
    pack.stdin.close()
    return pack.wait()


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
    sys.exit(main(sys.argv[1:]))
