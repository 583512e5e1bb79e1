"""The language of searches: what is read, what is refused with which words, and that its text means the same again."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from jobserver.domain.job_requests.query import FILTERS, MAX_TEXT, STATUSES, Query, of_values, parse
from jobserver.errors import Error

TODAY = date(2026, 11, 27)
WHOLE = (
    "status:failed by:alice workspace:asthma project:lab/a org:lab backend:tpp action:model code:nonzero_exit"
    " commit:abc1234 id:aaq5k3 since:2026-11-01 until:2026-11-30"
)


def test_every_filter_is_read_and_written_in_one_order() -> None:
    query = parse(WHOLE)
    assert str(query) == WHOLE
    assert {name: query.values(name) for name in FILTERS} == {
        name: (value,) for name, _, value in (term.partition(":") for term in WHOLE.split())
    }
    assert parse(" ".join(reversed(WHOLE.split()))) == query


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Query()),
        ("   ", Query()),
        ("asthma model asthma", Query(words=("asthma", "model"))),
        ('"two words" x,y', Query(words=("two words", "x,y"))),
        ('"a:b"', Query(words=("a:b",))),
        ('""', Query()),
        ("status:failed,succeeded", Query(status=("failed", "succeeded"))),
        ("status:failed status:succeeded STATUS:Failed", Query(status=("failed", "succeeded"))),
        ("status:unknown", Query(status=("requested",))),
        ('action:"a,b",c', Query(action=("a,b", "c"))),
        ("action:a,", Query(action=("a",))),
        ("commit:ABCD", Query(commit=("abcd",))),
        ("workspace:a:b", Query(workspace=("a:b",))),
    ],
)
def test_words_values_and_quotation_marks(text: str, expected: Query) -> None:
    assert parse(text) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("owner:a", "q", "'owner' is not a filter; the filters are status, by, workspace, project, org, backend,"),
        ("owner:a state:b", "q", "'owner', 'state' are not filters; the filters are"),
        ('by:alice "x', "q", "a quotation mark has no end"),
        ("x" * (MAX_TEXT + 1), "q", f"too long: {MAX_TEXT + 1} characters"),
        (" ".join(str(number) for number in range(51)), "q", "more than 50 words and values"),
        ("status:", "status", "expected a value after the colon"),
        ("by:a,,b", "by", "expected a value after the colon"),
        ("status:lost", "status", "status 'lost' does not exist, expected one of: pending, running,"),
        ("commit:xyz", "commit", "expected 4 to 40 digits of 0-9 and a-f, not 'xyz'"),
        ("id:abc", "id", "expected 4 to 64 letters, digits, - and _, not 'abc'"),
        ("since:2026-02-31", "since", "expected a day such as 2026-11-01, or 7d for the last 7 days, not '2026-02-31'"),
        ("since:20261101", "since", "expected a day such as"),
        ("until:now", "until", "expected a day such as"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_was_expected(text: str, where: str, message: str) -> None:
    with pytest.raises(Error) as refused:
        parse(text)
    assert (refused.value.where, refused.value.message[: len(message)]) == (where, message)


def test_every_wrong_value_is_named() -> None:
    with pytest.raises(Error) as refused:
        parse("status:lost,failed id:a since:x")
    assert [fault.key for fault in refused.value.faults] == ["status", "id", "since"]


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("", None, None),
        ("since:2026-11-01 until:2026-11-30", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        ("since:7d", datetime(2026, 11, 20, tzinfo=UTC), None),
        ("since:0d until:0d", datetime(2026, 11, 27, tzinfo=UTC), datetime(2026, 11, 28, tzinfo=UTC)),
        ("since:2026-01-01,2026-02-01", datetime(2026, 2, 1, tzinfo=UTC), None),
        ("until:9999-12-31", None, None),
        ("since:9999d", datetime(1999, 7, 13, tzinfo=UTC), None),
    ],
)
def test_days_are_whole_days_of_utc(text: str, first: datetime | None, end: datetime | None) -> None:
    query = parse(text).resolved("", TODAY)
    assert (query.starts_at, query.ends_at) == (first, end)


def test_me_is_whoever_searches() -> None:
    assert parse("by:me,bob x").resolved("alice", TODAY) == parse("by:alice,bob x")
    assert parse("by:bob").resolved("", TODAY) == parse("by:bob")
    with pytest.raises(Error, match="log in first"):
        parse("by:me").resolved("", TODAY)


def test_queries_join_and_change() -> None:
    both = parse("x status:failed").joined(of_values({"status": ["running"], "by": ["alice"]}))
    assert str(both) == "status:failed,running by:alice x"
    assert str(both.replaced(status=(), words=())) == "by:alice"
    assert of_values({"status": ["running"]}).statuses() == ("running",)
    assert parse("status:requested").statuses() == ("unknown",)


def test_the_contract_describes_every_filter_and_status() -> None:
    contract = (Path(__file__).parents[4] / "docs" / "contract.md").read_text()
    section = contract.partition("### Searches")[2].partition("\n### ")[0]
    assert set(re.findall(r"`([a-z]+):`", section)) == set(FILTERS)
    row = next(line for line in section.splitlines() if line.startswith("| `status:`"))
    assert all(status in row for status in STATUSES)
