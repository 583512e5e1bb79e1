"""Runs calls in threads, so that a caller can stop waiting at a deadline.

A client's own time-out is not enough: it begins again with each byte and each redirect. May import the standard library
only.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Call(Generic[T]):
    """One call in progress. Its caller may have stopped waiting when it ends."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.ended = threading.Event()
        self.error: BaseException | None = None
        self.result: list[T] = []

    def run(self) -> None:
        try:
            self.result.append(self.work())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self.error = error
        finally:
            self.ended.set()


class DeadlineRunner:
    """Runs each call in a thread of its own. ``at_once`` limits the calls in progress, also those without a caller."""

    def __init__(self, at_once: int = 32) -> None:
        self._free = threading.BoundedSemaphore(at_once)

    def __call__(self, until: float, work: Callable[[], T]) -> T:
        """Returns or raises what ``work`` does. Raises TimeoutError when `time.monotonic` passes ``until``."""
        left = until - time.monotonic()
        if left <= 0 or not self._free.acquire(timeout=left):
            raise TimeoutError
        call = _Call(work)

        def run() -> None:
            try:
                call.run()
            finally:
                self._free.release()

        try:
            # Not a task of `jobserver.worker`: its errors are the caller's.
            threading.Thread(target=run, name="studies", daemon=True).start()
        except RuntimeError:  # no more threads
            self._free.release()
            raise TimeoutError from None
        if not call.ended.wait(max(0.0, until - time.monotonic())):
            raise TimeoutError
        if call.error is not None:
            raise call.error
        return call.result[0]
