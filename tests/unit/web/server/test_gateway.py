"""The threads behind the event loop: as many as a rush needs, and not for ever. And what is over before an answer."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from jobserver.web.server.gateway import _KEPT, Gateway, _Threads
from jobserver.web.server.stream import LATER, Later


def working() -> int:
    return sum(thread.name == "request" for thread in threading.enumerate())


def rush(threads: _Threads, count: int) -> None:
    """So many tasks, all of them begun before the first one ends."""
    begun, go = threading.Semaphore(0), threading.Event()
    done = threading.Semaphore(0)

    def task() -> None:
        begun.release()
        go.wait(30)
        done.release()

    for _ in range(count):
        threads.run(task)
    for _ in range(count):
        assert begun.acquire(timeout=30)
    go.set()
    for _ in range(count):
        assert done.acquire(timeout=30)


def test_threads_of_a_rush_end_and_the_next_rush_has_its_own() -> None:
    """Found: 500 pages that were opened at once left 500 threads, a third of what each page cost."""
    threads = _Threads(100, idle_seconds=0.01)
    for _ in range(3):
        rush(threads, 60)
        ends = time.monotonic() + 30
        while working() > _KEPT and time.monotonic() < ends:
            time.sleep(0.01)
        assert working() == _KEPT


def test_no_more_than_were_allowed_and_every_task_gets_its_turn() -> None:
    threads = _Threads(3, idle_seconds=0.001)
    before, done = working(), threading.Semaphore(0)
    for _ in range(500):
        threads.run(lambda: done.release())
    for _ in range(500):
        assert done.acquire(timeout=30)
    assert working() - before <= 3


def test_a_request_that_outlives_the_server_ends_quietly(monkeypatch: Any) -> None:
    """Found: a write that took longer than the server's end left a traceback in the log."""
    loop = asyncio.new_event_loop()
    done: asyncio.Future[Any] = loop.create_future()
    loop.close()
    monkeypatch.setattr(Gateway, "_answer", lambda *_: None)
    gateway = Gateway(lambda environ, start: [], 1)
    gateway._handle(loop, {"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, None, done)  # type: ignore[arg-type]
    assert not done.done()


def test_a_large_body_no_longer_counts_when_its_client_has_the_answer() -> None:
    """Found: a client of MAX_BODIES=1 that sent one body after the other was refused at random."""
    seen = []

    class Protocol:
        def response_bytes(self, *_: object) -> None:
            seen.append("answered")

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"x" * 100_000

    def handler(environ: dict[str, Any], start: Callable[..., None]) -> list[bytes]:
        if LATER in environ:
            raise Later(100_000, lambda: seen.append("ended"))
        start("200 OK", [])
        return [b"%d" % len(environ["wsgi.input"].read())]

    environ = {"PATH_INFO": "/", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "100000"}

    async def answered() -> None:
        await Gateway(handler, 1)._with_late_body(asyncio.get_running_loop(), environ, Protocol(), 100_000)

    asyncio.run(answered())
    assert seen == ["ended", "answered"]
