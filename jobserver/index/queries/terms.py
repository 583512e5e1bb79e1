"""The words and filters of a query as conditions of SQL on the table ``requests``.

Each term can check a row, and can list all rows that match it, so that a search can begin with the rarest term.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from jobserver.domain.base.identifiers import micros
from jobserver.domain.job_requests.query import LEAST_ID, STATUSES, Query
from jobserver.index.queries.branches import branch_numbers, marks

FEW = 1500
"""Rows that a search reads whole."""
FIELDS = {
    "status": "outcome",
    "backend": "branch",
    "workspace": "workspace",
    "by": "created_by",
    "project": "project",
}
"""Filters that are a column of the requests, with an index on it; the table `tallies` has their numbers."""
_END = "\U0010ffff"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Term:
    """``check``: the condition on a row of ``requests``. ``rows``: a query for the rowids of all that match it;
    unless it ``is_exact``, also of others.

    ``size``: the number of rows, or some number over `FEW`. ``field``: the filter of `FIELDS` that it is.
    ``column``: the one that it compares with one value, if it is that simple. ``is_tallied``: whether rows of `tallies`
    can be checked too.
    """

    check: str
    values: tuple[Any, ...]
    rows: str
    row_values: tuple[Any, ...]
    size: int
    field: str | None = None
    column: str = ""
    is_tallied: bool = False
    is_exact: bool = True


def terms_of(sql: sqlite3.Connection, query: Query) -> list[Term]:
    """``query`` is resolved."""
    reader = _Reader(sql)
    terms = [reader.column(FIELDS[name], _stored(sql, query, name), name) for name in FIELDS if query.values(name)]
    if query.org:
        terms.append(reader.column("project", _projects_of(sql, query.org)))
    terms += _period(reader, query)
    if query.action or query.code:
        terms.append(_jobs(reader, query.action, query.code))
    if query.commit:
        terms.append(_any([reader.beginning("requests_commit", "sha", text) for text in query.commit]))
    if query.id:
        terms.append(_any([term for text in query.id for term in reader.identified(text)]))
    return [*terms, *(_word(reader, word) for word in query.words)]


def _stored(sql: sqlite3.Connection, query: Query, name: str) -> Sequence[Any]:
    """The values of a filter of `FIELDS` as the column has them."""
    match name:
        case "status":
            return query.statuses()
        case "backend":
            return branch_numbers(sql, query.backend)
    return query.values(name)


def _projects_of(sql: sqlite3.Connection, orgs: Sequence[str]) -> list[str]:
    projects = sql.execute("SELECT DISTINCT project FROM tallies WHERE project != ''")
    return [project for (project,) in projects if project.partition("/")[0] in orgs]


def _any(terms: Sequence[Term]) -> Term:
    """What matches any of the terms."""
    return Term(
        f"({' OR '.join(term.check for term in terms)})" if terms else "false",
        tuple(value for term in terms for value in term.values),
        " UNION ".join(term.rows for term in terms) or "SELECT rowid FROM requests WHERE false",
        tuple(value for term in terms for value in term.row_values),
        sum(term.size for term in terms),
        is_tallied=all(term.is_tallied for term in terms),
        is_exact=all(term.is_exact for term in terms),
    )


def _has_job(check: str) -> str:
    of_request = "jobs.branch = requests.branch AND jobs.request = requests.identifier"
    return f"EXISTS (SELECT 1 FROM jobs WHERE {of_request} AND {check})"


class _Reader:
    """Makes terms, with the number of their rows up to `FEW`."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self.sql = sql

    @cached_property
    def cells(self) -> list[tuple[str, str, str, str]]:
        """(workspace, person, project or "", outcome) of all requests."""
        return self.sql.execute("SELECT DISTINCT workspace, created_by, project, outcome FROM tallies").fetchall()

    def size(self, rows: str, values: Sequence[Any]) -> int:
        """The number of rows; more than FEW means no more than that."""
        counted = self.sql.execute(f"SELECT count(*) FROM ({rows} LIMIT {FEW + 1})", values).fetchone()[0]
        return int(counted)

    def column(self, column: str, values: Sequence[Any], field: str | None = None) -> Term:
        condition = f"{column} IN ({marks(values)})"
        size = self.sql.execute(f"SELECT total(requests) FROM tallies WHERE {condition}", values).fetchone()[0]
        given = tuple(values)
        rows = f"SELECT rowid FROM requests WHERE {condition}"
        single = column if len(given) == 1 else ""
        return Term(f"requests.{condition}", given, rows, given, int(size), field, single, is_tallied=True)

    def term(self, check: str, values: Sequence[Any], rows: str, row_values: Sequence[Any]) -> Term:
        return Term(check, tuple(values), rows, tuple(row_values), self.size(rows, row_values))

    def beginning(self, index: str, column: str, text: str) -> Term:
        between = f"{column} >= ? AND {column} < ?"
        values = (text, text + _END)
        return self.term(
            f"(requests.{between.replace('AND ', 'AND requests.')})",
            values,
            f"SELECT rowid FROM requests INDEXED BY {index} WHERE {between}",
            values,
        )

    def identified(self, text: str) -> Iterator[Term]:
        """By the beginning of the id of a request or a job."""
        yield self.beginning("requests_identifier", "identifier", text.lower())
        for spelling in dict.fromkeys((text, text.lower())):
            values = (spelling, spelling + _END)
            between = "jobs.identifier >= ? AND jobs.identifier < ?"
            yield self.of_jobs(between, values, "jobs INDEXED BY jobs_identifier", between, values)

    def of_jobs(self, check: str, values: Sequence[Any], source: str, where: str, row_values: Sequence[Any]) -> Term:
        """Requests with a job that meets ``check``; ``source`` and ``where`` list these jobs."""
        return self.term(
            _has_job(check),
            values,
            f"SELECT requests.rowid FROM {source} CROSS JOIN requests INDEXED BY requests_identifier"
            f" ON requests.identifier = jobs.request AND requests.branch = jobs.branch WHERE {where}",
            row_values,
        )


def _period(reader: _Reader, query: Query) -> Iterator[Term]:
    start, end = _micros(query.starts_at), _micros(query.ends_at)
    bounds = [(">=", start), ("<", end)]
    checks = [f"requests.created_at {sign} ?" for sign, bound in bounds if bound is not None]
    if checks:
        values = [bound for _, bound in bounds if bound is not None]
        check = " AND ".join(checks)
        rows = f"SELECT rowid FROM requests INDEXED BY requests_created WHERE {check}"
        yield reader.term(check, values, rows, values)


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def _jobs(reader: _Reader, actions: Sequence[str], codes: Sequence[str]) -> Term:
    """An action and a code mean one job that has both."""
    if not codes:
        return _any(list(_of_actions(reader, lambda name: f"{name} IN ({marks(actions)})", actions)))
    by_code = _of_codes(reader, codes)
    if not actions:
        return by_code
    both = f"jobs.status_code IN ({marks(codes)}) AND jobs.action IN ({marks(actions)})"
    named = f"action IN ({marks(actions)})"
    by_action = reader.of_jobs(f"jobs.{named}", actions, _JOBS_OF_ACTIONS, f"actions.{named}", actions)
    rarer = min(by_code, by_action, key=lambda term: term.size)
    return replace(rarer, check=_has_job(both), values=(*codes, *actions), is_exact=False)


def _of_codes(reader: _Reader, codes: Sequence[str]) -> Term:
    condition = f"jobs.status_code IN ({marks(codes)})"
    return reader.of_jobs(condition, codes, "jobs INDEXED BY jobs_code", condition, codes)


# `actions` leads to the jobs: their index begins with the branch and the workspace.
_JOBS_OF_ACTIONS = (
    "actions CROSS JOIN jobs INDEXED BY jobs_action ON jobs.branch = actions.branch"
    " AND jobs.workspace = actions.workspace AND jobs.action = actions.action"
)


def _of_actions(reader: _Reader, matches: Callable[[str], str], values: Sequence[str]) -> Iterator[Term]:
    """Requests that ran an action, or whose first action it is, or that name it and have no jobs yet.

    ``matches``: the condition on the column that has the action's name, with ``values``.
    """
    yield reader.of_jobs(matches("jobs.action"), values, _JOBS_OF_ACTIONS, matches("actions.action"), values)
    names = f"SELECT action FROM actions WHERE {matches('action')}"
    rows = f"SELECT rowid FROM requests INDEXED BY requests_first_action WHERE first_action IN ({names})"
    yield reader.term(matches("requests.first_action"), values, rows, values)
    waiting = (
        "requests.active AND requests.jobs = 0 AND EXISTS"
        f" (SELECT 1 FROM json_each(requests.item, '$.requested_actions') WHERE {matches('value')})"
    )
    rows = f"SELECT rowid FROM requests INDEXED BY requests_active WHERE {waiting}"
    yield reader.term(waiting, values, rows, values)


def _word(reader: _Reader, word: str) -> Term:
    """A word can be part of a name, a status or a code, or the beginning of an id or a commit."""
    parts: list[Term] = []
    typed, word = word, word.lower()
    for number, column in enumerate(("workspace", "created_by", "project")):
        if names := {cell[number] for cell in reader.cells if word in cell[number].lower()}:
            parts.append(reader.column(column, sorted(names)))
    if word in STATUSES and STATUSES[word] in {cell[3] for cell in reader.cells}:
        parts.append(reader.column("outcome", [STATUSES[word]]))
    if branches := branch_numbers(reader.sql, [word]):
        parts.append(reader.column("branch", branches))
    of_actions = _of_actions(reader, lambda name: f"instr(lower({name}), ?)", [word])
    parts += [term for term in (*of_actions, _of_codes(reader, [word])) if term.size]
    if len(word) >= LEAST_ID:
        by_commit = [reader.beginning("requests_commit", "sha", word)] if _HEX.issuperset(word) else []
        parts += [term for term in (*reader.identified(typed), *by_commit) if term.size]
    return _any(parts)
