"""What git is given of a body that breaks off."""

import io
import subprocess
import threading

import pytest

from jobserver.web.exchange import Exchange
from jobserver.web.stream import BrokenBody


class Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if not found:
            raise BrokenBody("the body ended after 5 of 100 bytes")
        return found


@pytest.mark.parametrize("length", [100, 200_000, -1])
def test_git_sees_the_end_of_half_a_body(length: int) -> None:
    """Killed, it left what it had unpacked behind; told of a length, it waited for the rest for ever."""
    ended = threading.Event()
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    exchange = Exchange(process, ended.set)
    exchange.feed(Broken(b"A: b\n\nrest"), length, is_unsized=length < 0)
    assert exchange.head() == (200, {"A": "b"})
    assert b"".join(exchange) == b"rest"
    assert ended.is_set()
    assert process.returncode == 0
