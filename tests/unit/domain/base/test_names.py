"""The grammar of branches, paths and identifiers (docs/contract.md, section 1)."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.domain.base import identifiers, layout, names
from jobserver.domain.base.layout import Area, Kind, Place


@pytest.mark.parametrize(
    ("branch", "path", "kind", "name"),
    [
        ("main", "backends/tpp.yaml", Kind.BACKEND, "tpp"),
        ("main", "users/Alice_1.yaml", Kind.USER, "Alice_1"),
        ("main", "projects/datalab/trends.yaml", Kind.PROJECT, "datalab/trends"),
        ("main", "workspaces/a_b-c.yaml", Kind.WORKSPACE, "a_b-c"),
        ("backends/tpp", "active/2026-11-24/aaq5k3v7m2xw4c6d/request.yaml", Kind.REQUEST, "aaq5k3v7m2xw4c6d"),
        ("backends/tpp", "archive/2026/11/24/aaq5k3v7m2xw4c6d/jobs/j1.yaml", Kind.JOB, "j1"),
        ("main", "orgs/lab.yaml", Kind.ORG, "lab"),
        ("main", f"users/{'u' * 64}.yaml", Kind.USER, "u" * 64),
        ("main", f"workspaces/{'w' * 128}.yaml", Kind.WORKSPACE, "w" * 128),
        ("main", f"backends/{'b' * 64}.yaml", Kind.BACKEND, "b" * 64),
        ("audit", "receipt.yaml", Kind.RECEIPT, "receipt"),
        ("audit", "checkpoint.yaml", Kind.CHECKPOINT, "checkpoint"),
        ("audit", "import.yaml", Kind.IMPORT, "import"),
    ],
)
def test_paths_that_hold_documents(branch: str, path: str, kind: Kind, name: str) -> None:
    where = layout.parse_path(branch, path)
    assert where is not None
    assert (where.kind, where.name) == (kind, name)


@pytest.mark.parametrize(
    ("branch", "path"),
    [
        ("main", "README.md"),
        ("main", "backends/TPP.yaml"),
        ("main", "backends/../users/x.yaml"),
        ("main", "workspaces/a\n.yaml"),
        ("main", "active/2026-11-24/aaq5k3v7m2xw4c6d/request.yaml"),
        ("audit", "backends/tpp.yaml"),
        ("backends/TPP", "active/2026-11-24/aaq5k3v7m2xw4c6d/request.yaml"),
        ("backends/tpp", "active/2026-02-30/aaq5k3v7m2xw4c6d/request.yaml"),
        ("backends/tpp", "active/2026-11-24/aaq5k3v7m2xw4c6D/request.yaml"),
        ("backends/tpp", "active/2026-11-24/aaq5k3v7m2xw4c6d/jobs/../request.yaml"),
        ("backends/tpp", "archive/2026-11-24/aaq5k3v7m2xw4c6d/request.yaml"),
        ("backends/tpp", "active/2026/11/24/aaq5k3v7m2xw4c6d/request.yaml"),
        ("backends/tpp", "active/2026-11-24/aaq5k3v7m2xw4c6d/request.yml"),
        ("backends/tpp", "active/2026-11-24/aaq5k3v7m2xw4c6d/jobs/.yaml"),
        ("backends/tpp", f"active/2026-11-24/aaq5k3v7m2xw4c6d/jobs/{'j' * 65}.yaml"),
        ("backends/tpp", "active/0000-11-24/aaq5k3v7m2xw4c6d/request.yaml"),
        ("backends/tpp", "active/٢٠٢٦-11-24/aaq5k3v7m2xw4c6d/request.yaml"),  # digits, but no date that we write
        ("backends/tpp", "users/alice.yaml"),
        ("backends/tpp", "receipt.yaml"),
        ("main", "receipt.yaml"),
        ("main", f"users/{'u' * 65}.yaml"),
        ("main", f"workspaces/{'w' * 129}.yaml"),
        ("main", f"backends/{'b' * 65}.yaml"),
        ("main", "backends/-a.yaml"),
        ("main", "backends/a-.yaml"),
        ("main", "projects/lab.yaml"),
        ("main", "projects/lab/p/q.yaml"),
        ("audit", "receipts/1.yaml"),
        ("topic", "backends/tpp.yaml"),
    ],
)
def test_paths_without_a_document(branch: str, path: str) -> None:
    assert layout.parse_path(branch, path) is None


@pytest.mark.parametrize(
    ("branch", "is_one", "slug"),
    [
        ("main", True, None),
        ("audit", True, None),
        ("backends/tpp", True, "tpp"),
        ("backends/", False, None),
        ("backends/TPP", False, None),
        ("backends/a/b", False, None),
        ("tpp", False, None),
        ("", False, None),
    ],
)
def test_a_branch_is_told_by_its_name(branch: str, is_one: bool, slug: str | None) -> None:
    assert layout.is_branch(branch) is is_one
    assert layout.branch_backend(branch) == slug
    if slug is not None:
        assert layout.backend_branch(slug) == branch


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (
            identifiers.is_request_id,
            ["aaq5k3v7m2xw4c6d", "2" * 16],
            ["", "aaq5k3v7m2xw4c6", "aaq5k3v7m2xw4c6d2", "1" * 16],
        ),
        (names.is_username, ["a", "A-b_1", "1a"], ["", "-a", "a b", "a" * 65, "é"]),
        (names.is_action, ["run_all", "__error__", "a.b-c", "A" * 128], ["", "-a", "a b", "A" * 129, "a\n"]),
    ],
    ids=["request", "username", "action"],
)
def test_each_kind_of_name_accepts_and_refuses_these(
    check: Callable[[str], bool], good: list[str], bad: list[str]
) -> None:
    assert [name for name in good if not check(name)] == []
    assert [name for name in bad if check(name)] == []


def test_the_first_and_the_last_id() -> None:
    """16 digits of five bits: 53 of microseconds, 27 random ones; what is random beyond those is cut off."""
    assert identifiers.request_id(0, 0) == "2" * 16
    assert identifiers.request_id(0, 1) == "2" * 15 + "3"
    assert identifiers.request_id(0, 2**27) == "2" * 16
    assert identifiers.request_id(1, 0) == "2" * 10 + "6" + "2" * 5
    assert identifiers.request_id(2**53 - 1, 2**27 - 1) == "z" * 16
    assert identifiers.request_day("2" * 16) == date(1970, 1, 1)
    assert identifiers.request_day("z" * 16) == date(2255, 6, 5)
    assert identifiers.micros(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)) == 1_000_005


moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(moments, moments, st.integers(0, 2**27 - 1), st.integers(0, 2**27 - 1))
def test_ids_are_ordered_by_time_and_tell_their_day(one: datetime, other: datetime, r1: int, r2: int) -> None:
    ids = [identifiers.request_id(identifiers.micros(moment), random) for moment, random in ((one, r1), (other, r2))]
    assert all(identifiers.is_request_id(identifier) for identifier in ids)
    if one != other:
        assert (ids[0] < ids[1]) is (one < other)
    assert identifiers.request_day(ids[0]) == one.date()


@given(st.dates(), st.sampled_from(Area))
def test_a_place_is_read_as_it_is_written(day: date, area: Area) -> None:
    place = Place(area, day, "aaq5k3v7m2xw4c6d")
    for path in (place.request, place.job("j-1")):
        where = layout.parse_path("backends/tpp", path)
        assert where is not None
        assert where.place == place
    other = Area.ARCHIVE if area is Area.ACTIVE else Area.ACTIVE
    assert place.moved(other) == Place(other, day, "aaq5k3v7m2xw4c6d")
