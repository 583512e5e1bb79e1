"""One fault at one point: a forked child runs the operation into it; then a fresh start is looked at by an auditor.

``python -m tests.faults.crash --points 10000`` prints the table of docs/reliability.md.
"""

import argparse
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobserver.audit.verify import verify
from jobserver.domain.users import AddUser
from jobserver.errors import Error
from jobserver.index.index import Index
from jobserver.service.releases.checked import CheckedReleaseService
from jobserver.service.releases.upload import ReleaseService
from tests.faults.operations import (
    CHECKED,
    CHECKED_BYTES,
    OPERATIONS,
    TABLE,
    Operation,
    Place,
    checked_releases_of,
    init,
    releases_of,
    template,
)
from tests.faults.points import STOPPED, Fault, Points
from tests.site import ADMIN

HEALED_SECONDS = 5.0
_HANGS_SECONDS = 20
FAILS = (Fault.EIO, Fault.ENOSPC, Fault.EACCES)
_write = os.write


@dataclass
class Outcome:
    """``promised``: commits that were acknowledged. ``violations``: what must never be, in words."""

    point: str
    promised: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def count(operation: Operation, made: Path, folder: Path) -> list[str]:
    """The names of the calls that the operation makes."""
    return attempt(operation, made, folder, -1, Fault.BEFORE).calls


def attempt(operation: Operation, made: Path, folder: Path, at: int, fault: Fault) -> Outcome:
    """``folder`` must not exist; it is left for who wants to look."""
    if operation.is_new:
        folder.mkdir()
    else:
        shutil.copytree(made, folder)
    outcome = Outcome(f"{operation.name} {at} {fault}")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(operation, Place(folder), Points(at, fault), writer)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8", errors="replace") as said:
        for line in said:
            kind, _, rest = line.rstrip("\n").partition(" ")
            {"promise": outcome.promised, "call": outcome.calls, "bug": outcome.violations}[kind].append(rest)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, STOPPED):
        outcome.violations.append(f"the process ended with {status}")
    outcome.violations += recovered(Place(folder), outcome.promised, operation)
    return outcome


def _child(operation: Operation, place: Place, points: Points, pipe: int) -> None:
    def say(kind: str, text: str) -> None:
        _write(pipe, f"{kind} {text}\n".encode())

    signal.alarm(_HANGS_SECONDS)
    try:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
        points.install()
        points.is_on = True
        try:
            operation.run(place, lambda commit: say("promise", commit))
        except Error:
            pass  # refused, clearly
        except Exception as error:  # noqa: BLE001 - that is what we look for
            points.is_on = False
            where = traceback.extract_tb(error.__traceback__)[-1]
            say("bug", f"{type(error).__name__}: {error} at {Path(where.filename).name}:{where.lineno}")
        points.is_on = False
        for name in points.seen:
            say("call", name)
    finally:
        os._exit(0)


def recovered(place: Place, promised: Sequence[str], operation: Operation) -> list[str]:
    """What is wrong after a new start."""
    try:
        return _recovered(place, promised, operation)
    except Exception as error:  # noqa: BLE001 - it is a finding, whatever it is
        return [f"not even readable: {type(error).__name__}: {error}"]


def _recovered(place: Place, promised: Sequence[str], operation: Operation) -> list[str]:
    began, wrong = time.monotonic(), []
    number = None
    while number is None:
        try:
            if operation.is_new:
                init(place, lambda tip: None)
            with place.open() as (_, gate):
                number = gate.submit(ADMIN, AddUser("last"), "test").commit
        except Error as error:
            if time.monotonic() - began > HEALED_SECONDS:
                return [*wrong, f"not writable again: {error}"]
            time.sleep(0.1)
    wrong += sound(place.path, [*promised, number])
    if operation.name == "index":
        wrong += _indexed(place)
    if operation.name == "release":
        wrong += _released(place, promised)
    if operation.name in ("checked_upload", "withdrawal"):
        wrong += _checked(place, bool(promised), operation.name == "withdrawal")
    return wrong


def sound(path: Path, promised: Sequence[str]) -> list[str]:
    """What an auditor finds wrong in the repository, and which promises it does not keep."""
    wrong = []
    done = subprocess.run(
        ["git", "-C", path, "fsck", "--full", "--strict"], capture_output=True, text=True, check=False
    )
    bad = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(("dangling", "notice"))]
    if done.returncode or bad:
        wrong.append(f"git fsck ({done.returncode}): {bad[:3]}")
    listed = subprocess.run(
        ["git", "-C", path, "rev-list", "--all"], capture_output=True, text=True, check=False
    ).stdout
    kept = set(listed.split())
    wrong += [f"{commit} was acknowledged and is not there" for commit in promised if commit not in kept]
    try:
        wrong += [f"audit verify: {problem}" for problem in verify(path).problems[:3]]
    except Error as error:
        wrong.append(f"audit verify: {error}")
    return wrong


def _indexed(place: Place) -> list[str]:
    """The index says what the branch does, also the one that was interrupted."""
    with place.open() as (repo, _):
        index = Index(place.path, repo.writer.refs, place.folder / "state.index.sqlite3")
        try:
            found = {key[1] for key, _ in index.listing(["tpp"]).items}
            active = repo.writer.read("backends/tpp", lambda state: [one.request.identifier for one in state.active()])
            return [] if found == set(active) else [f"the index has {len(found)} of {len(active)} active requests"]
        finally:
            index.close()


def _released(place: Place, promised: Sequence[str]) -> list[str]:
    """Files and record agree, nothing is left over, and what was promised is there under its name."""
    incoming = place.folder / "releases" / ".incoming"
    with place.open() as (repo, gate):
        service = releases_of(place, repo, gate)
        _settle(service, incoming)
        kept = {one.commit for one in service.store.of_workspace("trends", ["tpp"])}
    wrong = [f"{commit} was acknowledged, and its files are gone" for commit in promised if commit not in kept]
    wrong += [f"audit verify: {one}" for one in verify(place.path, releases=place.folder / "releases").problems]
    return wrong + [f"left over: {one.name}" for one in incoming.iterdir()]


def _settle(service: ReleaseService | CheckedReleaseService, incoming: Path) -> None:
    """Until nothing is left in ``incoming``: a branch's lock may look held for a while."""
    began = time.monotonic()
    service.settle_interrupted()
    while any(incoming.iterdir()) and time.monotonic() - began < HEALED_SECONDS:
        time.sleep(0.1)
        service.settle_interrupted()


def _checked(place: Place, is_promised: bool, is_withdrawal: bool) -> list[str]:
    """The files at their places are those that the record lets out, whole; and a promise is in the record."""
    root = place.folder / "releases" / ".checked"
    with place.open() as (repo, gate):
        service = checked_releases_of(place, repo, gate)
        _settle(service, root / ".incoming")
        service.settle_withdrawn()
        release = service.find(CHECKED)
    if release is None:
        return ["the release is gone"]
    out = {file.path for file in release.files if file.uploaded is not None and not release.is_gone(file)}
    wrong = []
    if is_promised and out != (set() if is_withdrawal else set(CHECKED_BYTES)):
        wrong.append(f"acknowledged, and these files are out: {sorted(out)}")
    if not is_withdrawal and TABLE not in out:
        wrong.append("a file that had left is withdrawn")
    folder = root / CHECKED.workspace / CHECKED.backend / CHECKED.identifier
    stored = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if stored != {path: CHECKED_BYTES[path] for path in out}:
        wrong.append(f"the record lets out {sorted(out)}, and stored are {sorted(stored)}")
    wrong += [f"audit verify: {one}" for one in verify(place.path, releases=place.folder / "releases").problems]
    return wrong + [f"left over: {one.name}" for one in (root / ".incoming").iterdir()]


def points_of(calls: Sequence[str], operation: Operation) -> list[tuple[Operation, int, Fault]]:
    """Every fault that makes sense at every call."""
    found = []
    for at, name in enumerate(calls):
        faults = [Fault.BEFORE, Fault.AFTER, *FAILS, *([Fault.TORN] if name == "write" else [])]
        found += [(operation, at, fault) for fault in faults if not (name.startswith("git") and fault in FAILS)]
    return found


def all_points(made: Path, folder: Path) -> list[tuple[Operation, int, Fault]]:
    found = []
    for operation in OPERATIONS:
        calls = count(operation, made, folder / f"count-{operation.name}")
        found += points_of(calls, operation)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    scratch = "/dev/shm" if Path("/dev/shm").is_dir() else None  # what stops the process does not stop the kernel
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        template(folder / "made")
        points = all_points(folder / "made", folder)
        random.Random(options.seed).shuffle(points)
        tried: Counter[str] = Counter()
        violations: list[str] = []
        began = time.monotonic()
        for number, (operation, at, fault) in enumerate(itertools.islice(itertools.cycle(points), options.points)):
            place = folder / str(number)
            outcome = attempt(operation, folder / "made", place, at, fault)
            tried[operation.name] += 1
            for violation in outcome.violations:
                violations.append(f"{outcome.point}: {violation}")
                print(violations[-1], file=sys.stderr)
            shutil.rmtree(place)
    print(f"| operation | points | of {len(points)} different ones |\n| --- | --- | --- |")
    for operation in OPERATIONS:
        different = sum(1 for one, _, _ in points if one is operation)
        print(f"| {operation.name} | {tried[operation.name]} | {different} |")
    print(f"| **all** | **{sum(tried.values())}** | **{len(violations)} violations** |")
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
