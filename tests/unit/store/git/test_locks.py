"""What killed processes leave, and how it is told from what living ones hold. /proc stands in a folder of its own."""

import os
import time
from pathlib import Path

import pytest

from jobserver.store.git import locks


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "proc"
    (folder / "self" / "cwd").mkdir(parents=True)
    (folder / "uptime").touch()
    monkeypatch.setattr(locks, "_PROC", folder)
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "state.git"
    for name in ("refs/heads", "objects/info", "objects/pack"):
        (folder / name).mkdir(parents=True)
    return folder


def old(path: Path, seconds: float = 60) -> Path:
    path.touch()
    os.utime(path, (time.time() - seconds, time.time() - seconds))
    return path


def process(proc: Path, number: int, name: str, where: Path | None) -> None:
    (proc / str(number)).mkdir()
    (proc / str(number) / "comm").write_text(f"{name}\n")
    if where is not None:
        (proc / str(number) / "cwd").symlink_to(where)


def test_only_a_git_that_works_there_holds_a_lock(repository: Path, proc: Path) -> None:
    process(proc, 1, "python3", repository)
    process(proc, 2, "git", proc)
    process(proc, 3, "git", None)  # it has ended, and its parent has not looked
    (proc / "4").mkdir()  # gone between our two looks
    left = [old(repository / name) for name in ("config.lock", "refs/heads/main.lock", "objects/info/x.lock")]
    left.append(old(repository / "objects" / "pack" / "multi-pack-index.lock"))
    own = old(repository / "jobserver.lock")
    process(proc, 5, "git-receive-pack", repository / "objects")
    assert not locks.clear_all(repository)
    (proc / "5" / "cwd").unlink()
    assert locks.clear_all(repository)
    assert not any(path.exists() for path in left)
    assert own.exists()


def test_a_git_that_can_not_be_looked_at_may_be_one(repository: Path, proc: Path) -> None:
    """Of another user: here it is a file, as root may read everything."""
    process(proc, 1, "git", None)
    (proc / "1" / "cwd").touch()
    lock = old(repository / "config.lock")
    assert not locks.clear(repository, [lock])


def test_without_proc_nothing_is_ever_stale(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PROC", tmp_path / "nothing")
    lock = old(repository / "config.lock")
    assert not locks.clear(repository, [lock])
    assert lock.exists()


def test_a_young_lock_stays_and_a_missing_one_is_clear(repository: Path, proc: Path) -> None:
    lock = old(repository / "config.lock", 0)
    assert not locks.clear(repository, [lock])
    lock.unlink()
    assert locks.clear(repository, [lock])


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_lock_that_changed_hands_meanwhile(
    repository: Path, proc: Path, monkeypatch: pytest.MonkeyPatch, is_replaced: bool
) -> None:
    lock = old(repository / "config.lock")

    def meanwhile(place: Path) -> bool:
        lock.unlink()
        if is_replaced:
            lock.write_text("somebody else's")
        return False

    monkeypatch.setattr(locks, "_in_use", meanwhile)
    assert locks.clear(repository, [lock])
    assert lock.exists() == is_replaced


def test_files_that_interrupted_batches_left_are_removed(repository: Path) -> None:
    packs = repository / "objects" / "pack"
    locks.sweep(packs)  # before there ever was a batch
    shared = packs / locks.SHARED_KEEP
    shared.touch()
    (packs / "pack-1.keep").hardlink_to(shared)
    (packs / "pack-2.keep").touch()  # an administrator's
    old(packs / "tmp_pack_1", 2 * 3600)
    (packs / "tmp_pack_2").touch()
    (packs / "tmp_3").symlink_to("nowhere")
    locks.sweep(packs)
    assert sorted(path.name for path in packs.iterdir()) == [
        locks.SHARED_KEEP, "pack-2.keep", "tmp_3", "tmp_pack_2"
    ]  # fmt: skip


def test_folders_that_killed_pushes_left_are_removed(repository: Path) -> None:
    objects = repository / "objects"
    kept = objects / "tmp_objdir-incoming-young"
    for quarantine in (objects / "tmp_objdir-incoming-abc", objects / "incoming-abc", kept):
        (quarantine / "pack").mkdir(parents=True)
        (quarantine / "pack" / "tmp_pack_1").write_bytes(b"x")
        if quarantine != kept:
            os.utime(quarantine, (time.time() - 7200,) * 2)
    locks.sweep(objects / "pack")
    assert [path for path in objects.iterdir() if "incoming" in path.name] == [kept]


def test_litter_that_somebody_else_takes_away(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packs = repository / "objects" / "pack"
    litter = old(packs / "tmp_1", 2 * 3600)
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [packs / "tmp_0", litter])
    locks.sweep(packs)
    assert not litter.exists()
