"""A body that comes in on the event loop, as a thread reads it: whole, cut short, and too slow."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, cast

import pytest

from jobserver.web import incoming
from jobserver.web.incoming import Incoming
from jobserver.web.stream import BrokenBody


class Sent:
    """What granian hands out of a client that sends ``parts``, each after ``rest`` seconds, and goes."""

    def __init__(self, parts: Sequence[bytes], rest: float = 0) -> None:
        self.parts, self.rest = parts, rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            await asyncio.sleep(self.rest)
            yield part


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    asyncio.run_coroutine_threadsafe(made.shutdown_asyncgens(), made).result()  # another loop may run in this thread
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


def body(loop: asyncio.AbstractEventLoop, sent: Sent, size: int | None) -> io.BufferedReader:
    return io.BufferedReader(Incoming(loop, cast(Any, sent), size), 1024)


@pytest.mark.parametrize("parts", [[], [b"abc"], [b"ab", b"c" * 5000, b"", b"d"]])
@pytest.mark.parametrize("is_sized", [True, False])
def test_a_whole_body(loop: asyncio.AbstractEventLoop, parts: list[bytes], is_sized: bool) -> None:
    whole = b"".join(parts)
    read = body(loop, Sent(parts), len(whole) if is_sized else None)
    assert read.read(2) == whole[:2]
    assert read.read() == whole[2:]
    assert read.read() == b""


def test_half_a_body_is_none(loop: asyncio.AbstractEventLoop) -> None:
    """Found: a form over 64 KiB whose sender went in the middle was taken as what had come of it."""
    with pytest.raises(BrokenBody, match="ended after 3 of 4 bytes"):
        body(loop, Sent([b"abc"]), 4).read()


def test_nothing_comes_any_more(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found: a body without a size counted as ended when its sender stopped."""
    monkeypatch.setattr(incoming, "BODY_SECONDS", 0.05)
    with pytest.raises(BrokenBody, match="too slowly: 0 bytes"):
        body(loop, Sent([b"abc"], rest=60), None).read()


def test_a_byte_now_and_then_is_too_slow(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found: who sent one byte in half a minute held a thread for as long as they liked."""
    monkeypatch.setattr(incoming, "BODY_SECONDS", 0.3)
    with pytest.raises(BrokenBody, match=r"too slowly: \d+ bytes"):
        body(loop, Sent([b"x"] * 10_000, rest=0.01), 10_000).read()


def test_who_sends_enough_may_take_their_time(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "BODY_SECONDS", 1.0)
    parts = [b"x" * 2000] * 10
    assert body(loop, Sent(parts, rest=0.15), None).read() == b"".join(parts)
