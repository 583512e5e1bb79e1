"""Searches job requests by a query, in a time that does not grow with their number.

Begins with the rarest term and checks the others on its rows. If every term has more than `terms.FEW` rows, looks
through the newest requests only, and says where it stopped: the next page goes on from there.
"""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobserver.domain.base.identifiers import micros
from jobserver.domain.base.layout import branch_backend
from jobserver.domain.job_requests.query import Query
from jobserver.index.queries.branches import branch_numbers, marks
from jobserver.index.queries.requests import COLUMNS, JobRequestRow, request_row
from jobserver.index.queries.terms import FEW, FIELDS, Term, terms_of

Position = tuple[int, str]
"""(created_at, identifier): a place in the list of all requests, newest first."""
_INDEXES = {
    "outcome": "requests_outcome",
    "created_by": "requests_person",
    "workspace": "requests_workspace",
    "project": "requests_project",
    "branch": "requests_backend",
}
_LOOKED_THROUGH = 2000  # rows
_POSITION = "(requests.created_at, requests.identifier)"
_NEWEST_FIRST = "ORDER BY requests.created_at DESC, requests.identifier DESC"
_CELL = "requests.branch, workspace, created_by, ifnull(project, '') AS project, outcome, 1 AS requests"


@dataclass(frozen=True, slots=True)
class Matches:
    """A page of a search. ``older``: where the next one begins; None at the end."""

    rows: Sequence[JobRequestRow]
    older: Position | None


@dataclass(frozen=True, slots=True)
class _Scope:
    """The rows of ``requests`` to look through. ``end``: the last of them, if there are more."""

    source: str
    where: Sequence[str]
    values: Sequence[Any]
    end: Position | None = None
    listed: Term | None = None
    """The term whose rows these are."""


class RequestSearch:
    """A search within one view of the index. ``query`` is resolved."""

    def __init__(self, sql: sqlite3.Connection, query: Query, backends: Collection[str]) -> None:
        self._sql, self._query = sql, query
        self._branches = branch_numbers(sql, backends)
        self._terms = terms_of(sql, query)

    def page(self, limit: int, before: Position | None = None) -> Matches:
        """Newest first. ``before``: the last request of the page before."""
        if not self._branches or any(term.size == 0 for term in self._terms):
            return Matches((), None)
        scope = self._scope(before)
        checks, values = _checks(self._terms, scope.listed)
        where = " AND ".join([*scope.where, f"requests.branch IN ({marks(self._branches)})", *checks])
        rows = self._sql.execute(
            f"SELECT {COLUMNS} FROM (SELECT requests.rowid AS number FROM {scope.source} WHERE {where}"
            f" {_NEWEST_FIRST} LIMIT ?) CROSS JOIN requests ON requests.rowid = number"
            f" JOIN branches ON branches.id = requests.branch {_NEWEST_FIRST}",
            (*scope.values, *self._branches, *values, limit + 1),
        ).fetchall()
        matches = [request_row(row) for row in rows[:limit]]
        is_full = len(rows) > limit
        return Matches(matches, (matches[-1].created_at, matches[-1].identifier) if is_full else scope.end)

    def _scope(self, before: Position | None) -> _Scope:
        rarest = min(self._terms, key=_size, default=None)
        column = min((term for term in self._terms if term.column), key=_size, default=None)
        where, values = self._between(before)
        if rarest is not None and _is_few(rarest) and rarest is not column:
            listed = f"requests.rowid IN ({rarest.rows})"
            return _Scope("requests NOT INDEXED", [*where, listed], [*values, *rarest.row_values], listed=rarest)
        source = f"requests INDEXED BY {_INDEXES[column.column] if column else 'requests_created'}"
        if column is not None:
            where, values = [*where, f"requests.{column.column} = ?"], [*values, *column.values]
        end = self._sql.execute(
            f"SELECT created_at, identifier FROM {source} WHERE {' AND '.join(where)} {_NEWEST_FIRST} LIMIT 1 OFFSET ?",
            (*values, _LOOKED_THROUGH),
        ).fetchone()
        if end is None:
            return _Scope(source, where, values)
        return _Scope(source, [*where, f"{_POSITION} >= (?, ?)"], [*values, *end], end)

    def _between(self, before: Position | None) -> tuple[list[str], list[Any]]:
        """The part of the list between the days of the query, from ``before`` on."""
        start, end = self._query.starts_at, self._query.ends_at
        begins = min(filter(None, [before, (micros(end), "") if end else None]), default=None)
        where, values = ([f"{_POSITION} < (?, ?)"], list[Any](begins)) if begins else (["true"], [])
        return ([*where, "requests.created_at >= ?"], [*values, micros(start)]) if start else (where, values)

    def counts(self) -> Mapping[str, Counter[str]] | None:
        """The values of each filter of `FIELDS` with their numbers of matches, when all other filters are applied.

        None if too many match to count them.
        """
        other = [term for term in self._terms if term.field is None]
        # Rows of a filter have no other values of it to count, so that another term is better.
        rarest = min(filter(_is_few, other), key=_size, default=None) or min(self._terms, key=_size, default=None)
        if all(term.is_tallied for term in other):
            checks, values = _checks(other)
            source = f"SELECT * FROM tallies AS requests WHERE {' AND '.join(['true', *checks])}"
        elif rarest is not None and _is_few(rarest):
            checks, values = _checks(other, rarest)
            where = " AND ".join([f"requests.rowid IN ({rarest.rows})", *checks])
            source, values = f"SELECT {_CELL} FROM requests NOT INDEXED WHERE {where}", [*rarest.row_values, *values]
        else:
            return None
        return self._counted(source, values)

    def _counted(self, source: str, values: Sequence[Any]) -> Mapping[str, Counter[str]]:
        parts, all_values = [], list(values)
        for name, column in FIELDS.items():
            checks, more = _checks(term for term in self._terms if term.field not in (None, name))
            where = " AND ".join([f"branch IN ({marks(self._branches)})", *checks])
            numbers = f"SELECT '{name}', {column}, sum(requests)"
            parts.append(f"{numbers} FROM cells AS requests WHERE {where} GROUP BY {column}")
            all_values += [*self._branches, *more]
        rows = self._sql.execute(f"WITH cells AS MATERIALIZED ({source}) {' UNION ALL '.join(parts)}", all_values)
        slugs = {
            number: branch_backend(name) or "" for number, name in self._sql.execute("SELECT id, name FROM branches")
        }
        counts: dict[str, Counter[str]] = {name: Counter() for name in FIELDS}
        for name, value, count in rows:
            counts[name][slugs[value] if name == "backend" else value] += count
        return counts

    def total(self, counts: Mapping[str, Counter[str]]) -> int:
        """The number of matches."""
        wanted = self._query.statuses()
        return sum(count for status, count in counts["status"].items() if not wanted or status in wanted)


def has_requests(sql: sqlite3.Connection, name: str, value: str, backends: Collection[str]) -> bool:
    """Whether any request on these backends has this value of a filter of `FIELDS`."""
    numbers = branch_numbers(sql, backends)
    row = sql.execute(
        f"SELECT 1 FROM tallies WHERE branch IN ({marks(numbers)}) AND {FIELDS[name]} = ? LIMIT 1", (*numbers, value)
    )
    return row.fetchone() is not None


def _size(term: Term) -> int:
    return term.size


def _is_few(term: Term) -> bool:
    return term.size <= FEW


def _checks(terms: Iterable[Term], listed: Term | None = None) -> tuple[list[str], list[Any]]:
    """``listed``: the term whose rows are checked; they match it already, if it is exact."""
    given = [term for term in terms if not (term is listed and term.is_exact)]
    return [term.check for term in given], [value for term in given for value in term.values]
