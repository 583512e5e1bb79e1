"""Background work: what makes a step run, and that no error ends it or passes unseen."""

import logging
import signal
import threading

import pytest

from jobserver import worker
from jobserver.errors import unavailable
from jobserver.worker import STOP_SIGNALS, Worker, on_stop_signal, start_task

PATIENCE = 30


class Steps:
    """A step that counts, and waits to be woken again; the first calls raise ``errors``."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.count, self.ran = list(errors), 0, threading.Semaphore(0)

    def __call__(self) -> None:
        self.count += 1
        self.ran.release()
        if self.errors:
            raise self.errors.pop(0)

    def wait(self) -> None:
        assert self.ran.acquire(timeout=PATIENCE)


def test_a_step_that_returns_none_runs_again_when_it_is_woken() -> None:
    steps = Steps()
    repeated = Worker("test", steps)
    repeated.start(delay=None)
    repeated.start(delay=0)  # goes on as it is
    repeated.wake()
    steps.wait()
    repeated.wake()
    steps.wait()
    repeated.close()
    assert steps.count == 2


def test_a_step_runs_again_after_the_seconds_that_it_returns() -> None:
    steps = Steps()

    def step() -> float:
        steps()
        return 0.0

    repeated = Worker("test", step)
    repeated.start()
    steps.wait()
    steps.wait()
    repeated.close()


@pytest.mark.parametrize("error", [unavailable("no network"), OSError("no disk"), KeyError("a bug")])
def test_a_step_that_fails_is_logged_and_runs_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.0)
    steps = Steps(error)
    repeated = Worker("test", steps)
    repeated.start()
    steps.wait()
    steps.wait()
    repeated.close()
    (record,) = caplog.records
    assert record.levelno == (logging.ERROR if isinstance(error, KeyError) else logging.WARNING)
    assert record.getMessage().startswith("test")


def test_a_worker_closes_without_having_started_and_can_run_a_last_step() -> None:
    steps = Steps()
    Worker("test", steps).close(run_again=True)
    assert steps.count == 1


def test_closing_waits_no_longer_than_its_patience() -> None:
    steps, free = Steps(), threading.Event()

    def step() -> None:
        steps()
        free.wait(PATIENCE)

    repeated = Worker("test", step)
    repeated.start()
    steps.wait()
    repeated.close(patience=0.0)
    free.set()
    repeated.close()
    assert steps.count == 1


@pytest.mark.parametrize("task", [Steps(), Steps(KeyError("a bug"))], ids=["good", "bug"])
def test_a_task_runs_once_and_an_error_is_logged(task: Steps, caplog: pytest.LogCaptureFixture) -> None:
    errors = len(task.errors)
    start_task("test", task).join(PATIENCE)
    assert (task.count, len(caplog.records)) == (1, errors)


def test_the_task_of_a_stop_signal_runs_once_and_may_need_what_the_interrupted_code_holds() -> None:
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    held, ended, taken = threading.Lock(), threading.Event(), []

    def task() -> None:
        taken.append(held.acquire(timeout=PATIENCE))
        ended.set()

    try:
        on_stop_signal(task)
        with held:
            for number in (*STOP_SIGNALS, *STOP_SIGNALS):
                signal.raise_signal(number)
        assert ended.wait(PATIENCE)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert taken == [True]
