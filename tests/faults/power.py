"""Power loss: every change that a process asks the kernel for is recorded, and then cut off at any point.

What was not synced by then may be there, in part, or not at all, in any mixture: each name in a folder that was not
synced since, each byte of a file that was not. That is less than any real file system promises.

``python -m tests.faults.power --replays 1000`` prints the table of docs/reliability.md.
"""

import argparse
import os
import random
import shutil
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.crash import recovered
from tests.faults.operations import OPERATIONS, Operation, Place, template
from tests.faults.points import replace_calls

_NAMES = ("commit", "batch", "report", "new_backend", "checkpoint", "join", "rotation")
RECORDED = [one for one in OPERATIONS if one.name in _NAMES]


@dataclass
class Inode:
    """``content`` as readers see it; ``synced`` as it is on the disk for sure, None if never."""

    content: bytes
    synced: bytes | None = None
    mode: int = 0o644


@dataclass
class Folder:
    """``names``: on the disk for sure. ``pending``: what was asked for since: (names to remove, name to set, inode)."""

    names: dict[str, Inode]
    pending: list[tuple[tuple[str, ...], str, Inode | None]] = field(default_factory=list)

    def seen(self) -> dict[str, Inode]:
        found = dict(self.names)
        for change in self.pending:
            _apply(found, change)
        return found


def _apply(names: dict[str, Inode], change: tuple[tuple[str, ...], str, Inode | None]) -> None:
    gone, name, inode = change
    for one in gone:
        names.pop(one, None)
    if inode is not None:
        names[name] = inode


class Disk:
    """The files below ``root`` as a disk that forgets. Follows the process's calls; the real files follow too.

    ``lies``: it says that it has synced, and has not; what no software can help, and these replays must notice.
    """

    def __init__(self, root: Path, lies: bool = False) -> None:
        self.root, self._lies = root, lies
        self.folders: dict[str, Folder] = {}
        self._open: dict[int, tuple[str, Inode | None]] = {}
        for folder, _, files in os.walk(root):
            at = Path(folder)
            names = {}
            for name in files:
                path = at / name
                if stat.S_ISREG(path.lstat().st_mode):
                    data = path.read_bytes()
                    names[name] = Inode(data, data, path.stat().st_mode & 0o777)
            self.folders[folder] = Folder(names)

    # Calls

    def opened(self, real: Callable[..., int], path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        where = os.fspath(path)
        folder, name = os.path.split(os.path.abspath(where))
        existed = os.path.lexists(where)
        descriptor = real(path, flags, mode, **more)
        if folder in self.folders or where in self.folders:
            if os.path.isdir(where):
                self._open[descriptor] = (where, None)
            else:
                inode = self.folders[folder].seen().get(name) if existed else None
                if inode is None:
                    inode = Inode(b"", mode=mode & 0o777)
                    self.folders[folder].pending.append(((), name, inode))
                if flags & os.O_TRUNC:
                    inode.content = b""
                self._open[descriptor] = (where, inode)
        return descriptor

    def written(self, real: Callable[..., int], descriptor: int, data: bytes) -> int:
        count = real(descriptor, data)
        inode = self._open.get(descriptor, ("", None))[1]
        if inode is not None:
            inode.content += bytes(data[:count])
        return count

    def synced(self, real: Callable[..., None], descriptor: int) -> None:
        real(descriptor)
        where, inode = self._open.get(descriptor, ("", None))
        if self._lies:
            return
        if inode is not None:
            inode.content = Path(f"/proc/self/fd/{descriptor}").read_bytes()  # files of `io` write by themselves
            inode.synced = inode.content
        elif where in self.folders:
            folder = self.folders[where]
            folder.names, folder.pending = folder.seen(), []

    def closed(self, real: Callable[..., None], descriptor: int) -> None:
        self._open.pop(descriptor, None)
        real(descriptor)

    def renamed(self, real: Callable[..., None], old: Any, new: Any) -> None:
        real(old, new)
        self._change(old, new)

    def linked(self, real: Callable[..., None], old: Any, new: Any, **more: Any) -> None:
        real(old, new, **more)
        self._change(old, new, keep=True)

    def unlinked(self, real: Callable[..., None], path: Any, **more: Any) -> None:
        real(path, **more)
        folder, name = os.path.split(os.path.abspath(os.fspath(path)))
        if folder in self.folders:
            self.folders[folder].pending.append(((name,), "", None))

    def made(self, real: Callable[..., None], path: Any, *args: Any, **more: Any) -> None:
        real(path, *args, **more)
        where = os.path.abspath(os.fspath(path))
        if os.path.dirname(where) in self.folders:
            self.folders[where] = Folder({})

    def _change(self, old: Any, new: Any, keep: bool = False) -> None:
        source, target = (os.path.split(os.path.abspath(os.fspath(one))) for one in (old, new))
        if source[0] not in self.folders:
            return
        inode = self.folders[source[0]].seen()[source[1]]
        assert source[0] == target[0], "a rename across folders is two changes, which this does not model"
        self.folders[target[0]].pending.append((() if keep else (source[1],), target[1], inode))

    # The cut

    def after_power_loss(self, target: Path, chance: random.Random) -> None:
        """Makes below ``target`` what may be left of the files now."""
        for where, folder in self.folders.items():
            at = target / os.path.relpath(where, self.root)
            at.mkdir(parents=True, exist_ok=True)
            names = dict(folder.names)
            for change in folder.pending:
                if chance.random() < 0.5:
                    _apply(names, change)
            for name, inode in names.items():
                path = at / name
                path.write_bytes(_left(inode, chance))
                path.chmod(inode.mode)


def _left(inode: Inode, chance: random.Random) -> bytes:
    if inode.synced == inode.content:
        return inode.content
    size = len(inode.content)
    kept = chance.randint(0, size)
    return chance.choice(
        [
            inode.synced or b"",
            inode.content,
            inode.content[:kept],
            inode.content[:kept] + bytes(size - kept),
        ]
    )


class Cut(BaseException):
    """Ends the operation where the power went."""


def replay(
    operation: Operation, made: Path, folder: Path, at: int, seed: int, lies: bool = False
) -> tuple[list[str], int]:
    """(what is wrong after the loss, how many calls there were). ``at`` -1: after the last call."""
    before, after = folder / "before", folder / "after"
    shutil.copytree(made, before)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(operation, Disk(before, lies), after, at, seed, writer)
    os.close(writer)
    promised, calls = [], 0
    with os.fdopen(reader) as said:
        for line in said:
            kind, _, rest = line.strip().partition(" ")
            if kind == "promise":
                promised.append(rest)
            else:
                calls = int(rest)
    os.waitpid(child, 0)
    if not after.exists():
        return ["the replay itself failed"], calls
    return recovered(Place(after), promised, operation), calls


def _child(operation: Operation, disk: Disk, after: Path, at: int, seed: int, pipe: int) -> None:
    write = os.write
    count = [0]

    def cut() -> None:
        if count[0] == at:
            restore()
            disk.after_power_loss(after, random.Random(seed))
            os._exit(0)
        count[0] += 1

    try:
        restore = replace_calls(disk, cut)
        operation.run(Place(disk.root), lambda commit: write(pipe, f"promise {commit}\n".encode()) and None)
        restore()
        write(pipe, f"calls {count[0]}\n".encode())
        disk.after_power_loss(after, random.Random(seed))
    finally:
        os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--replays", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lies", action="store_true", help="the disk syncs nothing: there must be violations")
    options = parser.parse_args()
    scratch = "/dev/shm" if Path("/dev/shm").is_dir() else None
    chance, tried, violations = random.Random(options.seed), Counter[str](), []
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        template(folder / "made")
        calls = {}
        for operation in RECORDED:
            wrong, calls[operation.name] = replay(operation, folder / "made", folder / operation.name, -1, 0)
            violations += [f"{operation.name}: {one}" for one in wrong]
        for number in range(options.replays):
            operation = chance.choice(RECORDED)
            at = chance.randint(0, calls[operation.name] - 1)
            place = folder / str(number)
            wrong, _ = replay(operation, folder / "made", place, at, chance.randrange(1 << 30), options.lies)
            tried[operation.name] += 1
            for one in wrong:
                violations.append(f"{operation.name} cut at {at}: {one}")
                print(violations[-1], file=sys.stderr)
            shutil.rmtree(place)
    print("| operation | replays | points to cut at |\n| --- | --- | --- |")
    for operation in RECORDED:
        print(f"| {operation.name} | {tried[operation.name]} | {calls[operation.name]} |")
    print(f"| **all** | **{sum(tried.values())}** | **{len(violations)} violations** |")
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
