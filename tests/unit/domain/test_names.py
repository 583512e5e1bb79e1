"""The grammar of branches, paths and identifiers (CONTRACT section 1)."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.domain import names
from jobserver.domain.names import Area, Kind, Place


@pytest.mark.parametrize(
    ("branch", "path", "kind", "name"),
    [
        ("main", "backends/tpp.yaml", Kind.BACKEND, "tpp"),
        ("main", "users/Alice_1.yaml", Kind.USER, "Alice_1"),
        ("main", "projects/datalab/trends.yaml", Kind.PROJECT, "datalab/trends"),
        ("main", "workspaces/a_b-c.yaml", Kind.WORKSPACE, "a_b-c"),
        ("backends/tpp", "active/2026-11-24/aaq5k3v7m2xw4c6d/request.yaml", Kind.REQUEST, "aaq5k3v7m2xw4c6d"),
        ("backends/tpp", "archive/2026/11/24/aaq5k3v7m2xw4c6d/jobs/j1.yaml", Kind.JOB, "j1"),
    ],
)
def test_paths_that_hold_documents(branch: str, path: str, kind: Kind, name: str) -> None:
    where = names.parse_path(branch, path)
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
    ],
)
def test_paths_that_hold_none(branch: str, path: str) -> None:
    assert names.parse_path(branch, path) is None


moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(moments, moments, st.integers(0, 2**27 - 1), st.integers(0, 2**27 - 1))
def test_ids_are_ordered_by_time_and_tell_their_day(one: datetime, other: datetime, r1: int, r2: int) -> None:
    ids = [names.request_id(names.micros(moment), random) for moment, random in ((one, r1), (other, r2))]
    assert all(names.is_request_id(identifier) for identifier in ids)
    if one != other:
        assert (ids[0] < ids[1]) is (one < other)
    assert names.request_day(ids[0]) == one.date()


@given(st.dates(date(1970, 1, 2), date(2200, 1, 1)), st.sampled_from(Area))
def test_a_place_is_read_as_it_is_written(day: date, area: Area) -> None:
    place = Place(area, day, "aaq5k3v7m2xw4c6d")
    for path in (place.request, place.job("j-1")):
        where = names.parse_path("backends/tpp", path)
        assert where is not None
        assert where.place == place
