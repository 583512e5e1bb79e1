"""An index that somebody edited is found out, and is not served after a start."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.index.index import Index
from jobserver.index.sqlite.verify import differences
from tests.samples import first
from tests.site import Site, job

EDITS = {
    "UPDATE jobs SET status = 'failed'": "the jobs of ",
    "UPDATE requests SET outcome = 'failed'": "the job request ",
    "UPDATE requests SET item = replace(item, 'alice', 'bob')": "the job request ",
    "UPDATE requests SET area = 'archive'": "the job request ",
    "DELETE FROM jobs": "the jobs of ",
    "DELETE FROM requests": "the job request ",
    "INSERT INTO requests SELECT branch, replace(identifier, substr(identifier, -2), '22'), area, day, workspace,"
    " project, created_by, created_at, sha, first_action, item, active, outcome, jobs, succeeded, started_at,"
    " completed_at, updated_at,"
    " cancelled_by FROM requests LIMIT 1": "the job request ",
    "UPDATE tallies SET requests = requests + 1": "the numbers of job requests differ from the rows",
    "DELETE FROM tallies": "the numbers of job requests differ from the rows",
    "DELETE FROM actions": "generate of trends is missing in the list of actions",
    "DELETE FROM branches WHERE name = 'backends/tpp'": "the table jobs has rows of a branch that the index does not",
    "INSERT INTO faults VALUES (99, 'x', 1, '', 'y')": "the table faults has rows of a branch that the index does not",
}


@pytest.fixture
def path(site: Site, tmp_path: Path) -> Iterator[Path]:
    first, second = site.ask(), site.ask("generate")
    site.report((first, job("a", "running", 1)), (second, job("b", "succeeded", 1)))
    found = tmp_path / "index"
    Index(site.path, site.repo.writer.refs, found).close()
    index = Index(site.path, site.repo.writer.refs, found)
    site.report((first, job("a", "succeeded", 2)))
    site.ask()
    index.refresh()
    index.close()
    yield found


def edit(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as sql, sql:
        assert sql.execute(statement).rowcount


@pytest.mark.parametrize("sampled", [False, True])
def test_an_index_that_followed_is_as_the_branches_are(site: Site, path: Path, sampled: bool) -> None:
    site.ask()  # rows that are of an older tip are no difference
    assert differences(site.path, path, sampled=sampled) == []


@pytest.mark.parametrize("sampled", first(1, [True, False]))
@pytest.mark.parametrize("statement", EDITS)
def test_rows_that_somebody_changed_are_named(site: Site, path: Path, statement: str, sampled: bool) -> None:
    edit(path, statement)
    assert EDITS[statement] in "\n".join(differences(site.path, path, sampled=sampled))


def test_a_forged_cancellation_is_named(site: Site, path: Path) -> None:
    """Only all commits tell who cancelled, so the quick check at the start does not look."""
    edit(path, "UPDATE requests SET cancelled_by = 'bob' WHERE rowid = 1")
    assert "the job request " in "\n".join(differences(site.path, path))


def test_numbers_with_the_right_sum_are_named(site: Site, path: Path) -> None:
    """Only all rows tell, so the quick check at the start does not look."""
    edit(path, "UPDATE tallies SET created_by = created_by || 'x'")
    assert "the numbers of job requests differ from the rows" in "\n".join(differences(site.path, path))
    assert differences(site.path, path, sampled=True) == []


@pytest.mark.parametrize("sampled", [False, True])
def test_changed_triggers_are_named(site: Site, path: Path, sampled: bool) -> None:
    """A trigger changes rows only later, once a job is reported."""
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("CREATE TRIGGER x AFTER INSERT ON jobs BEGIN UPDATE jobs SET status = 'failed'; END")
        sql.execute("DROP TRIGGER jobs_inserted")
    assert differences(site.path, path, sampled=sampled) == [
        "the trigger jobs_inserted differs from the one that jobserver creates",
        "the trigger x differs from the one that jobserver creates",
    ]


def test_rows_of_no_commit_that_there_is(site: Site, path: Path) -> None:
    edit(path, f"UPDATE branches SET tip = '{'1' * 40}'")
    assert "can't be read at 1111111111" in "\n".join(differences(site.path, path))


def test_a_start_makes_such_an_index_anew(site: Site, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit(path, "UPDATE jobs SET status = 'failed'")
    index = Index(site.path, site.repo.writer.refs, path)
    with index.view() as sql:
        assert {row[0] for row in sql.execute("SELECT status FROM jobs")} == {"succeeded"}
    index.close()
    assert "so it is rebuilt" in caplog.text
