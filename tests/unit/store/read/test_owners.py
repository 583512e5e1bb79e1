"""Owners of jobs after commits, as if they were read again."""

from datetime import date

from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.state import Change, Changes, Move
from jobserver.store.read.owners import JobOwners
from tests.site import job

ONE, OTHER = (Place(Area.ACTIVE, date(2026, 11, 27), name * 16) for name in "ab")


def changes(*changed: Change, moves: tuple[Move, ...] = ()) -> Changes:
    return Changes("backends/tpp", "jobs.updated", "", changed, moves)


def written(place: Place, name: str) -> Change:
    return Change(place.job(name), None, job(name, "running", 1))


def removed(place: Place, name: str) -> Change:
    return Change(place.job(name), job(name, "running", 1), None)


def owned(owners: JobOwners) -> dict[str, str | None]:
    return {name: owners.get(name) for name in ("j1", "j2", "j3") if owners.get(name)}


def test_jobs_come_and_go() -> None:
    owners = JobOwners([("j1", ONE.identifier)])
    assert owners.follow(changes(written(ONE, "j2"), written(OTHER, "j3"), removed(ONE, "j1")))
    assert owned(owners) == {"j2": ONE.identifier, "j3": OTHER.identifier}


def test_jobs_of_an_archived_request_are_nobodys() -> None:
    owners = JobOwners([("j1", ONE.identifier), ("j2", ONE.identifier), ("j3", OTHER.identifier)])
    archived = ONE.moved(Area.ARCHIVE)
    assert owners.follow(changes(written(archived, "j1"), moves=(Move(ONE, Area.ARCHIVE),)))
    assert owned(owners) == {"j3": OTHER.identifier}


def test_a_job_that_another_request_takes_is_its_own() -> None:
    for order in (1, -1):
        owners = JobOwners([("j1", ONE.identifier)])
        assert owners.follow(changes(*[written(OTHER, "j1"), removed(ONE, "j1")][::order]))
        assert owned(owners) == {"j1": OTHER.identifier}
        assert owners.follow(changes(moves=(Move(ONE, Area.ARCHIVE),)))
        assert owned(owners) == {"j1": OTHER.identifier}


def test_a_request_that_comes_back_is_read_again() -> None:
    assert not JobOwners([]).follow(changes(moves=(Move(ONE.moved(Area.ARCHIVE), Area.ACTIVE),)))
