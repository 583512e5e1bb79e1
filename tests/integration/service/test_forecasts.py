"""What is expected of a request that has not started, and why lists say that it waits."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobserver.domain.backends import Backend
from jobserver.domain.base.identifiers import micros
from jobserver.domain.base.layout import backend_branch
from jobserver.domain.waiting.backend_status import BackendContact, BackendStatus, backend_status
from jobserver.domain.waiting.waiting import Reason
from jobserver.index.queries.requests import JobRequestRow
from jobserver.index.sqlite import schema
from jobserver.service.forecasts import forecast_of, waiting_rows

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT, S = micros(NOW), 1_000_000
TPP = Backend(slug="tpp", name="The Phoenix Partnership", created_at=NOW - timedelta(days=9))
OPEN = JobRequestRow(
    "r", "tpp", "w", None, "al", AT - 60 * S, "unknown", 0, 0, None, None, None, (), ("a",), (), "c" * 40
)


def online(**flags: object) -> BackendStatus:
    raised = {name: {"v": value, "ts": None} for name, value in flags.items()}
    return backend_status(TPP, BackendContact(NOW, raised), NOW)


@pytest.fixture
def sql() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    made.executescript(schema.TABLES + schema.INDEXES)
    made.execute("INSERT INTO branches VALUES (1, ?, 'tip')", (backend_branch("tpp"),))
    return made


def add_request(sql: sqlite3.Connection, identifier: str, created: int, started: int | None, ended: int | None) -> None:
    values = {
        "branch": 1, "identifier": identifier, "area": "active", "day": "2026-11-24", "workspace": "w",
        "created_by": "al", "created_at": created, "sha": "c" * 40, "first_action": "a",
        "item": '{"requested_actions": ["a"], "cancelled_actions": [], "sha": "c"}', "active": ended is None,
        "outcome": "succeeded" if ended else "unknown", "jobs": 0, "succeeded": 0, "started_at": started,
        "completed_at": ended,
    }  # fmt: skip
    columns, marks = ", ".join(values), ", ".join("?" * len(values))
    sql.execute(f"INSERT INTO requests ({columns}) VALUES ({marks})", tuple(values.values()))


def add_job(sql: sqlite3.Connection, request: str, action: str, status: str, code: str = "") -> None:
    moments = (AT - 900 * S, AT - 800 * S) if status == "succeeded" else (None, None)
    sql.execute(
        "INSERT INTO jobs VALUES (1, ?, ?, 'w', ?, ?, ?, '', ?, NULL, ?, ?, NULL)",
        (request, f"{request}-{action}", action, status, code, AT - 901 * S, *moments),
    )


def test_without_a_start_no_end_is_expected_however_much_is_known_of_the_action(sql: sqlite3.Connection) -> None:
    add_job(sql, "old", "a", "succeeded")
    new = forecast_of(sql, OPEN, [], {"a": []}, online(), NOW)
    assert (new.starts, new.ends, new.no_end) == (None, None, "")
    assert new.no_start == "no recent request has run on The Phoenix Partnership"
    add_request(sql, "old", AT - 1000 * S, AT - 990 * S, AT - 900 * S)  # it waited for less than this one has
    late = forecast_of(sql, OPEN, [], {"a": []}, online(), NOW)
    assert (late.starts, late.ends) == (None, None)
    assert late.no_start == "this request has waited longer than the last 1 request on The Phoenix Partnership"
    add_request(sql, "slow", AT - 1000 * S, AT - 900 * S, AT - 800 * S)
    known = forecast_of(sql, OPEN, [], {"a": []}, online(), NOW)
    assert known.starts is not None
    assert known.ends is not None
    assert (known.starts.expected, known.ends.expected) == (AT + 40 * S, AT + 140 * S)


def test_lists_say_why_with_the_place_in_the_queue(sql: sqlite3.Connection) -> None:
    for place, name in enumerate(("first", "second", "third")):
        add_request(sql, name, AT - (90 - place) * S, None, None)
    rows = [replace(OPEN, identifier=name) for name in ("third", "first")]
    waiting = waiting_rows(sql, rows, {"tpp": online()}, NOW)
    assert (waiting["first"].position, waiting["first"].reason) == (1, Reason.RUNNER)
    assert waiting["third"].text == "Number 3 in the queue of The Phoenix Partnership, behind a on w and a on w."
    assert [request.identifier for request in waiting["third"].behind] == ["first", "second"]
    assert waiting_rows(sql, rows, {"tpp": online(paused="on")}, NOW)["third"].reason is Reason.PAUSED
    assert waiting_rows(sql, [replace(OPEN, outcome="running")], {"tpp": online()}, NOW) == {}
    assert waiting_rows(sql, rows, {}, NOW) == {}  # the backend is hidden


def test_lists_go_by_the_job_that_starts_first(sql: sqlite3.Connection) -> None:
    add_request(sql, "r", AT - 60 * S, None, None)
    add_job(sql, "r", "a", "pending", "waiting_on_dependencies")
    add_job(sql, "r", "b", "pending", "waiting_on_workers")
    row = replace(OPEN, outcome="pending", jobs=2)
    assert waiting_rows(sql, [row], {"tpp": online()}, NOW)["r"].reason is Reason.WORKERS
    both = replace(row, cancelled=("a", "b"))
    assert waiting_rows(sql, [both], {"tpp": online()}, NOW)["r"].reason is Reason.CANCELLING
    one = replace(row, cancelled=("b",))
    assert waiting_rows(sql, [one], {"tpp": online()}, NOW)["r"].reason is Reason.QUEUE
