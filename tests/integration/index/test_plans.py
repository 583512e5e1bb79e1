"""Which index SQLite uses for what every poll and page asks: active requests are few, and finished ones many."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from jobserver.domain.base.layout import backend_branch
from jobserver.index.queries.history import running_jobs
from jobserver.index.queries.requests import active_requests, has_unarchived, queue
from jobserver.index.sqlite import schema

Query = Callable[[sqlite3.Connection], Any]
QUERIES: dict[str, Query] = {
    "queue": lambda sql: queue(sql, "tpp"),
    "active": lambda sql: active_requests(sql, ["tpp"]),
    "of a person": lambda sql: active_requests(sql, ["tpp"], "alice"),
    "running": lambda sql: running_jobs(sql, "tpp"),
    "to archive": lambda sql: has_unarchived(sql, backend_branch("tpp")),
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_finished_requests_are_not_read_for_active_ones(query: Query) -> None:
    sql = sqlite3.connect(":memory:")
    sql.executescript(schema.TABLES + schema.INDEXES)
    sql.execute("INSERT INTO branches VALUES (1, ?, 'tip')", (backend_branch("tpp"),))
    statements: list[str] = []
    sql.set_trace_callback(statements.append)
    query(sql)
    sql.set_trace_callback(None)
    about_requests = [statement for statement in statements if "FROM requests" in statement]
    assert about_requests
    for statement in about_requests:
        plan = " ".join(row[3] for row in sql.execute(f"EXPLAIN QUERY PLAN {statement}"))
        assert "requests_active" in plan or "requests_unmoved" in plan, plan
