"""A release as the record says it: its trailers, its digest, the paths that it may have, and who may say it."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.domain.releases import Release, ReleaseFile, clashes, digest, is_user, listing, path_fault, read_trailers
from jobserver.errors import Error

RELEASE = Release(workspace="trends", identifier="a" * 32, user="Jané Doe", files=2, size=10**12, sha256="b" * 64)


def test_trailers_say_all_of_it() -> None:
    assert read_trailers(RELEASE.trailers()) == RELEASE
    assert read_trailers([("Event", "release.uploaded"), *RELEASE.trailers(), ("Release", "c" * 32)]) == RELEASE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Release", "A" * 32), ("Release", ""), ("Files", "0"), ("Files", "-1"), ("Files", "two"), ("Files", "²"),
        ("Files", "9" * 40), ("Bytes", "1.5"), ("Sha256", "b" * 63), ("Backend-User", ""), ("Workspace", "../x"),
    ],
)  # fmt: skip
def test_other_trailers_are_no_release(key: str, value: str) -> None:
    with pytest.raises(Error):
        read_trailers([(key, value), *RELEASE.trailers()])
    with pytest.raises(Error, match="required"):
        read_trailers([pair for pair in RELEASE.trailers() if pair[0] != key])


def test_the_digest_is_what_coreutils_say() -> None:
    files = [ReleaseFile("b/ć.csv", 1, "1" * 64), ReleaseFile("a b", 2, "2" * 64)]
    assert listing(files) == f"{'2' * 64}  a b\n{'1' * 64}  b/ć.csv\n"
    assert digest(files) == digest(files[::-1]) == hashlib.sha256(listing(files).encode()).hexdigest()
    assert digest(files) != digest([replace(files[0], path="b/c.csv"), files[1]])


@pytest.mark.parametrize("text", ["jane", "Jané Doe", "x" * 200])
def test_a_user_of_a_release_may_be_any_line_of_text(text: str) -> None:
    assert is_user(text)


@pytest.mark.parametrize("text", ["", " ", "x" * 201, "jane\nActor: user/root", "a\tb", "a\u2028b", "a\x85b"])
def test_a_user_of_a_release_is_one_line_of_limited_length(text: str) -> None:
    assert not is_user(text)


@given(st.text(max_size=60))
def test_a_path_without_a_fault_stays_where_it_is(path: str) -> None:
    if not path_fault(path):
        parts = path.split("/")
        assert not path.startswith("/")
        assert not {"", ".", ".."} & set(parts)
        assert path.isprintable()
        assert "\\" not in path


@pytest.mark.parametrize("path", ["con", "a/Aux.txt", "COM1", "lpt9.csv", "a /b", "a./b", " a", "a:b"])
def test_paths_that_windows_can_not_keep(path: str) -> None:
    assert path_fault(path)


@pytest.mark.parametrize("path", ["console.csv", "comb", "a.con", "nully", "x 1.csv", ".gitignore", "10:30.csv"])
def test_paths_that_only_look_like_it(path: str) -> None:
    assert not path_fault(path)


def test_a_path_that_is_no_text() -> None:
    assert path_fault("a\udcff.csv") == "is empty, or has characters that cannot be printed"


def test_paths_clash_where_file_systems_fold_case() -> None:
    assert not clashes(["a", "b/a", "b/c", "B2"])
    assert clashes(["Straße", "STRASSE"])
    assert clashes(["a/b", "A/c"])
    assert clashes(["a/b/c", "A"])
