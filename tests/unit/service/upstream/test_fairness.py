"""Whose turn it is, with a clock that the test holds."""

import pytest

from jobserver.service.upstream.fairness import Turns
from jobserver.service.upstream.rate_limit import PushRate

BRANCH = "backends/tpp"
PUSH = 0.5
WINDOW = 3 * PUSH


def turns(server: str, *tips: str, now: float = 0) -> Turns:
    made = Turns(server)
    made.pushed(PUSH)
    for tip in tips:
        made.moved(BRANCH, [tip], now)
    return made


def test_a_branch_that_nobody_else_writes_waits_for_nobody() -> None:
    assert turns("a").wait(BRANCH, 0) == 0
    assert not turns("a", "a").is_shared(BRANCH, 0)
    assert turns("a", "a").wait(BRANCH, 0) == 0
    assert turns("a", "b", "c").wait("main", 0) == 0


@pytest.mark.parametrize(("tip", "order"), [("a", "bca"), ("b", "cab"), ("c", "abc"), ("", "abc")])
def test_after_each_tip_all_come_one_after_the_other_and_who_wrote_it_last(tip: str, order: str) -> None:
    for place, server in enumerate(order):
        one = turns(server, *"abc", tip)
        assert one.wait(BRANCH, 0) == place * WINDOW
        assert one.wait(BRANCH, place * WINDOW) == 0
        assert one.wait(BRANCH, 100) == 0


def test_a_move_begins_the_order_anew() -> None:
    one = turns("c", "b", "a", now=0)
    assert one.wait(BRANCH, 0.4) == WINDOW - 0.4  # b is next
    one.moved(BRANCH, ["b"], 0.4)
    assert one.wait(BRANCH, 0.4) == 0
    one.moved(BRANCH, ["c"], 0.5)
    assert one.wait(BRANCH, 0.5) == 2 * WINDOW


def test_the_newest_commit_names_the_next_writer_and_all_name_the_writers() -> None:
    one = turns("c")
    one.moved(BRANCH, ["d", "", "a"], 0)
    assert one.wait(BRANCH, 0) == 0
    one.moved(BRANCH, ["c"], 0)
    assert one.wait(BRANCH, 0) == 2 * WINDOW  # d, a


def test_a_server_that_has_not_written_for_a_while_has_no_window() -> None:
    one = turns("a", "b", "a", now=0)
    one.moved(BRANCH, ["a"], 29)
    assert one.is_shared(BRANCH, 29)
    assert one.wait(BRANCH, 29) == WINDOW
    one.moved(BRANCH, ["a"], 31)
    assert not one.is_shared(BRANCH, 31)
    assert one.wait(BRANCH, 31) == 0


def test_a_server_that_writes_alone_leaves_a_window_now_and_then() -> None:
    """For a server that has only lost, and so can't be seen."""
    one = turns("a")
    left = []
    for _ in range(9):
        one.moved(BRANCH, ["a"], 0)
        left.append(one.wait(BRANCH, 0))
    assert left == [0, 0, 0, WINDOW, 0, 0, 0, WINDOW, 0]


def test_a_window_follows_what_pushes_take_and_has_a_limit() -> None:
    one = turns("a", "b", "a")
    one.pushed(1.5)
    assert one.window == 4.5
    one.pushed(1)
    assert 4 < one.window < 4.5
    one.pushed(100)
    assert one.wait(BRANCH, 0) == one.window == 5


def test_a_rate_limit_makes_up_for_what_did_not_wait() -> None:
    limit = PushRate(6)
    assert limit.wait(100) == 0
    limit.pushed(100)
    assert limit.wait(104) == 6
    limit.pushed(104)  # somebody was in a hurry
    assert limit.wait(104) == 16
    for _ in range(10):
        limit.pushed(104)
    assert limit.wait(104) == 60
    assert PushRate(0).wait(0) == 0
