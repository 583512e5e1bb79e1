"""The judges of the torture: they must notice each kind of wrong, or their silence says nothing."""

from math import inf
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.e2e.harness import git
from tests.torture import judge as second
from tests.torture.history import Call, Outcome, Record, Step, Violation, Wrong, calls_table, wrong_table
from tests.torture.judge import History
from tests.torture.servers import Clock

COMMIT, OTHER = "c" * 40, "d" * 40


def call(began: float, ended: float, outcome: Outcome = Outcome.OK, marker: str = "m", commit: str = "") -> Call:
    return Call("ask", began, marker, ended=ended, outcome=outcome, commit=commit)


def history(*marked: tuple[str, str], ours: set[str] | None = None) -> History:
    """(marker, commit), from the oldest on, all on one branch."""
    made = History(ours=ours or set())
    for place, (marker, commit) in enumerate(reversed(marked)):
        made.found.setdefault(marker, []).append(commit)
        made.places[commit] = "backends/tpp", place
    return made


ASK = call(1, 2, commit=COMMIT)


@pytest.mark.parametrize(
    ("calls", "found", "kind"),
    [
        ([ASK], history(), Wrong.LOST),
        ([ASK], history(("m", COMMIT), ("m", OTHER)), Wrong.DOUBLED),
        ([call(1, 2, Outcome.UNKNOWN)], history(("m", COMMIT), ("m", OTHER)), Wrong.DOUBLED),
        ([ASK], history(("m", OTHER)), Wrong.MISNAMED),
        ([call(1, 2, Outcome.REFUSED)], history(("m", COMMIT)), Wrong.PHANTOM),
        ([ASK], history(("m", COMMIT), ("n", OTHER), ours={"m", "n"}), Wrong.PHANTOM),
        ([ASK, call(3, 4, marker="n")], history(("n", OTHER), ("m", COMMIT)), Wrong.DISORDER),
    ],
)
def test_the_judge_notices_each_violation(calls: list[Call], found: History, kind: Wrong) -> None:
    (wrong,) = second.judge(calls, found)
    assert wrong.kind is kind


@pytest.mark.parametrize(
    ("calls", "found"),
    [
        ([ASK], history(("m", COMMIT), ours={"m"})),
        ([call(1, 2, Outcome.UNKNOWN)], history()),
        ([call(1, 2, Outcome.UNKNOWN)], history(("m", COMMIT), ours={"m"})),
        ([call(1, 2, Outcome.REFUSED)], history()),
        ([ASK, call(3, 4, marker="n")], history(("m", COMMIT), ("n", OTHER))),
        ([ASK, call(1.5, 4, marker="n")], history(("n", OTHER), ("m", COMMIT))),
        ([ASK, call(3, 4, Outcome.UNKNOWN, "n")], history(("n", OTHER), ("m", COMMIT))),  # its call began before, maybe
    ],
)
def test_the_judge_accepts_what_is_allowed(calls: list[Call], found: History) -> None:
    assert second.judge(calls, found) == []


def test_the_history_is_read_as_it_is(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("r/request.yaml", "r/jobs/j1.yaml"):
        path = tmp_path / "active" / "2026-11-24" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        git(tmp_path, "add", ".")
        key = "\n\nIdempotency-Key: a b\nEvent: x" if name.endswith("request.yaml") else ""
        git(tmp_path, "commit", "-qm", f"{name}{key}")
    first, last = git(tmp_path, "rev-parse", "HEAD~1"), git(tmp_path, "rev-parse", "HEAD")
    made = second.read(tmp_path)
    assert made.found == {first: [first], last: [last], "a b": [first], "r": [first], "j1.yaml": [last]}
    assert made.places == {last: ("main", 0), first: ("main", 1)}
    assert made.ours == {"a b", "j1.yaml"}


# What reads find. The request r is asked for from 1 to 2, its job runs from 3 to 4, and succeeds from 5 to 6.


def told() -> Record:
    record = Record()
    record.end(record.begin("ask", "m", now=1), Outcome.OK, "r", COMMIT, now=2)
    for step, at in ((Step.RUNNING, 3), (Step.SUCCEEDED, 5)):
        record.end(record.begin("report", request="r", step=step, now=at), Outcome.OK, now=at + 1)
    return record


def listed(record: Record, began: float, ended: float, seen: str = "", fresh: float = inf) -> list[Violation]:
    record.listed(record.begin("list", now=began), frozenset(seen), fresh, now=ended)
    return record.wrong


@pytest.mark.parametrize(("fresh", "is_wrong"), [(inf, True), (2.5, True), (1.5, False)])
def test_a_list_without_what_was_acknowledged(fresh: float, is_wrong: bool) -> None:
    record = Record()
    record.end(record.begin("ask", "m", now=1), Outcome.OK, "r", COMMIT, now=2)
    wrong = listed(record, 3, 4, fresh=fresh)
    assert [one.kind for one in wrong] == [Wrong.STALE] * is_wrong


def test_a_list_that_began_before_the_answer_or_ended_after_somebody_finished_it_may_lack_it() -> None:
    record = Record()
    asked = record.begin("ask", "m", now=1)
    looked = record.begin("list", now=1.5)
    record.end(asked, Outcome.OK, "r", COMMIT, now=2)
    record.listed(looked, frozenset(), now=3)
    looked = record.begin("list", now=4)
    record.begin("report", request="r", step=Step.SUCCEEDED, now=5)
    record.listed(looked, frozenset(), now=6)
    assert record.wrong == []


@pytest.mark.parametrize(("fresh", "is_wrong"), [(inf, True), (6.5, True), (5.5, False)])
def test_a_list_with_what_was_finished(fresh: float, is_wrong: bool) -> None:
    wrong = listed(told(), 7, 8, "r", fresh)
    assert [one.kind for one in wrong] == [Wrong.STALE] * is_wrong


@pytest.mark.parametrize(("began", "is_wrong"), [(1, True), (0.4, False)])
def test_a_list_with_what_nobody_had_asked_for(began: float, is_wrong: bool) -> None:
    record = Record()
    early = record.begin("ask", "m", now=began)  # whose id nobody knows yet
    listed(record, 0, 0.5, "r")
    record.end(early, Outcome.OK, "r", COMMIT, now=2)
    assert [one.kind for one in record.wrong] == [Wrong.EARLY] * is_wrong


@pytest.mark.parametrize(
    ("began", "ended", "step", "fresh", "kind"),
    [
        (7, 8, Step.SUCCEEDED, inf, None),
        (7, 8, Step.RUNNING, inf, Wrong.STALE),
        (7, 8, Step.RUNNING, 5.5, None),  # as of a moment at which it was being finished
        (7, 8, Step.ASKED, 5.5, Wrong.STALE),
        (7, 8, Step.NONE, 2.5, Wrong.STALE),
        (7, 8, Step.NONE, 1.5, None),
        (7, 8, Step.NONE, -inf, None),  # as of nobody knows when
        (4, 4.5, Step.SUCCEEDED, -inf, Wrong.EARLY),
        (4, 4.5, Step.SUCCEEDED, inf, Wrong.EARLY),
        (4, 5.5, Step.SUCCEEDED, inf, None),
        (2, 2.5, Step.RUNNING, inf, Wrong.EARLY),
        (0, 0.5, Step.ASKED, inf, Wrong.EARLY),
    ],
)
def test_one_request_as_a_read_found_it(
    began: float, ended: float, step: Step, fresh: float, kind: Wrong | None
) -> None:
    record = told()
    record.looked(record.begin("request", now=began), "r", step, fresh, now=ended)
    assert [one.kind for one in record.wrong] == ([kind] if kind else [])


def test_a_request_that_nobody_asked_for() -> None:
    record = Record()
    for step in (Step.NONE, Step.ASKED):
        record.looked(record.begin("request", now=1), "r", step, now=2)
    assert [one.kind for one in record.wrong] == [Wrong.EARLY]


def test_the_tables_count_calls_reads_and_violations() -> None:
    record = told()
    listed(record, 7, 8)
    record.failed(record.begin("list", now=8))
    assert (record.checked, record.reads, record.empty) == (4, 1, 1)
    assert "| report | 2 | 0 | 0 |" in calls_table(record.counted)
    assert "| all | 4 | 0 | 1 |" in calls_table(record.counted)
    assert wrong_table([Violation(Wrong.LOST, "x")]).endswith("| 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |")


def test_a_clock_that_jumps_says_no_more_than_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = SimpleNamespace(at=100.0)
    monkeypatch.setattr("tests.torture.servers.time", SimpleNamespace(time=lambda: now.at, monotonic=lambda: now.at))
    clock = Clock(tmp_path / "clock", 40)
    assert clock.monotonic("1970-01-01T00:02:25.000000Z") == 105
    assert clock.monotonic("1970-01-01T00:01:25.000000Z") == -inf  # it never said that
    now.at = 200
    clock.set(-70)
    assert (tmp_path / "clock").read_text() == "-70"
    assert clock.monotonic("1970-01-01T00:02:25.000000Z") == 105  # and 215, by the clock as it is now
    now.at = 300
    assert clock.monotonic("1970-01-01T00:02:15.000000Z") == 205


def test_a_machine_whose_clock_is_set_ahead_makes_no_read_look_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SimpleNamespace(at=100.0, ahead=0.0)
    clocks = SimpleNamespace(time=lambda: now.at + now.ahead, monotonic=lambda: now.at)
    monkeypatch.setattr("tests.torture.servers.time", clocks)
    clock = Clock(tmp_path / "clock", 0)
    now.at, now.ahead = 200, 5
    assert clock.monotonic("1970-01-01T00:03:25.000000Z") == 200
    assert clock.set_by == 5
