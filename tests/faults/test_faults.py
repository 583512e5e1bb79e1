"""A sample of the faults, each time; all of them by the commands in docs/reliability.md."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.users import AddUser
from jobserver.errors import Code, Error
from jobserver.store.git import locks, packs
from tests import samples
from tests.faults.crash import sound
from tests.faults.operations import OPERATIONS, template
from tests.faults.power import replay
from tests.site import ADMIN, ALICE, PIPELINE, Site


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)


def test_a_sample_of_crash_points() -> None:
    points = samples.size(6, 500)
    done = run("tests.faults.crash", "--points", str(points), "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert f"| **all** | **{points}** | **0 violations** |" in done.stdout


def test_a_sample_of_power_losses() -> None:
    replays = samples.size(4, 300)
    done = run("tests.faults.power", "--replays", str(replays), "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert f"| **all** | **{replays}** | **0 violations** |" in done.stdout


@samples.only_whole
def test_the_replays_notice_a_disk_that_lies() -> None:
    """Or else their silence would say nothing."""
    done = run("tests.faults.power", "--replays", "10", "--seed", "7", "--lies")
    assert done.returncode == 1
    assert "was acknowledged and is not there" in done.stderr or "not even readable" in done.stderr


def test_what_an_auditor_misses_is_named(site: Site) -> None:
    assert sound(site.path, []) == []
    assert sound(site.path, ["0" * 40]) == [f"{'0' * 40} was acknowledged and is not there"]


# What these found


def test_a_killed_process_leaves_a_lock_that_stops_nobody(site: Site) -> None:
    """Found: a process killed between taking a branch's lock and moving the branch stopped it for ever."""
    lock = site.path / "refs" / "heads" / "main.lock"
    lock.touch()
    with pytest.raises(Error) as refused:
        site.do(ADMIN, AddUser("early"))
    assert refused.value.code is Code.UNAVAILABLE
    os.utime(lock, (time.time() - 5, time.time() - 5))
    site.do(ADMIN, AddUser("later"))
    assert not lock.exists()


def test_a_lock_is_not_stale_while_a_git_works_there(site: Site) -> None:
    lock = site.path / "refs" / "heads" / "main.lock"
    lock.touch()
    os.utime(lock, (time.time() - 3600, time.time() - 3600))
    git = subprocess.Popen(["git", "-C", site.path, "cat-file", "--batch"], stdin=subprocess.PIPE)
    try:
        ends = time.monotonic() + 10
        while Path(f"/proc/{git.pid}/cwd").resolve() != site.path.resolve() and time.monotonic() < ends:
            time.sleep(0.01)
        assert not locks.clear(site.path, [lock])
        with pytest.raises(Error):
            site.do(ADMIN, AddUser("dora"))
    finally:
        git.communicate()
    assert locks.clear(site.path, [lock])
    site.do(ADMIN, AddUser("dora"))


def test_maintenance_goes_on_after_a_killed_one(site: Site) -> None:
    """Found: `packed-refs.lock` of a killed git failed every later maintenance; a kept pack was never joined again."""
    folder = site.path / "objects" / "pack"
    stem = next(folder.glob("pack-*.pack")).with_suffix("")
    packs._keep(stem.with_suffix(".keep"))
    for name in ("packed-refs.lock", "config.lock", "objects/pack/multi-pack-index.lock"):
        (site.path / name).touch()
        os.utime(site.path / name, (time.time() - 5, time.time() - 5))
    own = folder / "pack-of-an-admin.keep"
    own.touch()
    site.repo.maintain()
    assert not list(site.path.rglob("*.lock")) or [p.name for p in site.path.rglob("*.lock")] == ["jobserver.lock"]
    assert [path.name for path in folder.glob("*.keep")] == [own.name]
    assert sound(site.path, []) == []


def test_an_unconfirmed_move_is_not_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found: the folder's fsync failed after the branch had moved; the batch was retried, and the request doubled."""
    before = site.git("rev-list", "--count", "backends/tpp")

    def fails(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("jobserver.store.git.refs.sync_folder", fails)
    with pytest.raises(Error, match="look for Request-Id") as refused:
        site.ask("generate")
    assert refused.value.code is Code.UNAVAILABLE
    monkeypatch.undo()
    assert int(site.git("rev-list", "--count", "backends/tpp")) == int(before) + 1
    site.ask("generate")
    assert sound(site.path, []) == []


def test_half_a_key_is_never_left(tmp_path: Path) -> None:
    """Found: `init` that was stopped while it wrote the key could never be completed."""
    from jobserver.store.keys.signing import SigningKey

    path = tmp_path / "key"
    SigningKey.create(path, "jobserver")
    assert [found.name for found in tmp_path.iterdir()] == ["key"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path, "jobserver").fingerprint
    with pytest.raises(FileExistsError):
        SigningKey.create(path, "jobserver")


def test_a_file_that_may_leave_outlives_a_power_loss_before_it_has_its_name(tmp_path: Path) -> None:
    """Found: the folder that it waited in was not durable, so a commit let a file out that was lost."""
    template(tmp_path / "made")
    operation = next(one for one in OPERATIONS if one.name == "checked_upload")
    _, calls = replay(operation, tmp_path / "made", tmp_path / "counted", -1, 0)
    for at in range(calls - 18, calls - 8, samples.size(3, 1)):  # after the commit, and before the rename
        wrong, _ = replay(operation, tmp_path / "made", tmp_path / str(at), at, seed=at)
        assert wrong == [], at


@pytest.mark.parametrize("is_lost", [False, True])
def test_nothing_lands_without_the_main_it_was_judged_on(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_lost: bool
) -> None:
    """Found: a batch moved its branches in the order of its commands; a commit could name a main that never came."""
    writer, moves = site.repo.writer, []
    move = writer.refs.move

    def watched(branch: str, old: str | None, new: str) -> bool:
        moves.append(branch)
        return False if is_lost and len(moves) == 2 else move(branch, old, new)

    monkeypatch.setattr(writer.refs, "move", watched)
    asked = RequestJobs("trends", "tpp", ("generate",), "0" * 40, PIPELINE)
    work = [(ALICE, asked), (ALICE, asked), (ADMIN, AddUser("dora")), (ALICE, asked)]
    threads = [threading.Thread(target=site.do, args=one) for one in work]
    with writer.locked():
        for number, thread in enumerate(threads):
            thread.start()
            ends = time.monotonic() + 10
            while len(writer.queue) < number and time.monotonic() < ends:  # the first one leads, and waits
                time.sleep(0.001)
            time.sleep(0.05)
    for thread in threads:
        thread.join()
    rest = ["main", "backends/tpp"] if is_lost else ["backends/tpp"]
    assert moves == ["backends/tpp", "main", *rest]
    assert sound(site.path, []) == []
