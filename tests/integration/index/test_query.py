"""Searches by a query find what a plain reading of all requests finds, whichever way they take through the index."""

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from jobserver.domain.base.identifiers import micros
from jobserver.domain.job_requests.query import FILTERS, LEAST_ID, STATUSES, Query, of_values, parse
from jobserver.index.queries import search, terms
from jobserver.index.queries.search import RequestSearch, has_requests
from jobserver.index.queries.terms import FIELDS
from jobserver.index.sqlite import schema
from tests.samples import size

BACKENDS = {"tpp": 1, "emis": 2, "hidden": 3}
SHOWN = ["tpp", "emis"]
START = datetime(2026, 11, 1, tzinfo=UTC)
PROJECTS = {"asthma": "lab/a", "asthma-2": "lab/b", "covid": "other/a", "model-x": None}
ACTIONS = ("generate", "model", "Model_age", "plot,x", "run_all")
CODES = ("succeeded", "nonzero_exit", "cancelled_by_user", "executing")

QUERIES = size(100, 500)


@dataclass(frozen=True)
class Stored:
    """A request as the rows have it, with its jobs as (id, action, code)."""

    identifier: str
    backend: str
    workspace: str
    by: str
    created_at: datetime
    sha: str
    requested: tuple[str, ...]
    status: str
    jobs: tuple[tuple[str, str, str], ...]

    @property
    def project(self) -> str:
        return PROJECTS[self.workspace] or ""

    @property
    def actions(self) -> set[str]:
        return {action for _, action, _ in self.jobs} | set(self.requested[: 1 if self.jobs else None])

    def has_job(self, query: Query) -> bool:
        if not query.code:
            return bool(self.actions & set(query.action))
        return any(code in query.code and (not query.action or action in query.action) for _, action, code in self.jobs)

    def has_id(self, text: str) -> bool:
        of_job = any(name.startswith((text, text.lower())) for name, _, _ in self.jobs)
        return self.identifier.startswith(text.lower()) or of_job

    def has_word(self, word: str) -> bool:
        lower = word.lower()
        names = (self.workspace, self.by, self.project, *self.actions)
        exact = (self.backend, *(name for name, value in STATUSES.items() if value == self.status))
        is_long = len(word) >= LEAST_ID
        return (
            any(lower in name.lower() for name in names)
            or lower in (*exact, *(code for _, _, code in self.jobs))
            or (is_long and (self.has_id(word) or self.sha.startswith(lower)))
        )

    def value(self, name: str) -> str:
        return str(getattr(self, name))

    def matches(self, query: Query, *without: str) -> bool:
        fields = [name for name in FIELDS if name not in without and query.values(name)]
        wanted = {name: query.statuses() if name == "status" else query.values(name) for name in fields}
        return (
            all(self.value(name) in values for name, values in wanted.items())
            and (not query.org or self.project.partition("/")[0] in query.org)
            and (not (query.action or query.code) or self.has_job(query))
            and (not query.commit or self.sha.startswith(query.commit))
            and (not query.id or any(map(self.has_id, query.id)))
            and (query.starts_at is None or self.created_at >= query.starts_at)
            and (query.ends_at is None or self.created_at < query.ends_at)
            and all(map(self.has_word, query.words))
        )


def stored(chance: random.Random, number: int) -> Stored:
    identifier = "".join(chance.choices("ab", k=3)) + f"{number:02}".translate(str.maketrans("01", "xy")) + "z" * 11
    requested = tuple(chance.sample(ACTIONS, chance.randint(1, 2)))
    run = () if chance.random() < 0.2 else tuple(chance.sample(ACTIONS[:4], chance.randint(1, 3)))
    names = [(f"{chance.choice('Jj')}ob{number}-{at}", action, chance.choice(CODES)) for at, action in enumerate(run)]
    return Stored(
        identifier,
        chance.choice(list(BACKENDS)),
        chance.choice(list(PROJECTS)),
        chance.choice(["alice", "bob", "carol"]),
        START + timedelta(hours=chance.randrange(240), microseconds=number),
        "".join(chance.choices("ab", k=40)),
        requested,
        chance.choice(list(STATUSES.values())) if run else "unknown",
        tuple(names),
    )


def insert(sql: sqlite3.Connection, request: Stored) -> None:
    item = orjson.dumps(
        {"requested_actions": list(request.requested), "cancelled_actions": [], "sha": request.sha}
    ).decode()
    branch, created = BACKENDS[request.backend], micros(request.created_at)
    values = (branch, request.identifier, request.workspace, PROJECTS[request.workspace], request.by, created)
    sql.execute(
        "INSERT INTO requests (branch, identifier, workspace, project, created_by, created_at, sha, first_action, item,"
        " outcome, jobs, area, day, active, succeeded) VALUES (?,?,?,?,?,?,?,?,?,?,?,'active','',1,0)",
        (*values, request.sha, request.requested[0], item, request.status, len(request.jobs)),
    )
    for name, action, code in request.jobs:
        sql.execute(
            "INSERT INTO jobs VALUES (?,?,?,?,?,'failed',?,'',?,NULL,NULL,NULL,NULL)",
            (branch, request.identifier, name, request.workspace, action, code, created),
        )


@pytest.fixture(scope="module")
def requests() -> list[Stored]:
    chance = random.Random(5)
    made = [stored(chance, number) for number in range(80)]
    return sorted(made, key=lambda request: (request.created_at, request.identifier), reverse=True)


@pytest.fixture(scope="module")
def sql(requests: list[Stored], tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    with closing(schema.create(Path(tmp_path_factory.mktemp("index"), "index"))) as connection:
        connection.execute(
            "INSERT INTO branches VALUES (1,'backends/tpp','x'),(2,'backends/emis','x'),(3,'backends/hidden','x')"
        )
        connection.executescript(schema.INDEXES)
        for request in requests:
            insert(connection, request)
        yield connection


def queries(requests: list[Stored]) -> Iterator[Query]:
    chance = random.Random(7)
    some = requests[3]
    values = {
        "status": list(STATUSES),
        "by": ["alice", "bob", "nobody"],
        "workspace": [*PROJECTS, "nowhere"],
        "project": ["lab/a", "lab/b", "other/a"],
        "org": ["lab", "other", "none"],
        "backend": list(BACKENDS),
        "action": [*ACTIONS, "nothing"],
        "code": [*CODES, "stale"],
        "commit": [some.sha[:5], some.sha, "abab"],
        "id": [some.identifier, some.identifier[:4], "Job4", "job4", "zzzz"],
        "since": ["2026-11-03", "2026-11-09", "2027-01-01"],
        "until": ["2026-11-02", "2026-11-08", "2026-01-01"],
    }
    words = [
        "asthma",
        "MODEL",
        "tpp",
        "failed",
        "requested",
        "nonzero_exit",
        "ali",
        "lab",
        some.sha[:6],
        "Job4",
        "zzzzz",
        "e",
    ]
    for _ in range(QUERIES):
        names = chance.sample(list(FILTERS), chance.choice([0, 1, 1, 2, 3]))
        given = {name: chance.sample(values[name], chance.choice([1, 1, 2])) for name in names}
        yield of_values(given, chance.sample(words, chance.choice([0, 0, 1, 1, 2])))


@pytest.mark.parametrize(("few", "looked_through"), [(1500, 2000), (0, 2000), (5, 7)])
def test_a_search_finds_what_a_plain_reading_finds(
    sql: sqlite3.Connection, requests: list[Stored], few: int, looked_through: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "FEW", few)
    monkeypatch.setattr(search, "FEW", few)
    monkeypatch.setattr(search, "_LOOKED_THROUGH", looked_through)
    visible = [request for request in requests if request.backend in SHOWN]
    matched = 0
    for query in queries(requests):
        expected = [request.identifier for request in visible if request.matches(query)]
        result = RequestSearch(sql, query, SHOWN)
        pages, page = [], result.page(3)
        pages += page.rows
        while page.older is not None:
            page = result.page(3, page.older)
            pages += page.rows
        assert [row.identifier for row in pages] == expected, str(query)
        matched += bool(expected)
        if (counts := result.counts()) is not None:
            assert result.total(counts) == len(expected), str(query)
            check_counts(visible, query, counts, few)
        elif few == 1500:
            pytest.fail(f"{query} was not counted")
    assert matched > QUERIES * 0.3


def check_counts(visible: list[Stored], query: Query, counts: dict[str, Counter[str]], few: int) -> None:
    for name in FIELDS:
        expected = Counter(request.value(name) for request in visible if request.matches(query, name))
        if few < 1500 and query.values(name):  # the search may have begun with this filter's own rows
            assert counts[name].items() <= expected.items(), (str(query), name)
        else:
            assert counts[name] == expected, (str(query), name)


def test_a_search_says_where_it_stopped(
    sql: sqlite3.Connection, requests: list[Stored], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "FEW", 0)
    monkeypatch.setattr(search, "FEW", 0)
    monkeypatch.setattr(search, "_LOOKED_THROUGH", 9)
    result = RequestSearch(sql, parse("action:nothing,generate commit:ffff"), SHOWN)
    assert result.page(25) == search.Matches((), None)  # no request has that commit
    rare = RequestSearch(sql, parse("code:nonzero_exit action:model since:2026-11-01"), SHOWN)
    page = rare.page(25)
    assert page.older == (micros(requests[9].created_at), requests[9].identifier)
    assert rare.counts() is None


def test_rows_that_a_term_lists_are_not_checked_by_it_again(sql: sqlite3.Connection) -> None:
    statements: list[str] = []
    sql.set_trace_callback(statements.append)
    result = RequestSearch(sql, parse("action:model"), SHOWN)
    assert result.page(3).rows
    assert result.counts()
    sql.set_trace_callback(None)
    assert not [statement for statement in statements if "EXISTS (SELECT 1 FROM jobs" in statement]


def test_values_that_only_requests_have_are_known(sql: sqlite3.Connection) -> None:
    assert has_requests(sql, "workspace", "asthma", SHOWN)
    assert has_requests(sql, "by", "carol", SHOWN)
    assert not has_requests(sql, "workspace", "nowhere", SHOWN)


def test_tallies_follow_every_change_of_a_row(sql: sqlite3.Connection) -> None:
    def are_right() -> bool:
        kept, counted = "SELECT * FROM tallies", f"SELECT * FROM ({schema.TALLIES.format('')})"
        return sorted(sql.execute(kept).fetchall()) == sorted(sql.execute(counted).fetchall())

    assert are_right()
    sql.execute("BEGIN")
    for statement in (
        "UPDATE requests SET outcome = 'succeeded' WHERE created_by = 'alice'",
        "UPDATE requests SET project = NULL, workspace = 'covid' WHERE created_by = 'bob'",
        "UPDATE requests SET item = item",
        "DELETE FROM requests WHERE workspace = 'covid'",
        "DELETE FROM requests",
    ):
        sql.execute(statement)
        assert are_right(), statement
    assert sql.execute("SELECT count(*) FROM tallies").fetchone() == (0,)
    sql.execute("ROLLBACK")


def test_days_are_days(sql: sqlite3.Connection, requests: list[Stored]) -> None:
    query = parse("since:1d until:1d").resolved("", date(2026, 11, 5))
    rows = RequestSearch(sql, query, list(BACKENDS)).page(100).rows
    assert len(rows) == sum(request.created_at.date() == date(2026, 11, 4) for request in requests) > 0
