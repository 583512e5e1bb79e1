"""Which job request a job belongs to, also one in the archive."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from jobserver.index.queries.jobs import other_owner
from jobserver.index.sqlite import rows, schema
from tests.memory import job

TPP, EMIS = "backends/tpp", "backends/emis"


@pytest.fixture
def sql() -> Iterator[sqlite3.Connection]:
    """Requests first and second: job a is of first, b of second, and both is of the two."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(schema.TABLES + schema.INDEXES)
        made.executemany("INSERT INTO branches VALUES (?, ?, 'tip')", [(1, TPP), (2, EMIS)])
        for identifier, jobs in (("first", ("a", "both")), ("second", ("b", "both"))):
            made.execute(
                f"INSERT INTO requests ({rows.REQUEST_COLUMNS}, {rows.SUMMARY_COLUMNS})"
                " VALUES (1, ?, 'archive', '', 'w', NULL, 'alice', 0, '', 'a', '{}', 0, '', 2, 2, 0, 0, 0)",
                (identifier,),
            )
            for name in jobs:
                row = rows.job_row(1, identifier, "w", job(name))
                made.execute(f"INSERT INTO jobs ({rows.JOB_COLUMNS}) VALUES ({', '.join('?' * len(row))})", row)
        yield made


@pytest.mark.parametrize(
    ("claims", "taken"),
    [
        ({"a": "first", "b": "second", "new": "second"}, None),
        ({"new": "first", "a": "second"}, ("a", "first")),
        ({"a": "a request that does not exist"}, None),  # which the report's answer names
        ({"both": "first"}, None),
        ({"both": "second"}, None),  # as a push left it: neither request's reports fail because of the other
        ({f"new{number}": "first" for number in range(2000)} | {"b": "first"}, ("b", "second")),
        ({}, None),
    ],
)
def test_a_job_of_another_request_can_not_be_claimed(
    sql: sqlite3.Connection, claims: dict[str, str], taken: tuple[str, str] | None
) -> None:
    assert other_owner(sql, TPP, claims) == taken
    assert other_owner(sql, EMIS, claims) is None
