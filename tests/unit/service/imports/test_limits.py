"""The number and the status of an old project, as its document can have them."""

import pytest

from jobserver.service.imports.limits import ProjectLimits
from jobserver.service.imports.notes import ImportNotes


@pytest.mark.parametrize(
    ("number", "expected"),
    [(None, None), ("", None), (7, "7"), ("POS-2025-2001", "POS-2025-2001"), ("no number!", None)],
)
def test_a_number_is_taken_if_it_is_one(number: object, expected: str | None) -> None:
    notes = ImportNotes()
    assert ProjectLimits(notes).of({"id": 1, "number": number})["number"] == expected
    assert bool(notes.notes) is (number == "no number!")


def test_two_projects_do_not_have_one_number() -> None:
    notes = ImportNotes()
    limits = ProjectLimits(notes)
    assert [limits.of({"id": row, "number": "pos-1" if row == 1 else "POS-1"})["number"] for row in (1, 2)] == [
        "pos-1",
        None,
    ]
    assert [str(note) for note in notes.notes] == [
        "jobserver_project 2: number 'POS-1' is another project's too: not taken"
    ]


@pytest.mark.parametrize(
    ("status", "expected", "is_noted"),
    [
        (None, None, False),
        ("ongoing", None, False),
        ("ongoing-and-linked", None, False),
        ("completed-and-awaiting", "completed", False),
        ("postponed", "postponed", False),
        ("retired", "retired", False),
        ("strange", None, True),
    ],
)
def test_a_status_is_one_of_ours(status: object, expected: str | None, is_noted: bool) -> None:
    notes = ImportNotes()
    assert ProjectLimits(notes).of({"id": 1, "status": status})["status"] == expected
    assert bool(notes.notes) is is_noted
