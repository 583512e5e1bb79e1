"""Raw trees against a plain model of one: every entry found, and every place where one would stand."""

import pytest

from jobserver.store.git import trees
from jobserver.store.git.trees import FILE, FOLDER, Spot, TreeEntry


def sha(number: int) -> bytes:
    return number.to_bytes(20, "big")


def raw(*entries: TreeEntry) -> bytes:
    return b"".join(map(trees.encode, entries))


DAY = [TreeEntry(FOLDER, f"{number:04d}aaaaaaaaaaaa".encode(), sha(number)) for number in range(0, 80, 2)]
MIXED = [
    TreeEntry(FILE, b"README.md", sha(1)),
    TreeEntry(FILE, b"a.b", sha(2)),
    TreeEntry(FOLDER, b"a", sha(3)),  # as "a/", which comes after "a.b"
    TreeEntry(FILE, b"z", sha(4)),
]


@pytest.mark.parametrize("found", [DAY, MIXED, DAY[:3], []])
def test_each_entry_is_found_where_it_stands(found: list[TreeEntry]) -> None:
    data, at = raw(*found), 0
    assert list(trees.entries(data)) == found
    assert trees.entry_set(data) == frozenset(found)
    for entry in found:
        spot = trees.find(data, entry.name, entry.mode)
        assert spot == Spot(at, at + len(trees.encode(entry)), entry)
        at = spot.end


@pytest.mark.parametrize(
    ("found", "name", "mode", "before"),
    [
        (DAY, b"0003aaaaaaaaaaaa", FOLDER, 2),
        (DAY, b"0000aaaaaaaaaaa0", FOLDER, 0),
        (DAY, b"9999aaaaaaaaaaaa", FOLDER, 40),
        (MIXED, b"a-b", FOLDER, 1),
        (MIXED, b"a0", FILE, 3),
        (MIXED, b"zz", FOLDER, 4),
        (MIXED, b"a longer name", FILE, 1),
        (MIXED, b"not-there.yaml", FILE, 3),
        ([], b"a", FILE, 0),
    ],
)
def test_a_new_entry_has_its_place_in_gits_order(found: list[TreeEntry], name: bytes, mode: bytes, before: int) -> None:
    at = len(raw(*found[:before]))
    assert trees.find(raw(*found), name, mode) == Spot(at, at, None)


def test_names_of_one_length_are_no_proof_that_all_are_folders() -> None:
    """The middle one is a file: its entry is a byte longer, and another one shorter, so that the sizes still fit."""
    odd = [*DAY[:20], TreeEntry(FILE, DAY[20].name[:-1], sha(40)), *DAY[21:]]
    for entry in odd:
        spot = trees.find(raw(*odd), entry.name, FOLDER)
        assert spot.entry == entry


@pytest.mark.parametrize("data", [b"100644 a\0" + bytes(19), b"100644 a\0" + bytes(21), b"no tree"])
def test_bytes_that_are_no_tree(data: bytes) -> None:
    with pytest.raises(ValueError):
        list(trees.entries(data))
    with pytest.raises(ValueError, match="not a tree"):
        trees.entry_set(data)
