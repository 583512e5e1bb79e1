"""What git is given of a request's body."""

import subprocess
import threading

import pytest

from jobserver.web.git.cgi import Exchange


@pytest.mark.parametrize("length", [4, 200_000])
def test_git_sees_the_end_of_the_body(length: int) -> None:
    ended = threading.Event()
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    exchange = Exchange(process, ended.set)
    exchange.feed(b"A: b\n\n" + b"x" * length)
    assert exchange.head() == (200, {"A": "b"})
    assert b"".join(exchange) == b"x" * length
    assert ended.is_set()
    assert process.returncode == 0


def test_git_may_have_heard_enough() -> None:
    process = subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.wait()
    exchange = Exchange(process, lambda: None)
    exchange.feed(b"x")
    assert exchange.head() == (200, {})
    exchange.close()
