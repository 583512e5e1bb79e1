"""What is live of running jobs: what readers see, what is due to be recorded, and what outlives the process."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.state import Change, Changes, Move
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.readings import RecordReadings
from jobserver.errors import Error, unavailable
from jobserver.index.queries.jobs import JobRow, row_of_job
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.readings import Readings
from tests.memory import ID, NOW, job

OTHER = "2" * 16
RECORDED = job("a", "running", 1)
HEARD = job("a", "running", 5, status_message="half", metrics={"cpu": 2})
FIVE = timedelta(minutes=5)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateStore]:
    made = PrivateStore(tmp_path / "private")
    yield made
    made.close()


def brings(readings: Mapping[str, Mapping[str, Job]], *recorded: str) -> Changes:
    """``recorded``: requests that finish."""
    moves = tuple(Move(Place(Area.ACTIVE, NOW.date(), identifier), Area.ARCHIVE) for identifier in recorded)
    trailers = tuple(("Job-Request", identifier) for identifier in recorded)
    return Changes("backends/tpp", "jobs.updated", "", moves=moves, trailers=trailers, result={"readings": readings})


def records(*changes: tuple[Job | None, Job | None]) -> Changes:
    """Events of jobs of one request."""
    made = tuple(Change("", before, after) for before, after in changes)
    return Changes("backends/tpp", "jobs.updated", "", made, trailers=(("Job-Request", ID),))


def row(recorded: Job, request: str = ID) -> JobRow:
    return row_of_job(request, recorded)


def test_readers_see_the_newest_readings(clock: Clock) -> None:
    live = Readings(clock)
    assert live.newest("tpp", [row(RECORDED)]) == [row(RECORDED)]
    live.hear("tpp", brings({ID: {"a": HEARD}}))
    others = [row(job("b", "running", 1)), row(RECORDED, OTHER)]
    assert live.newest("tpp", [row(RECORDED), *others]) == [row(HEARD), *others]
    assert live.newest("emis", [row(RECORDED)]) == [row(RECORDED)]
    later = HEARD.model_copy(update={"metrics": {"cpu": 3}})
    live.hear("tpp", brings({ID: {"a": later}}))
    assert live.newest("tpp", [row(RECORDED)]) == [row(later)]


@pytest.mark.parametrize(
    "recorded",
    [
        job("a", "succeeded", 3),
        job("a", "running", 6),
        job("a", "running", 3, status_code="finalizing"),
        job("a", "pending", 3),
        job("a", "running", 3, started_at=NOW),
    ],
)
def test_readers_do_not_see_readings_from_before_an_event(clock: Clock, recorded: Job) -> None:
    """Also one that another server recorded, or a push."""
    live = Readings(clock)
    live.hear("tpp", brings({ID: {"a": HEARD}}))
    assert live.newest("tpp", [row(recorded)]) == [row(recorded)]


def test_an_event_of_the_request_ends_its_readings(clock: Clock) -> None:
    live = Readings(clock)
    live.hear("tpp", brings({ID: {"a": HEARD}, OTHER: {"a": HEARD}}))
    live.hear("tpp", brings({}, ID))
    assert live.newest("tpp", [row(RECORDED), row(RECORDED, OTHER)]) == [row(RECORDED), row(HEARD, OTHER)]


def test_an_event_ends_the_readings_of_the_jobs_that_it_took_only(clock: Clock) -> None:
    """A report may leave out a job, or have an older time for it than a report that was quicker."""
    live, newer = Readings(clock), job("b", "running", 5, metrics={"cpu": 3})
    b = job("b", "running", 1)
    live.hear("tpp", brings({ID: {"a": HEARD, "b": newer}}))
    live.hear("tpp", records((None, job("c", "pending", 6))))
    live.hear("tpp", records((RECORDED, job("a", "running", 3)), (None, job("c", "pending", 6))))
    assert live.newest("tpp", [row(RECORDED), row(b)]) == [row(HEARD), row(newer)]
    live.hear("tpp", brings({ID: {"a": job("a", "running", 4)}}))
    assert live.newest("tpp", [row(RECORDED), row(b)]) == [row(HEARD), row(newer)]
    live.hear("tpp", records((RECORDED, job("a", "running", 6)), (b, None)))
    assert live.newest("tpp", [row(RECORDED), row(b)]) == [row(RECORDED), row(b)]
    assert live.due(timedelta()) == []


def test_who_waits_is_called_for_what_is_new_only(clock: Clock) -> None:
    live, calls = Readings(clock), list[int]()
    live.on_change(lambda: calls.append(1))
    for _ in range(2):
        live.hear("tpp", brings({ID: {"a": HEARD}}))
    live.hear("tpp", brings({}))
    assert len(calls) == 1


def test_readings_are_due_once_the_first_of_them_is_old_enough(clock: Clock) -> None:
    live = Readings(clock)
    live.hear("tpp", brings({ID: {"a": HEARD}}))
    live.hear("emis", brings({}))
    clock.now += FIVE / 2
    newest = {ID: {"a": job("a", "running", 8)}, OTHER: {"b": HEARD}}
    live.hear("tpp", brings(newest))
    assert live.due(FIVE) == []
    clock.now += FIVE / 2
    (command,) = live.due(FIVE)
    assert command == RecordReadings("tpp", newest)
    live.forget(command)
    assert live.due(timedelta()) == []
    assert live.newest("tpp", [row(RECORDED)]) == [row(RECORDED)]


def test_what_is_heard_while_readings_are_recorded_is_kept(clock: Clock) -> None:
    live = Readings(clock)
    live.hear("tpp", brings({ID: {"a": RECORDED}}))
    clock.now += FIVE
    (command,) = live.due(FIVE)
    live.hear("tpp", brings({ID: {"a": HEARD}}))
    live.forget(command)
    assert live.newest("tpp", [row(RECORDED)]) == [row(HEARD)]
    assert live.due(FIVE) == []  # five minutes from now on
    clock.now += FIVE
    assert live.due(FIVE) == [RecordReadings("tpp", {ID: {"a": HEARD}})]


def test_readings_outlive_the_process(clock: Clock, private: PrivateStore) -> None:
    live = Readings(clock, private)
    live.hear("tpp", brings({ID: {"a": HEARD}, OTHER: {"b": HEARD}}))
    live.hear("emis", brings({ID: {"a": HEARD}}))
    live.exchange()
    live.hear("tpp", brings({}, OTHER))
    live.exchange()
    clock.now += FIVE
    again = Readings(clock, private)
    expected = [RecordReadings("tpp", {ID: {"a": HEARD}}), RecordReadings("emis", {ID: {"a": HEARD}})]
    assert sorted(again.due(FIVE), key=lambda command: command.backend) == expected[::-1]
    assert again.newest("tpp", [row(RECORDED)]) == [row(HEARD)]


def test_readings_of_another_version_are_forgotten(clock: Clock, private: PrivateStore) -> None:
    private.run("INSERT INTO readings VALUES ('tpp', ?, 0, 0, ?)", ID, '{"a": {"version": 9}}')
    live = Readings(clock, private)
    assert live.newest("tpp", [row(RECORDED)]) == [row(RECORDED)]


def test_servers_of_one_private_store_exchange_readings(clock: Clock, private: PrivateStore) -> None:
    one, other = Readings(clock, private), Readings(clock, private)
    calls: list[int] = []
    other.on_change(lambda: calls.append(1))
    one.hear("tpp", brings({ID: {"a": HEARD}}))
    for server in (one, other, other):
        server.exchange()
    assert (other.newest("tpp", [row(RECORDED)]), calls) == ([row(HEARD)], [1])
    clock.now += FIVE
    newest = HEARD.model_copy(update={"metrics": {"cpu": 3}})
    other.hear("tpp", brings({ID: {"a": newest}}))
    clock.now += FIVE
    for server in (other, one, one):
        server.exchange()
    assert one.newest("tpp", [row(RECORDED)]) == [row(newest)]
    (command,) = one.due(FIVE)
    one.forget(command)
    one.exchange()
    assert one.due(timedelta()) == Readings(clock, private).due(timedelta()) == []


def test_an_older_report_to_another_server_hides_no_newer_one(clock: Clock, private: PrivateStore) -> None:
    one, other = Readings(clock, private), Readings(clock, private)
    one.hear("tpp", brings({ID: {"a": job("a", "running", 3)}}))
    clock.now += FIVE
    other.hear("tpp", brings({ID: {"a": HEARD}}))
    for server in (other, one, other):
        server.exchange()
        assert server.newest("tpp", [row(RECORDED)]) == [row(HEARD)]


def test_what_the_private_store_refused_is_written_later(
    clock: Clock, private: PrivateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Readings(clock, private)
    live.hear("tpp", brings({ID: {"a": HEARD}}))

    def full(statements: object) -> None:
        raise unavailable("no space")

    with monkeypatch.context() as broken:
        broken.setattr(private, "run_all", full)
        with pytest.raises(Error):
            live.exchange()
    live.exchange()
    assert Readings(clock, private).newest("tpp", [row(RECORDED)]) == [row(HEARD)]
