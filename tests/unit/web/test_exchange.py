"""What git is given of a body that breaks off."""

import subprocess
import threading

import pytest

from jobserver.errors import Error
from jobserver.web.exchange import Exchange
from jobserver.web.stream import BrokenBody


class Broken:
    def read(self, size: int) -> bytes:
        raise BrokenBody(f"the body ended after 5 of {size} bytes")


@pytest.mark.parametrize("length", [100, 200_000, -1])
def test_git_never_takes_half_a_push_for_a_whole_one(length: int) -> None:
    """`cat` would end well, and say what it was given."""
    ended = threading.Event()
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    exchange = Exchange(process, ended.set)
    exchange.feed(Broken(), length, is_unsized=length < 0)
    with pytest.raises(Error, match="the body ended after 5 of"):
        exchange.head()
    exchange.close()
    assert ended.is_set()
    assert process.returncode == -9
