"""Which index SQLite uses for what every poll and page asks: active requests are few, and finished ones many."""

import re
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from jobserver.domain.base.layout import backend_branch
from jobserver.domain.job_requests.query import parse
from jobserver.index.queries.forecast import queue_places
from jobserver.index.queries.history import running_jobs
from jobserver.index.queries.identifiers import resolve_identifier
from jobserver.index.queries.requests import (
    JobRequestRow,
    RequestFilter,
    active_requests,
    find_row,
    has_unarchived,
    list_requests,
    queue,
    requests_ahead,
)
from jobserver.index.queries.search import RequestSearch
from jobserver.index.sqlite import schema

Query = Callable[[sqlite3.Connection], Any]
WAITS = JobRequestRow("r", "tpp", "w", None, "al", 7, "pending", 0, 0, None, None, None, (), ("a",), (), "c" * 40)
QUERIES: dict[str, Query] = {
    "queue": lambda sql: queue(sql, "tpp"),
    "active": lambda sql: active_requests(sql, ["tpp"]),
    "of a person": lambda sql: active_requests(sql, ["tpp"], "alice"),
    "running": lambda sql: running_jobs(sql, "tpp"),
    "before one": lambda sql: requests_ahead(sql, WAITS, 10),
    "places": lambda sql: queue_places(sql, "tpp", ["r"]),
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
    about_requests = [statement for statement in statements if re.search(r"FROM (?:main\.)?requests", statement)]
    assert about_requests
    for statement in about_requests:
        plan = " ".join(row[3] for row in sql.execute(f"EXPLAIN QUERY PLAN {statement}"))
        assert "requests_active" in plan or "requests_unmoved" in plan, plan


@pytest.mark.parametrize(
    ("chosen", "index"),
    [
        (RequestFilter(), "requests_created "),
        (RequestFilter(username="al"), "requests_person (created_by=?"),
        (RequestFilter(workspace="trends"), "requests_workspace (workspace=?"),
        (RequestFilter("trends", "al", (1, "r")), "requests_person (created_by=?"),
    ],
)
def test_requests_of_others_are_not_read_for_those_of_a_person_or_workspace(chosen: RequestFilter, index: str) -> None:
    """Found at a million job requests: the start page took half a second for a person without any."""
    sql = sqlite3.connect(":memory:")
    sql.executescript(schema.TABLES + schema.INDEXES)
    sql.execute("INSERT INTO branches VALUES (1, ?, 'tip')", (backend_branch("tpp"),))
    statements: list[str] = []
    sql.set_trace_callback(statements.append)
    list_requests(sql, chosen, ["tpp"], 10)
    sql.set_trace_callback(None)
    plans = [row[3] for row in sql.execute(f"EXPLAIN QUERY PLAN {statements[-1]}")]
    assert any(f"USING INDEX {index}" in f"{plan} " for plan in plans), plans
    assert "USE TEMP B-TREE FOR ORDER BY" not in plans


def test_a_server_without_backends_has_no_requests() -> None:
    """As a new one is. SQLite refuses a condition that it knows to be false with an index that the query names."""
    sql = sqlite3.connect(":memory:")
    sql.executescript(schema.TABLES + schema.INDEXES)
    assert (
        list_requests(sql, RequestFilter(), [], 10) == list_requests(sql, RequestFilter("trends", "al"), [], 10) == []
    )
    assert active_requests(sql, []) == active_requests(sql, [], "alice") == []
    assert find_row(sql, "a" * 16, []) is None
    assert resolve_identifier(sql, "abcd", []) is None
    for query in ("", "by:alice", "status:requested,running", "action:model code:executing", "commit:ffff", "words"):
        search = RequestSearch(sql, parse(query), [])
        assert (search.page(25).rows, search.counts() is not None) == ((), True), query
