"""So much over time, and so much at once, for each caller."""

import pytest

from jobserver.domain.base.permissions import SERVER, Actor, ActorKind
from jobserver.errors import Code, Error
from jobserver.service.budgets import Budgets, ConcurrencyLimit, RateLimit, WriteBudget

ALICE, BOB, TPP = Actor(ActorKind.USER, "alice"), Actor(ActorKind.USER, "bob"), Actor(ActorKind.BACKEND, "tpp")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def refused(rate: RateLimit, who: str, amount: float = 1) -> int:
    """After how many seconds it makes sense to try again."""
    with pytest.raises(Error) as error:
        rate.spend(who, amount)
    assert error.value.code is Code.TOO_MANY
    assert error.value.seconds is not None
    return error.value.seconds


def test_so_much_at_once_and_again_as_time_goes_on() -> None:
    clock = Clock()
    rate = RateLimit(60, 60, "it", clock)
    for _ in range(60):
        rate.spend("alice")
    assert refused(rate, "alice") == 2
    rate.spend("bob")
    clock.now = 1.5
    rate.spend("alice")
    assert refused(rate, "alice") == 1
    clock.now = 1000
    rate.spend("alice", 60)
    assert refused(rate, "alice", 30) == 31


def test_a_refused_amount_is_not_spent_and_a_rest_is_given_back() -> None:
    rate = RateLimit(10, 60, "it", Clock())
    rate.spend("alice", 6)
    refused(rate, "alice", 5)
    rate.spend("alice", 4)
    rate.add("alice", -3)
    rate.spend("alice", 3)
    rate.add("alice", -1000)
    rate.spend("alice", 10)
    refused(rate, "alice")


def test_more_than_all_is_let_through_as_one_and_waited_for() -> None:
    clock = Clock()
    rate = RateLimit(10, 10, "it", clock)
    rate.spend("alice", 30)
    assert refused(rate, "alice") == 22
    clock.now = 30
    rate.spend("alice", 30)


@pytest.mark.parametrize("rate", [RateLimit(0, 60, "it"), Budgets().released])
def test_without_a_setting_there_is_no_limit(rate: RateLimit) -> None:
    for _ in range(1000):
        rate.spend("alice", 1e12)


def test_a_concurrency_limit_counts_each_caller() -> None:
    room = ConcurrencyLimit(2, "things", seconds=7)
    room.enter("alice")
    room.enter("alice")
    room.enter("bob")
    with pytest.raises(Error, match="alice has 2 things: try again in 7 s"):
        room.enter("alice")
    assert room.count == 3
    room.leave("alice")
    room.enter("alice")
    for who in ("alice", "alice", "bob"):
        room.leave(who)
    assert room.count == 0


def test_writes_of_people_and_of_backends_and_never_of_the_server() -> None:
    writes = WriteBudget(people=1, backends=2, stored_mib=1)
    for actor, count in ((ALICE, 1), (BOB, 1), (TPP, 2)):
        for _ in range(5):
            writes.begin(actor)
            writes.end(actor, 0)  # nothing was written
        for _ in range(count):
            writes.begin(actor)
            writes.end(actor, 100)
        with pytest.raises(Error, match="WRITES_PER_MINUTE"):
            writes.begin(actor)
    for _ in range(10):
        writes.begin(SERVER)
        writes.end(SERVER, 2**30)


def test_bytes_that_commits_add() -> None:
    writes = WriteBudget(stored_mib=1)
    writes.begin(ALICE)
    writes.end(ALICE, 2**21)
    with pytest.raises(Error, match="alice has used up the 1 MiB a day of MAX_STORED_MIB_PER_DAY"):
        writes.begin(ALICE)
    writes.begin(BOB)
