"""A body that comes in on the event loop: whole, cut short, too long, and too slow."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import pytest

from jobserver.web.server import body

MOST = 1_000_000
T = TypeVar("T")


class Sent:
    """What granian hands out of a client that sends ``parts``, each after ``rest`` seconds, and goes."""

    def __init__(self, parts: Sequence[bytes], rest: float = 0) -> None:
        self.parts, self.rest, self.taken = parts, rest, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            await asyncio.sleep(self.rest)
            self.taken += 1
            yield part


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own: the browser tests leave a loop running in theirs, which may be this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def read(sent: Sent, size: int | None, most: int = MOST) -> bytes | None:
    return run(body.Incoming(cast(Any, sent)).read(size, most))


@pytest.mark.parametrize("parts", [[], [b"abc"], [b"ab", b"c" * 5000, b"", b"d"]])
@pytest.mark.parametrize("is_sized", [True, False])
def test_a_body_that_comes_in_parts_is_read_whole(parts: list[bytes], is_sized: bool) -> None:
    whole = b"".join(parts)
    assert read(Sent(parts), len(whole) if is_sized else None) == whole


def test_a_body_that_ends_early_is_not_read() -> None:
    """Found: a form over 64 KiB whose sender went in the middle was taken as what had come of it."""
    assert read(Sent([b"abc"]), 4) is None


def test_no_more_is_kept_than_shows_that_it_is_too_long() -> None:
    """Found: 600 MiB of a form without a size went into the temporary folder."""
    sent = Sent([b"x" * 1000] * 1000)
    assert read(sent, None, 2500) == b"x" * 3000
    assert sent.taken == 3


def test_nothing_comes_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found: a body without a size counted as ended when its sender stopped."""
    monkeypatch.setattr(body, "BODY_SECONDS", 0.05)
    with pytest.raises(TimeoutError):
        read(Sent([b"abc"], rest=60), None)


def test_a_byte_now_and_then_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found: who sent one byte in half a minute took as long as they liked."""
    monkeypatch.setattr(body, "BODY_SECONDS", 0.3)
    with pytest.raises(TimeoutError):
        read(Sent([b"x"] * 10_000, rest=0.01), 10_000)


def test_a_sender_above_the_least_rate_may_take_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 1.0)
    parts = [b"x" * 2000] * 10
    assert read(Sent(parts, rest=0.15), None) == b"".join(parts)


@pytest.mark.parametrize("rest", [0, 0.05])
def test_a_refused_body_is_read_for_a_while(monkeypatch: pytest.MonkeyPatch, rest: float) -> None:
    monkeypatch.setattr(body, "_DISCARD_SECONDS", 0.5)
    sent = Sent([b"x"] * 100, rest=rest)
    run(body.Incoming(cast(Any, sent)).discard())
    assert sent.taken == 100 if not rest else 0 < sent.taken < 100
