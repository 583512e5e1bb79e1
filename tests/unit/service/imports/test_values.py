"""Cells of old rows, as SQLite and PostgreSQL have them, and the names that rows get."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from jobserver.domain.base import names
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import GLOBAL_ROLES, Role
from jobserver.service.imports.naming import RowNames
from jobserver.service.imports.notes import ImportNotes
from jobserver.service.imports.values import (
    json_of,
    line_of,
    list_of,
    minutes_of,
    roles_of,
    text_of,
    time_of,
    without_addresses,
)

MOMENT = datetime(2021, 5, 1, 10, 0, 0, 123456, UTC)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2021-05-01 10:00:00.123456", MOMENT),
        ("2021-05-01T12:00:00.123456+02:00", MOMENT),
        (MOMENT.astimezone(timezone(timedelta(hours=2))), MOMENT),
        (None, None),
        ("", None),
        ("yesterday", None),
        (7, None),
        ("0001-01-01 00:00:00+14:00", None),
    ],
)
def test_times_are_in_utc(cell: Any, expected: datetime | None) -> None:
    assert time_of(cell) == expected


def test_json_is_read_from_text_or_taken_as_it_is() -> None:
    assert (json_of('{"a": 1}'), json_of({"a": 1}), json_of("{"), json_of(None)) == ({"a": 1}, {"a": 1}, None, None)
    assert (list_of('["a"]'), list_of(["a"]), list_of('"a"'), list_of(None)) == (["a"], ["a"], [], [])


def test_text_fits_into_a_document() -> None:
    assert (text_of(None), text_of(7), text_of("\ud800")) == ("", "7", "?")
    assert len(text_of("x" * 20_000)) == 10_000
    assert line_of(" two\r\nlines\x07 ") == "two lines"
    assert without_addresses("to a.b@x.org, or c@d.e.") == "to (email address), or (email address)"


def test_minutes_of_an_interval() -> None:
    assert [minutes_of(cell) for cell in (600_000_000, timedelta(minutes=10), 1, None)] == [10, 10, 1, 1]


def test_roles_that_exist_here_and_the_others() -> None:
    cell = [
        "jobserver.authorization.roles.CoreDeveloper",
        "x.ProjectDeveloper",
        "x.StaffAdmin",
        "x.CoreDeveloper",
    ]
    assert roles_of(cell, GLOBAL_ROLES) == ((Role.CORE_DEVELOPER,), ["ProjectDeveloper", "StaffAdmin"])


def test_every_row_has_a_valid_name_of_its_own() -> None:
    notes = ImportNotes()
    rows = RowNames("t", Kind.WORKSPACE, names.WORKSPACE, 128, notes)
    given = ["trends", "Trends", "TRENDS!", "", None, "jobs", "é" * 200, "x" * 200, "trends-2"]
    made = [rows.add(row, name, "name") for row, name in enumerate(given, 1)]
    assert made[:6] == ["trends", "trends-2", "trends-3", "workspace", "workspace-5", "jobs-6"]
    assert len(set(made)) == len(made)
    assert all(len(name) <= 128 for name in made)
    assert made[8] == "trends-2-9"
    assert len(notes.notes) == 8
    assert (rows.get(1), rows.get(99), rows.get(None)) == ("trends", None, None)
