"""A connection that shows some workspaces only: no table shows a row of another, and every query works on it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.domain.job_requests.query import parse
from jobserver.index.queries.requests import RequestFilter, active_requests, find_row, list_requests, queue
from jobserver.index.queries.search import RequestSearch
from jobserver.index.sqlite import limited, schema

MINE, THEIRS = "a" * 16, "b" * 16
ITEM = '{"requested_actions": ["x"], "cancelled_actions": [], "sha": "0"}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two active requests, of two workspaces."""
    path = tmp_path / "index.sqlite3"
    with closing(schema.create(path)) as sql:
        sql.execute("INSERT INTO branches VALUES (1, 'backends/tpp', 'tip')")
        for identifier, workspace in ((MINE, "mine"), (THEIRS, "theirs")):
            values = (1, identifier, "active", "2026-11-24", workspace, "lab/p", "al", 7, "0", "x", ITEM, 1)
            sql.execute(
                f"INSERT INTO requests VALUES ({', '.join('?' * 12)}, 'pending', 0, 0, NULL, NULL, NULL, '')", values
            )
            job = (1, identifier, f"job-{workspace}", workspace, "x", "pending", "", "", 7)
            sql.execute(f"INSERT INTO jobs VALUES ({', '.join('?' * 9)}, NULL, NULL, NULL, NULL)", job)
        sql.executescript(schema.INDEXES)
    return path


def tables(sql: sqlite3.Connection) -> list[str]:
    names = [row[0] for row in sql.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
    return [name for name in names if "workspace" in {row[1] for row in sql.execute(f"PRAGMA main.table_info({name})")}]


def test_no_table_shows_a_row_of_another_workspace(path: Path) -> None:
    with closing(limited.connect(path)) as sql:
        names = tables(sql)
        assert {"requests", "jobs", "tallies", "actions", "request_days", "releases", "release_files"} <= set(names)
        for workspaces in (["mine"], [], ["theirs", "mine"], ["nobody's"]):
            sql.limit(workspaces)
            for name in names:
                shown = {row[0] for row in sql.execute(f"SELECT workspace FROM {name}")}
                assert shown <= set(workspaces)
            assert sql.execute("SELECT count(*) FROM requests").fetchone() == (len({"mine", "theirs"} & {*workspaces}),)


def test_queries_work_on_what_is_seen(path: Path) -> None:
    with closing(limited.connect(path)) as sql:
        sql.limit(["mine"])
        assert [row.identifier for row in list_requests(sql, RequestFilter(), ["tpp"], 10)] == [MINE]
        assert [row.identifier for row in active_requests(sql, ["tpp"])] == [MINE]
        assert find_row(sql, THEIRS, ["tpp"]) is None
        for query in ("", "x", "action:x", "status:pending", "backend:tpp", "workspace:mine", "project:lab/p", MINE):
            search = RequestSearch(sql, parse(query), ["tpp"])
            assert [row.identifier for row in search.page(25).rows] == [MINE], query
            counts = search.counts()
            assert counts is None or search.total(counts) == 1, query


def test_numbers_about_everybody_count_everybody(path: Path) -> None:
    with closing(limited.connect(path)) as sql:
        sql.limit(["mine"])
        assert queue(sql, "tpp").active == 2


def test_it_reads_only(path: Path) -> None:
    with closing(limited.connect(path)) as sql:
        sql.limit(["mine"])
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            sql.execute("DELETE FROM main.requests")
