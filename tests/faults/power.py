"""Power loss: every change that a process asks the kernel for is recorded, and then cut off at any point.

What was not synced by then may be there, in part, or not at all, in any mixture: each name in a folder that was not
synced since, each byte of a file that was not. That is less than any real file system promises.

``python -m tests.faults.power --replays 1000`` prints the table of docs/reliability.md.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.crash import recovered
from tests.faults.operations import OPERATIONS, Operation, Place, template
from tests.faults.points import replace_calls, sync_in_turn

_NAMES = (
    "commit",
    "batch",
    "report",
    "new_backend",
    "checkpoint",
    "join",
    "rotation",
    "release",
    "checked_upload",
    "withdrawal",
)
RECORDED = [one for one in OPERATIONS if one.name in _NAMES]


@dataclass(eq=False)
class Inode:
    """``content`` as readers see it; ``synced`` as it is on the disk for sure, None if never."""

    content: bytes
    synced: bytes | None = None
    mode: int = 0o644


@dataclass(eq=False)
class Change:
    """Of the names in a folder. ``needs``: where something came from elsewhere, it goes from there only once it is here
    (with its folder): a power loss may leave both names of what was renamed, and never none.
    """

    gone: str
    name: str = ""
    node: "Inode | Folder | None" = None
    needs: "tuple[Folder, Change] | None" = None
    is_durable: bool = False

    def apply(self, names: "dict[str, Inode | Folder]") -> None:
        names.pop(self.gone, None)
        if self.node is not None:
            names[self.name] = self.node


@dataclass(eq=False)
class Folder:
    """``names``: on the disk for sure; ``now``: as readers see them; ``pending``: what lies between."""

    names: dict[str, "Inode | Folder"] = field(default_factory=dict)
    now: dict[str, "Inode | Folder"] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> Change:
        self.pending.append(change)
        change.apply(self.now)
        return change

    def sync(self) -> None:
        for change in self.pending:
            if change.needs is not None and not change.needs[1].is_durable:
                change.needs[0].sync()
            change.apply(self.names)
            change.is_durable = True
        self.pending = []


class Disk:
    """The files below ``root`` as a disk that forgets. Follows the process's calls; the real files follow too.

    ``lies``: it says that it has synced, and has not; what no software can help, and these replays must notice.
    """

    def __init__(self, root: Path, lies: bool = False) -> None:
        self.root, self._lies = root, lies
        self._top = _read(root)
        self._open: dict[int, Inode | Folder] = {}

    def _place(self, path: Any, dir_fd: int | None = None) -> tuple[Folder, str] | None:
        """(the folder, the name in it); None for what is elsewhere."""
        if dir_fd is not None:
            above = self._open.get(dir_fd)
            return (above, os.fspath(path)) if isinstance(above, Folder) else None
        parts = Path(os.path.abspath(os.fspath(path))).parts
        at = len(self.root.parts)
        if parts[:at] != self.root.parts or len(parts) == at:
            return None
        found: Inode | Folder | None = self._top
        for name in parts[at:-1]:
            found = found.now.get(name) if isinstance(found, Folder) else None
        return (found, parts[-1]) if isinstance(found, Folder) else None

    # Calls

    def opened(
        self, real: Callable[..., int], path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        descriptor = real(path, flags, mode, dir_fd=dir_fd)
        if dir_fd is None and os.path.abspath(os.fspath(path)) == str(self.root):
            self._open[descriptor] = self._top
        elif (place := self._place(path, dir_fd)) is not None:
            folder, name = place
            node = folder.now.get(name)
            if node is None:
                node = Inode(b"", mode=mode & 0o777)
                folder.change(Change("", name, node))
            if flags & os.O_TRUNC and isinstance(node, Inode):
                node.content = b""
            self._open[descriptor] = node
        return descriptor

    def written(self, real: Callable[..., int], descriptor: int, data: bytes) -> int:
        count = real(descriptor, data)
        node = self._open.get(descriptor)
        if isinstance(node, Inode):
            node.content += bytes(data[:count])
        return count

    def synced(self, real: Callable[..., None], descriptor: int) -> None:
        real(descriptor)
        node = self._open.get(descriptor)
        if self._lies:
            return
        if isinstance(node, Inode):
            node.content = Path(f"/proc/self/fd/{descriptor}").read_bytes()  # files of `io` write by themselves
            node.synced = node.content
        elif node is not None:
            node.sync()

    def closed(self, real: Callable[..., None], descriptor: int) -> None:
        self._open.pop(descriptor, None)
        real(descriptor)

    def renamed(self, real: Callable[..., None], old: Any, new: Any) -> None:
        real(old, new)
        source, target = self._place(old), self._place(new)
        if source is None or target is None:
            return
        (here, was), (there, name) = source, target
        if here is there:
            here.change(Change(was, name, here.now[was]))
        else:
            added = there.change(Change("", name, here.now[was]))
            here.change(Change(was, needs=(there, added)))

    def linked(self, real: Callable[..., None], old: Any, new: Any, **more: Any) -> None:
        real(old, new, **more)
        source, target = self._place(old), self._place(new)
        if source is not None and target is not None:
            target[0].change(Change("", target[1], source[0].now[source[1]]))

    def removed(self, real: Callable[..., None], path: Any, *, dir_fd: int | None = None) -> None:
        real(path, dir_fd=dir_fd)
        if (place := self._place(path, dir_fd)) is not None:
            place[0].change(Change(place[1]))

    def made(self, real: Callable[..., None], path: Any, *args: Any, **more: Any) -> None:
        real(path, *args, **more)
        if (place := self._place(path)) is not None:
            place[0].change(Change("", place[1], Folder()))

    # The cut

    def after_power_loss(self, target: Path, chance: random.Random) -> None:
        """Makes below ``target`` what may be left of the files now."""
        landed: dict[Change, bool] = {}

        def lands(change: Change) -> bool:
            if change not in landed:
                needs = change.needs[1] if change.needs is not None else None
                possible = needs is None or needs.is_durable or lands(needs)
                landed[change] = chance.random() < 0.5 and possible
            return landed[change]

        def leave(folder: Folder, at: Path) -> None:
            at.mkdir()
            names = dict(folder.names)
            for change in folder.pending:
                if lands(change):
                    change.apply(names)
            for name, node in names.items():
                if isinstance(node, Folder):
                    leave(node, at / name)
                else:
                    (at / name).write_bytes(_left(node, chance))
                    (at / name).chmod(node.mode)

        leave(self._top, target)


def _read(folder: Path) -> Folder:
    """As it is, and all of it on the disk."""
    made = Folder()
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            made.names[entry.name] = _read(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            data = Path(entry.path).read_bytes()
            made.names[entry.name] = Inode(data, data, entry.stat().st_mode & 0o777)
    made.now = dict(made.names)
    return made


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
        sync_in_turn(seed)
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
