"""What a pack is made of, as git makes it, and as nobody should."""

import hashlib
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.errors import Code, Error
from jobserver.store import thin
from jobserver.store.packs import BLOB, COMMIT, TREE, object_id, splice_delta
from tests.e2e.harness import git

TAG, OFS_DELTA, REF_DELTA = 4, 6, 7
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


def test_bases_that_are_not_in_the_pack() -> None:
    assert thin.bases(pack()) == set()
    assert thin.bases(pack(entry(COMMIT, b"c"), entry(TREE, b""), entry(BLOB, BASE), entry(TAG, b"t"))) == set()
    assert thin.bases(pack(entry(REF_DELTA, DELTA, ID))) == {ID}
    assert thin.bases(pack(entry(REF_DELTA, DELTA, ID), entry(BLOB, BASE, level=0))) == set()
    first = entry(BLOB, BASE)
    assert thin.bases(pack(first, entry(OFS_DELTA, DELTA, bytes([len(first)])))) == set()
    assert thin.bases(pack(entry(REF_DELTA, DELTA, ID), entry(REF_DELTA, DELTA, bytes(20)))) == {ID, bytes(20)}


def test_objects_of_any_size() -> None:
    data = hashlib.shake_256(b"x").digest(3 * 1024 * 1024 + 1)
    large = [entry(BLOB, data, level=0), entry(BLOB, bytes(5_000_000)), entry(BLOB, b"")]
    copies = [entry(REF_DELTA, DELTA, object_id(BLOB, one)) for one in (data, bytes(5_000_000), b"")]
    assert thin.bases(pack(*large, *copies)) == set()


def test_packs_that_git_makes(tmp_path: Path) -> None:
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

    old = bytes.fromhex(git(tmp_path, "rev-parse", f"{tips[0]}:file"))
    assert thin.bases(packed("--thin", "--delta-base-offset")) == thin.bases(packed("--thin")) == {old}
    assert thin.bases(packed("--delta-base-offset")) == thin.bases(packed()) == set()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no pack"),
        (b"PACK", "no pack"),
        (b"PACK" + struct.pack(">II", 3, 0) + bytes(20), "no pack: expected one of version 2"),
        (pack(entry(BLOB, b"x"))[:-1], "does not end after its last object"),
        (pack(entry(BLOB, b"x")) + b"x", "does not end after its last object"),
        (pack(entry(BLOB, b"x"), count=0), "does not end after its last object"),
        (pack(entry(BLOB, b"x"), count=2), "kind|can't be unpacked|cut off|too large|another size"),
        (pack(entry(BLOB, b"x"))[:13], "cut off"),
        (pack(head(REF_DELTA, 1) + b"short")[:-20], "cut off"),
        (pack(entry(0, b"x")), "an object of kind 0"),
        (pack(entry(5, b"x")), "an object of kind 5"),
        (pack(entry(BLOB, b"xy", size=1)), "another size than it says"),
        (pack(entry(BLOB, b"x", size=2)), "another size than it says"),
        (pack(entry(BLOB, bytes(9_000_000), size=1)), "another size than it says"),
        (pack(head(BLOB, 1) + b"no zlib stream"), "can't be unpacked"),
        (pack(b"\xff" * 30), "cut off, or too large"),
        (pack(entry(BLOB, b"", size=thin.MAX_UNPACKED + 1)), "more than 268435456 bytes"),
        (pack(entry(REF_DELTA, b"", ID)), "a delta that can't be read"),
        (pack(entry(REF_DELTA, b"\x80" * 12, ID)), "a delta that can't be read"),
        (pack(entry(REF_DELTA, b"\x01" + b"\xff\xff\xff\xff\x7f", ID)), "more than 268435456 bytes"),
        (pack(*[entry(REF_DELTA, b"\x01" + b"\xff\xff\xff\x3f", ID)] * 3), "more than 268435456 bytes"),
    ],
)
def test_what_is_no_pack_or_too_much(data: bytes, reason: str) -> None:
    with pytest.raises(Error, match=reason) as caught:
        thin.bases(data)
    assert caught.value.code is Code.INVALID


@given(st.data())
def test_any_damage_is_told_or_changes_nothing(data: st.DataObject) -> None:
    good = bytearray(pack(entry(BLOB, BASE), entry(REF_DELTA, DELTA, ID), entry(TREE, b"")))
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = thin.bases(bytes(good))
    except Error as error:
        assert error.code is Code.INVALID
    else:
        assert all(len(one) == 20 for one in found)
