"""Packs joined by git: which ones, what stays readable, and what is not read."""

import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.store.git.packs import BLOB, Pack
from jobserver.store.git.repack import packs_to_join, repack


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path], check=True)
    return tmp_path


def save(repository: Path, *texts: str, keep: bool = False) -> Path:
    pack = Pack()
    for text in texts:
        pack.add(BLOB, text.encode())
    return pack.save(repository / "objects" / "pack", keep=keep)


def packs(repository: Path) -> set[str]:
    return {path.name for path in (repository / "objects" / "pack").iterdir()}


def objects(repository: Path) -> list[str]:
    every = ["cat-file", "--batch-all-objects", "--batch=%(objecttype)"]
    return subprocess.run(["git", "-C", repository, *every], capture_output=True, text=True, check=True).stdout.split()


@given(st.lists(st.integers(0, 1000)))
def test_each_pack_has_twice_the_objects_of_the_next_smaller_one_afterwards(counts: list[int]) -> None:
    counts = sorted(counts)
    split = packs_to_join(counts)
    left = [sum(counts[:split]), *counts[split:]] if split else counts
    assert split != 1
    assert all(larger >= 2 * smaller for smaller, larger in pairwise(left))


def test_no_object_is_lost(repository: Path) -> None:
    for text in "abc":
        save(repository, text)
    before = objects(repository)
    repack(repository)
    assert len({name for name in packs(repository) if name.endswith(".pack")}) == 1
    assert objects(repository) == before
    again = packs(repository)
    repack(repository)
    assert packs(repository) == again


def test_a_large_pack_is_not_read_when_small_ones_are_joined(repository: Path) -> None:
    """Found at a million job requests: git walked through the whole archive to join a hundred small packs."""
    large = save(repository, *map(str, range(100)))
    pack = large.with_suffix(".pack")
    whole = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(b"damaged")
    for text in "abc":
        save(repository, text)
    repack(repository)
    pack.write_bytes(whole)
    assert sum(name.endswith(".idx") for name in packs(repository)) == 2
    assert len(objects(repository)) == 2 * 103


def test_packs_that_are_kept_stay(repository: Path) -> None:
    kept = save(repository, "a", keep=True)
    for text in "bc":
        save(repository, text)
    repack(repository)
    assert {kept.with_suffix(suffix).name for suffix in (".pack", ".idx", ".keep")} <= packs(repository)
    assert len([name for name in packs(repository) if name.endswith(".pack")]) == 2


def damaged(index: bytes) -> bytes:
    return index[:1100] + bytes([index[1100] ^ 1]) + index[1101:]


@pytest.mark.parametrize("change", [damaged, lambda index: index[:-30], lambda index: index[:500]])
def test_a_pack_whose_index_is_not_whole_stays(repository: Path, change: Callable[[bytes], bytes]) -> None:
    """git 2.34 leaves its objects out of the joined pack, and says nothing."""
    index = save(repository, "a", "d").with_suffix(".idx")
    whole = index.read_bytes()
    for text in "bc":
        save(repository, text)
    index.chmod(0o600)
    index.write_bytes(change(whole))
    repack(repository)
    index.write_bytes(whole)
    assert len(objects(repository)) == 2 * 4


def test_an_index_whose_pack_is_gone_stops_nothing(repository: Path) -> None:
    save(repository, "a").with_suffix(".pack").unlink()
    for text in "bc":
        save(repository, text)
    repack(repository)
    assert len([name for name in packs(repository) if name.endswith(".pack")]) == 1


def test_loose_objects_are_packed(repository: Path) -> None:
    for text in ("one", "two"):
        subprocess.run(["git", "-C", repository, "hash-object", "-w", "--stdin"], input=text.encode(), check=True)
    before = objects(repository)
    repack(repository)
    assert objects(repository) == before
    assert sorted(path.name for path in (repository / "objects").iterdir()) == ["info", "pack"]


def test_an_object_in_two_packs_is_in_one_afterwards(repository: Path) -> None:
    save(repository, "a", "b")
    save(repository, "a", "c")
    repack(repository)
    assert len(packs(repository)) == 2
    assert len(objects(repository)) == 2 * 3


def test_the_index_of_many_packs_goes_with_its_packs(repository: Path) -> None:
    for text in "abc":
        save(repository, text)
    subprocess.run(["git", "-C", repository, "multi-pack-index", "write"], check=True)
    before = objects(repository)
    repack(repository)
    assert "multi-pack-index" not in packs(repository)
    assert objects(repository) == before


def test_what_a_killed_one_left_is_removed(repository: Path) -> None:
    left = repository / "objects" / "tmp_objdir-repack" / "pack"
    left.mkdir(parents=True)
    stem = save(repository, "x")
    (left / "pack-x.pack").symlink_to(stem.with_suffix(".pack"))
    for text in "abc":
        save(repository, text)
    repack(repository)
    assert not left.parent.exists()
    assert len(objects(repository)) == 2 * 4
