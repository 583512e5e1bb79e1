"""One step, repeated by a thread of its own: how the server does everything that nobody waits for."""

import logging
import threading
from collections.abc import Callable

from jobserver.errors import Error

_log = logging.getLogger(__name__)
RETRY_SECONDS = 2.0


class Worker:
    """Runs ``step``, again after the seconds that it returns, and as soon as `wake` is called.

    A step that fails is logged and runs again after `RETRY_SECONDS`: a bug or a full disk must not end the thread.
    """

    def __init__(self, name: str, step: Callable[[], float], settle_seconds: float = 0.0) -> None:
        """``settle_seconds``: how long to wait after `wake`, for what is about to follow."""
        self._name, self._step, self._settle_seconds = name, step, settle_seconds
        self._delay = 0.0
        self._woken, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self, delay: float = 0.0) -> None:
        """``delay``: seconds before the first step."""
        self._delay = delay
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def close(self, run_again: bool = False) -> None:
        """Waits for the step that is running. ``run_again``: then runs a last one."""
        self._closing.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()
        if run_again:
            self._attempt()

    def _run(self) -> None:
        seconds = self._delay
        while True:
            if self._woken.wait(seconds):
                self._woken.clear()
                self._closing.wait(self._settle_seconds)
            if self._closing.is_set():
                return
            seconds = self._attempt()

    def _attempt(self) -> float:
        """How many seconds to wait."""
        try:
            return self._step()
        except (Error, OSError) as error:
            _log.warning("%s: %s", self._name, error)
        except Exception:  # noqa: BLE001 - the thread must outlive a bug, which is logged
            _log.exception("%s", self._name)
        return RETRY_SECONDS
