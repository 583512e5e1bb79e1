"""A list of repositories is asked for in the background, seldom, and stands while its place is silent."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from jobserver.errors import Error, unavailable
from jobserver.service.studies.repository_list import AGAIN, EVERY, Repositories, RepositoryList

START = datetime(2026, 11, 23, 20, 15, tzinfo=UTC)


class Place:
    """Answers once it is ``open``, with ``names`` or ``error``."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ("a", "b")
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.asked = 0
        self.now = START

    def __call__(self, until: float) -> tuple[str, ...]:
        self.asked += 1
        self.open.wait(30)
        if self.error is not None:
            raise self.error
        return self.names

    def clock(self) -> datetime:
        return self.now


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def offered(place: Place) -> RepositoryList:
    return RepositoryList(place, place.clock)


def test_a_silent_place_is_asked_once_and_waited_for_by_nobody_who_does_not_want_to(
    place: Place, offered: RepositoryList
) -> None:
    place.open.clear()
    for _ in range(3):
        assert offered.known() == Repositories()
    assert offered.known(0.01) == Repositories()
    place.open.set()
    assert offered.known(30) == Repositories(("a", "b"), START)
    assert place.asked == 1


def test_an_old_list_is_asked_for_again(place: Place, offered: RepositoryList) -> None:
    offered.known(30)
    place.names = ("c",)
    place.now += EVERY - timedelta(seconds=1)
    assert offered.known(30).names == ("a", "b")
    assert place.asked == 1
    place.now += timedelta(seconds=1)
    assert offered.known(30) == Repositories(("c",), place.now)


@pytest.mark.parametrize("error", [unavailable("the place is down"), ZeroDivisionError()])
def test_after_a_failure_the_old_list_stays_and_is_asked_for_sooner(
    place: Place, offered: RepositoryList, error: Exception
) -> None:
    offered.known(30)
    place.error = error
    place.now += EVERY
    found = offered.known(30)
    assert (found.names, found.as_of) == (("a", "b"), START)
    assert (error.message if isinstance(error, Error) else "a bug") in found.problem
    place.error = None
    assert offered.known(30).problem
    assert place.asked == 2
    place.now += AGAIN
    assert offered.known(30) == Repositories(("a", "b"), place.now)


def test_without_a_thread_the_next_page_tries_again(
    place: Place, offered: RepositoryList, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert offered.known(30) == Repositories()
    assert offered.known(30).names == ("a", "b")
