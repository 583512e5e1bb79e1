"""Rows that an import can't take as they are, and what it does with them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ImportNote:
    """``problem``: what is wrong with the value of ``column``. ``action``: what the import does."""

    table: str
    row: str
    column: str
    problem: str
    action: str

    def __str__(self) -> str:
        return f"{self.table} {self.row}: {self.column} {self.problem}: {self.action}"


@dataclass(slots=True)
class ImportNotes:
    """All notes of one import, in the order of the rows. ``missing``: table -> rows without a counterpart."""

    notes: list[ImportNote] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)

    def add(self, table: str, row: object, column: str, problem: str, action: str) -> None:
        self.notes.append(ImportNote(table, str(row), column, problem, action))

    def summary(self) -> Iterator[str]:
        """One line for each kind of note, with its number of rows, and one for each table that is not taken."""
        kinds = Counter((note.table, note.column, note.action.partition(" '")[0]) for note in self.notes)
        for (table, column, action), count in kinds.items():
            yield f"{table}.{column}: {count} {'row' if count == 1 else 'rows'}: {action}"
        for table, count in self.missing.items():
            yield f"{table}: {count} {'row' if count == 1 else 'rows'} without a counterpart: not taken"
