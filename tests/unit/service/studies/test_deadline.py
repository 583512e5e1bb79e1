"""Calls that end, fail, or take longer than anybody waits."""

import threading
import time

import pytest

from jobserver.service.studies.deadline import DeadlineRunner

SOON = 0.05
LONG = 30.0


def test_results_and_errors_come_through() -> None:
    within = DeadlineRunner()
    assert within(time.monotonic() + LONG, lambda: 7) == 7
    assert within(time.monotonic() + LONG, lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        within(time.monotonic() + LONG, lambda: 1 // 0)


def test_a_moment_that_has_passed_starts_nothing() -> None:
    started: list[bool] = []
    with pytest.raises(TimeoutError):
        DeadlineRunner()(time.monotonic(), lambda: started.append(True))
    assert started == []


def test_calls_that_were_given_up_count_until_they_end() -> None:
    within, release, left = DeadlineRunner(at_once=1), threading.Event(), threading.Event()

    def hang() -> None:
        release.wait()
        left.set()

    with pytest.raises(TimeoutError):
        within(time.monotonic() + SOON, hang)
    with pytest.raises(TimeoutError):
        within(time.monotonic() + SOON, lambda: 1)
    release.set()
    assert left.wait(LONG)
    assert within(time.monotonic() + LONG, lambda: 1) == 1
