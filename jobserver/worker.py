"""Threads for what nobody waits for: a `Worker` repeats one step, `start_task` runs a task once, and `on_stop_signal`
when somebody tells the process to stop.

Both log what goes wrong, so that no work ends unseen.
"""

import logging
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobserver.errors import Error

_log = logging.getLogger(__name__)
RETRY_SECONDS = 2.0
STOP_SIGNALS = signal.SIGINT, signal.SIGTERM


class Worker:
    """Runs ``step``, again after the seconds that it returns (None: not by itself), and as soon as `wake` is called.

    A step that fails is logged and runs again after `RETRY_SECONDS`: a bug or a full disk must not end the thread.
    """

    def __init__(self, name: str, step: Callable[[], float | None], settle_seconds: float = 0.0) -> None:
        """``settle_seconds``: how long to wait after `wake`, for what is about to follow."""
        self._name, self._step, self._settle_seconds = name, step, settle_seconds
        self._delay: float | None = 0.0
        self._woken, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self, delay: float | None = 0.0) -> None:
        """``delay``: seconds before the first step; None: the first `wake`. A worker that has started goes on."""
        if self._thread.ident is None:
            self._delay = delay
            self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def close(self, run_again: bool = False, patience: float | None = None) -> bool:
        """Waits for the step that is running, up to ``patience`` seconds. ``run_again``: then runs a last one.

        Returns whether the thread has ended."""
        self._closing.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(patience)
        if run_again:
            self._attempt()
        return not self._thread.is_alive()

    def _run(self) -> None:
        seconds = self._delay
        while True:
            if self._woken.wait(seconds):
                self._woken.clear()
                self._closing.wait(self._settle_seconds)
            if self._closing.is_set():
                return
            seconds = self._attempt()

    def _attempt(self) -> float | None:
        """How many seconds to wait."""
        with _logged(self._name):
            return self._step()
        return RETRY_SECONDS


def start_task(name: str, task: Callable[[], object]) -> threading.Thread:
    """Runs ``task`` once, in a thread of its own. Raises RuntimeError if the machine has no more threads."""

    def run() -> None:
        with _logged(name):
            task()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def on_stop_signal(task: Callable[[], object]) -> None:
    """Runs ``task`` at the first of the `STOP_SIGNALS`, and ignores the others. Call it in the main thread.

    A handler interrupts the main thread, or another handler, between any two steps: it would wait for ever for a lock
    that they hold, such as that of an Event. So it only writes to a queue that allows that, and a thread does the task.
    """
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, _: signals.put(number))
    start_task("signals", lambda: (signals.get(), task()))


@contextmanager
def _logged(name: str) -> Iterator[None]:
    """Ends its block at an error, which it logs."""
    try:
        yield
    except (Error, OSError) as error:
        _log.warning("%s: %s", name, error)
    except Exception:  # noqa: BLE001 - the thread must outlive a bug, which is logged
        _log.exception("%s", name)
