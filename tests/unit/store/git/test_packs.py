"""Packs as git reads them, deltas against a plain model, and folders that refuse."""

import errno
import hashlib
import os
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.store import fs
from jobserver.store.git import packs
from jobserver.store.git.packs import BLOB, COMMIT, TREE, Pack, splice_delta
from jobserver.store.write import compactor


def applied(delta: bytes, base: bytes) -> bytes:
    """As gitformat-pack(5) says."""
    at = 0

    def size() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = delta[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    assert size() == len(base)
    result_size, out = size(), b""
    while at < len(delta):
        code = delta[at]
        at += 1
        if code < 128:
            out += delta[at : at + code]
            at += code
            continue
        fields = [0] * 7
        for bit in range(7):
            if code >> bit & 1:
                fields[bit] = delta[at]
                at += 1
        start = sum(byte << 8 * place for place, byte in enumerate(fields[:4]))
        length = sum(byte << 8 * place for place, byte in enumerate(fields[4:])) or 0x10000
        out += base[start : start + length]
    assert len(out) == result_size
    return out


BASE = hashlib.shake_256(b"x").digest(1 << 17)


@pytest.mark.parametrize(
    ("start", "end", "insert"),
    [(0, 0, b"new"), (300, 320, b""), (1 << 16, (1 << 16) + 30, b"n" * 127), (len(BASE), len(BASE), b"z")],
)
def test_a_delta_replaces_a_part(start: int, end: int, insert: bytes) -> None:
    assert applied(splice_delta(len(BASE), start, end, insert), BASE) == BASE[:start] + insert + BASE[end:]


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 5000), st.binary(max_size=127))
def test_a_delta_applied_is_the_spliced_text(size: int, one: int, other: int, insert: bytes) -> None:
    base = BASE[:size]
    start, end = sorted((min(one, size), min(other, size)))
    assert applied(splice_delta(size, start, end, insert), base) == base[:start] + insert + base[end:]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path], check=True)
    return tmp_path / "objects" / "pack"


def cat(folder: Path, sha: bytes, kind: str = "blob") -> bytes:
    return subprocess.run(
        ["git", "--git-dir", folder.parents[1], "cat-file", kind, sha.hex()], check=True, capture_output=True
    ).stdout


def tree(number: int, entries: int = 40) -> bytes:
    return b"".join(b"40000 %016d\0%s" % (at, (number * at).to_bytes(20, "big")) for at in range(entries))


def test_git_reads_chains_of_deltas_also_long_ones(repository: Path) -> None:
    pack = Pack()
    raw = tree(1)
    sha = pack.add(TREE, raw)
    assert pack.add(TREE, raw) == sha
    made = [(sha, raw)]
    for number in range(60):  # longer than a chain may get
        insert = b"40000 9%015d\0%s" % (number, bytes([number + 1]) * 20)
        new = raw + insert
        sha = pack.add_spliced(sha, len(raw), new, len(raw), len(raw), insert)
        assert pack.add_spliced(made[-1][0], len(raw), new, len(raw), len(raw), insert) == sha
        raw = new
        made.append((sha, raw))
    small = pack.add_spliced(pack.add(TREE, b""), 0, tree(2, 3), 0, 0, tree(2, 3)[:50])
    stem = pack.save(repository)
    assert stem.with_suffix(".keep").exists()
    subprocess.run(["git", "index-pack", "--verify", stem.with_suffix(".pack")], check=True, cwd=repository)
    for sha, raw in [*made, (small, tree(2, 3))]:
        assert cat(repository, sha, "tree") == raw


def test_an_index_of_a_pack_beyond_two_gigabytes() -> None:
    entries = [(bytes([at]) * 20, at, offset) for at, offset in enumerate((12, 1 << 31, 1 << 33))]
    data = packs._index(entries, bytes(20))
    offsets = struct.unpack_from(">3I", data, 8 + 1024 + 3 * 24)
    assert offsets == (12, 1 << 31, 1 << 31 | 1)
    assert struct.unpack_from(">2Q", data, 8 + 1024 + 3 * 28) == (1 << 31, 1 << 33)


@pytest.mark.parametrize("size", [0, 1, 0xFFFF, 0x10000])
def test_an_object_that_is_not_compressed(tmp_path: Path, size: int) -> None:
    data = BASE[:size]
    assert zlib.decompress(packs._stored(data)) == data
    assert len(packs._stored(data)) <= size + 11 + size // 4096


def saved(folder: Path, *texts: bytes) -> Path:
    pack = Pack()
    for text in texts:
        pack.add(BLOB, text)
    return pack.save(folder, keep=False)


def test_joined_packs_are_one(repository: Path) -> None:
    stems = [saved(repository, b"%d" % number, b"%d again" % number) for number in range(5)]
    compactor.join(stems, repository)
    assert len(list(repository.glob("*.pack"))) == 1
    for number in range(5):
        assert cat(repository, packs.object_id(BLOB, b"%d again" % number)) == b"%d again" % number
    (stem,) = (path.with_suffix("") for path in repository.glob("*.pack"))
    compactor.join([stem], repository)  # to itself
    assert cat(repository, packs.object_id(BLOB, b"1")) == b"1"


def test_packs_that_share_an_object_stay_for_git_to_repack(repository: Path) -> None:
    stems = [saved(repository, b"both", b"one"), saved(repository, b"both", b"other")]
    compactor.join(stems, repository)
    assert len(list(repository.glob("*.pack"))) == 2


def test_packs_that_are_too_large_stay(repository: Path) -> None:
    stem = saved(repository, b"one")
    sha = packs.object_id(BLOB, b"one")
    stem.with_suffix(".idx").chmod(0o600)
    stem.with_suffix(".idx").write_bytes(packs._index([(sha, 1, 1 << 32)], bytes(20)))
    with pytest.raises(ValueError, match="too large to join"):
        compactor.join([stem], repository)
    assert stem.with_suffix(".pack").exists()


def test_a_pack_that_an_interrupted_batch_left_is_written_again(repository: Path) -> None:
    stem = saved(repository, b"one")
    stem.with_suffix(".idx").unlink()
    stem.with_suffix(".pack").chmod(0o600)
    stem.with_suffix(".pack").write_bytes(b"half")
    assert saved(repository, b"one") == stem
    assert cat(repository, packs.object_id(BLOB, b"one")) == b"one"


def test_the_same_batch_may_come_again(repository: Path) -> None:
    """Found: a write that failed after its pack was durable (a lock, a full disk) and was tried again within the second
    was refused, as "File exists"."""
    assert saved(repository, b"one") == saved(repository, b"one")
    assert cat(repository, packs.object_id(BLOB, b"one")) == b"one"


@pytest.mark.parametrize("at", range(12))
def test_a_disk_that_refuses_leaves_nothing_that_git_would_read(
    repository: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    calls = 0

    def refusing(real):  # type: ignore[no-untyped-def]
        def call(*args, **more):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            if calls == at + 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args, **more)

        return call

    pack = Pack()
    sha = pack.add(COMMIT, b"a commit")
    with monkeypatch.context() as patch:
        for name in ("write", "fsync", "rename", "open"):
            patch.setattr(os, name, refusing(getattr(os, name)))
        if calls_needed(at):
            with pytest.raises(OSError, match="Input/output error"):
                pack.save(repository)
        else:
            pack.save(repository)
    left = {path.suffix for path in repository.iterdir() if path.name.startswith("pack-")}
    assert left == (set() if calls_needed(at) else {".pack", ".idx", ".keep"})
    pack.save(repository)
    assert cat(repository, sha, "commit") == b"a commit"


def calls_needed(at: int) -> bool:
    """A save opens and writes two files (its mark is a link), syncs both, renames one, and syncs the folder."""
    return at < 10


def test_an_index_gets_its_name_once_all_bytes_are_durable_in_one_wait(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or git would find a torn index when the power went meanwhile."""
    waits: list[set[str]] = []

    def names(*descriptors: int) -> set[str]:
        return {Path(f"/proc/self/fd/{descriptor}").readlink().name for descriptor in descriptors}

    def sync_all(descriptors: list[int]) -> list[None]:
        assert not list(repository.glob("pack-*.idx"))
        waits.append(names(*descriptors))
        return []

    def sync(descriptor: int) -> None:
        assert list(repository.glob("pack-*.idx"))
        waits.append(names(descriptor))

    monkeypatch.setattr(fs, "_fsync_all", sync_all)
    monkeypatch.setattr(os, "fsync", sync)
    pack = Pack()
    pack.add(BLOB, b"one")
    with (repository / "beside").open("wb") as other:
        stem = pack.save(repository, beside=[other.fileno()])
    assert waits == [{f"{stem.name}.pack", f"tmp_{stem.name}.idx", "beside"}, {repository.name}]


def test_file_systems_without_links_get_a_mark_of_their_own(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **more: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    pack = Pack()
    pack.add(BLOB, b"one")
    stem = pack.save(repository)
    assert stem.with_suffix(".keep").stat().st_nlink == 1


def test_a_shared_mark_that_is_taken_away_again_and_again(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever cleans up beside us: then the mark is a file of its own."""
    made: list[str] = []
    monkeypatch.setattr(Path, "touch", lambda path, mode: made.append(path.name))
    pack = Pack()
    pack.add(BLOB, b"one")
    stem = pack.save(repository)
    assert made == [packs.SHARED_KEEP, packs.SHARED_KEEP, f"{stem.name}.keep"]
