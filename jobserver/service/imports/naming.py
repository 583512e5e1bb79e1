"""Valid names for old rows, each of them once.

A row keeps its name if that is valid and free. Else its new name is the old one in valid characters, and the row's id
follows if another row has that name. Rows come in the order of their ids, so the next import gives the same names.
"""

import re
from collections.abc import Callable
from unicodedata import normalize

from jobserver.domain.base import names
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.reserved import is_page
from jobserver.service.imports.notes import ImportNotes

_NO_WORD = re.compile(r"[^A-Za-z0-9_-]+")


def _ascii(text: str) -> str:
    return normalize("NFKD", text).encode("ascii", "ignore").decode()


def _username(text: str) -> str:
    return _NO_WORD.sub("-", _ascii(text)).lstrip("-_").rstrip("-")


def _workspace(text: str) -> str:
    return _username(text).lower()


_FORMS: dict[str, tuple[re.Pattern[str], Callable[[str], str]]] = {
    names.USERNAME: (re.compile(names.USERNAME), _username),
    names.WORKSPACE: (re.compile(names.WORKSPACE), _workspace),
    names.SLUG: (re.compile(names.SLUG), names.slug_of),
}
"""For each pattern: whether a name is valid, and a name that is like another one."""


class RowNames:
    """Names of the rows of one table. ``pattern`` is one of `names`, with ``length`` characters at most.

    ``kind``: of the documents, so that none gets the name of a page.
    """

    def __init__(self, table: str, kind: Kind, pattern: str, length: int, notes: ImportNotes, prefix: str = "") -> None:
        self._table, self._kind, self._length, self._notes, self._prefix = table, kind, length, notes, prefix
        self._pattern, self._make = _FORMS[pattern]
        self._taken: set[str] = set()
        self._names: dict[object, str] = {}

    def add(self, row: object, cell: object, column: str) -> str:
        """The name of the row with this id, whose old name is ``cell``."""
        old = "" if cell is None else str(cell)
        name = old if self._is_free(old) else self._other(old, row)
        if name != old:
            problem = f"{old!r:.80} is taken" if self._pattern.fullmatch(old) else f"{old!r:.80} is not a valid name"
            if is_page(self._kind, self._prefix + old):
                problem = f"{old!r:.80} is a page of the server"
            self._notes.add(self._table, row, column, problem, f"takes the name {name!r}")
        self._names[row] = name
        self._taken.add(name.lower())
        return name

    def _is_free(self, name: str) -> bool:
        is_valid = self._pattern.fullmatch(name) and not is_page(self._kind, self._prefix + name)
        return bool(is_valid) and name.lower() not in self._taken

    def _other(self, old: str, row: object) -> str:
        base = self._make(old)[: self._length] or self._kind.value
        suffix = f"-{row}"
        with_id = base[: self._length - len(suffix)].rstrip("-_") + suffix
        candidates = [base, with_id, *(f"{with_id}-{number}" for number in range(2, 100))]
        return next(name for name in candidates if self._is_free(name))

    def get(self, row: object) -> str | None:
        """The name of the row with this id; None for the id NULL, or of a row that does not exist."""
        return self._names.get(row)
