"""What a pack is made of, as git makes it, and as nobody should."""

import hashlib
import itertools
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.errors import Code, Error
from jobserver.store.git import received_pack
from jobserver.store.git.packs import BLOB, COMMIT, TREE, object_id, splice_delta
from jobserver.store.git.received_pack import ReceivedPack
from tests.e2e.harness import git

OFS_DELTA, REF_DELTA = 6, 7
BASE = b"of another backend\n" * 50
ID = object_id(BLOB, BASE)
DELTA = splice_delta(len(BASE), 0, 0, b"mine")


def head(kind: int, size: int) -> bytes:
    byte, size = kind << 4 | size & 15, size >> 4
    out = bytearray()
    while size:
        out.append(byte | 128)
        byte, size = size & 127, size >> 7
    return bytes([*out, byte])


def entry(kind: int, data: bytes, base: bytes = b"", size: int | None = None, level: int = 6) -> bytes:
    return head(kind, len(data) if size is None else size) + base + zlib.compress(data, level)


def pack(*entries: bytes, count: int | None = None) -> bytes:
    body = b"".join((b"PACK", struct.pack(">II", 2, len(entries) if count is None else count), *entries))
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


MINE = b"mine" + BASE


def test_a_pack_names_its_objects_and_the_missing_ones() -> None:
    assert (ReceivedPack(pack()).contained, ReceivedPack(pack()).is_whole) == (set(), True)
    both = {ID, object_id(BLOB, MINE)}
    first = entry(BLOB, BASE)
    for parts in (
        (first, entry(OFS_DELTA, DELTA, bytes([len(first)]))),
        (first, entry(REF_DELTA, DELTA, ID)),
        (entry(REF_DELTA, DELTA, ID), first),
    ):
        found = ReceivedPack(pack(*parts))
        assert (found.contained, found.bases, found.is_whole) == (both, set(), True)
    thin = ReceivedPack(pack(entry(REF_DELTA, DELTA, ID)))
    assert (thin.contained, thin.bases, thin.is_whole) == (set(), {ID}, False)
    thin.supply_base(ID, b"blob", BASE)
    assert (thin.contained, thin.bases, thin.is_whole) == ({object_id(BLOB, MINE)}, set(), True)


def test_chains_of_deltas_by_id() -> None:
    """As libgit2 writes them: each is of an object that is a delta in the pack itself."""
    texts = [b"%d" % at + BASE for at in range(40)]
    chain = [
        entry(REF_DELTA, splice_delta(len(one), 0, len(one) - len(BASE), other[: len(other) - len(BASE)]),
              object_id(BLOB, one))
        for one, other in itertools.pairwise(texts)
    ]  # fmt: skip
    for order in (chain, chain[::-1]):
        found = ReceivedPack(pack(*order))
        assert object_id(BLOB, texts[0]) in found.bases
        found.supply_base(object_id(BLOB, texts[0]), b"blob", texts[0])
        assert found.contained == {object_id(BLOB, text) for text in texts[1:]}
        assert found.is_whole


def test_objects_that_commits_and_trees_name_are_read() -> None:
    one, two, three, four = (bytes([at]) * 20 for at in range(1, 5))
    tree = b"100644 a\0" + one + b"40000 b\0" + two + b"160000 submodule\0" + three
    commit = b"tree %s\nparent %s\nauthor x\n\ntree %s\n" % (one.hex().encode(), two.hex().upper().encode(), b"9" * 40)
    assert ReceivedPack(pack(entry(TREE, tree))).referenced == {one, two, three}
    assert ReceivedPack(pack(entry(COMMIT, commit))).referenced == {one, two}
    thin = ReceivedPack(
        pack(entry(REF_DELTA, splice_delta(len(tree), 0, 0, b"40000 c\0" + four), object_id(TREE, tree)))
    )
    thin.supply_base(object_id(TREE, tree), b"tree", tree)
    assert thin.referenced == {one, two, three, four}


def test_objects_of_any_size_are_read() -> None:
    data = hashlib.shake_256(b"x").digest(3 * 1024 * 1024 + 1)
    large = [entry(BLOB, data, level=0), entry(BLOB, bytes(5_000_000)), entry(BLOB, b"")]
    assert ReceivedPack(pack(*large)).contained == {object_id(BLOB, one) for one in (data, bytes(5_000_000), b"")}


def test_packs_of_git_are_read(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", ".")
    tips = []
    for number in range(3):
        (tmp_path / "file").write_text("".join(f"line {at * (at != number)}\n" for at in range(500)))
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", str(number))
        tips.append(git(tmp_path, "rev-parse", "HEAD"))

    def packed(*options: str) -> bytes:
        asked = f"{tips[2]}\n^{tips[0]}\n".encode()
        command = ["git", "-C", tmp_path, "pack-objects", "--revs", "--stdout", "-q", *options]
        return subprocess.run(command, input=asked, capture_output=True, check=True).stdout

    old = f"{tips[0]}:file"
    base = bytes.fromhex(git(tmp_path, "rev-parse", old))
    listed = git(tmp_path, "rev-list", "--objects", tips[2], f"^{tips[0]}")
    ids = {bytes.fromhex(line.split(" ")[0]) for line in listed.splitlines()}
    named = {bytes.fromhex(git(tmp_path, "rev-parse", tips[0])), *ids} - {bytes.fromhex(tips[2])}
    for options in (("--thin", "--delta-base-offset"), ("--thin",), ("--delta-base-offset",), ()):
        found = ReceivedPack(packed(*options))
        assert found.bases == ({base} if "--thin" in options else set()), options
        for one in found.bases:
            found.supply_base(one, b"blob", (git(tmp_path, "show", old) + "\n").encode())
        assert (found.contained, found.referenced, found.is_whole) == (ids, named, True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "expected a pack of version 2"),
        (b"PACK", "expected a pack of version 2"),
        (b"PACK" + struct.pack(">II", 3, 0) + bytes(20), "expected a pack of version 2"),
        (pack(entry(BLOB, b"x"))[:-1], "continues after its last object"),
        (pack(entry(BLOB, b"x")) + b"x", "continues after its last object"),
        (pack(entry(BLOB, b"x"), count=0), "continues after its last object"),
        (pack(entry(BLOB, b"x"), count=2), "kind|can't be unpacked|cut off|too large|another size"),
        (pack(entry(BLOB, b"x"))[:13], "ends in the middle"),
        (pack(head(REF_DELTA, 1) + b"short")[:-20], "ends in the middle"),
        (pack(entry(0, b"x")), "an object of kind 0"),
        (pack(entry(5, b"x")), "an object of kind 5"),
        (pack(entry(BLOB, b"xy", size=1)), "another size than it says"),
        (pack(entry(BLOB, b"x", size=2)), "another size than it says"),
        (pack(entry(BLOB, bytes(9_000_000), size=1)), "another size than it says"),
        (pack(head(BLOB, 1) + b"no zlib stream"), "can't be unpacked"),
        (pack(b"\xff" * 30), "cut off or too large"),
        (pack(entry(BLOB, b"", size=received_pack.MAX_OBJECT + 1)), "an object of 8388609 bytes; at most 8388608"),
        (pack(entry(TREE, bytes(received_pack.MAX_TREE + 1))), "a tree of 4194305 bytes; at most 4194304 are allowed"),
        (
            pack(entry(COMMIT, bytes(received_pack.MAX_COMMIT + 1))),
            "a commit of 65537 bytes; at most 65536 are allowed",
        ),
        (pack(count=received_pack.MAX_OBJECTS + 1), "100001 objects; at most 100000"),
        (pack(entry(4, b"tag")), "an object of kind 4"),
        (pack(entry(TREE, b"no tree")), "a tree that can't be read"),
    ],
)
def test_a_malformed_or_too_large_pack_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Error, match=reason) as caught:
        ReceivedPack(data)
    assert caught.value.code is Code.INVALID


@pytest.mark.parametrize(
    "delta",
    [
        b"",
        b"\x80" * 12,
        b"\x01\x01x",  # of another size
        splice_delta(len(BASE), 0, 0, b"x")[:-1],
        splice_delta(len(BASE), 0, 0, b"x") + b"\x01y",  # makes more than it says
        b"\xb6\x07\x01\x00",  # a code that means nothing
        b"\xb6\x07\x05\x90\xff",  # more than the base has
        b"\xb6\x07\x05\x03ab",
    ],
)
def test_deltas_that_fit_nothing(delta: bytes) -> None:
    assert len(BASE) == 950
    for data in (pack(entry(BLOB, BASE), entry(REF_DELTA, delta, ID)), pack(entry(REF_DELTA, delta, ID))):
        with pytest.raises(Error, match="does not fit") as caught:
            ReceivedPack(data).supply_base(ID, b"blob", BASE)
        assert caught.value.code is Code.INVALID


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("MAX_UNPACKED", 4000, "the objects have more than 4000 bytes together: push fewer commits at a time"),
        ("MAX_DELTAS", 20, "the deltas have more than 20 bytes together: push fewer commits at a time"),
        ("MAX_OBJECT", 952, "an object of 954 bytes; at most 952 are allowed"),
    ],
)
def test_deltas_that_make_too_much(monkeypatch: pytest.MonkeyPatch, limit: str, value: int, reason: str) -> None:
    """Each few bytes of one are an instruction, or a whole object."""
    monkeypatch.setattr(received_pack, limit, value)
    with pytest.raises(Error, match=reason):
        ReceivedPack(pack(entry(BLOB, BASE), *[entry(REF_DELTA, DELTA, ID)] * 4))


def test_folders_that_name_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received_pack, "MAX_NAMED", 2)
    tree = b"".join(b"100644 %d\0" % at + bytes([at]) * 20 for at in range(3))
    with pytest.raises(Error, match="the trees name more than 2 objects"):
        ReceivedPack(pack(entry(TREE, tree)))


def test_a_delta_without_a_base_leaves_the_pack_incomplete() -> None:
    found = ReceivedPack(pack(entry(BLOB, BASE), entry(OFS_DELTA, DELTA, bytes([3]))))
    assert (found.bases, found.is_whole) == (set(), False)


@given(st.data())
def test_damage_to_a_pack_is_reported_or_changes_nothing(data: st.DataObject) -> None:
    good = bytearray(pack(entry(BLOB, BASE), entry(REF_DELTA, DELTA, ID), entry(TREE, b"")))
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = ReceivedPack(bytes(good))
        for base in found.bases:
            found.supply_base(base, b"blob", BASE)
    except Error as error:
        assert error.code is Code.INVALID
    else:
        assert all(len(one) == 20 for one in found.contained | found.referenced)
