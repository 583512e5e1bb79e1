"""A port belongs to one server: whoever else wants it is told, and nobody shares it by chance."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.cli import serve
from jobserver.errors import Error
from tests.e2e.harness import Site

IN_USE = "is in use: stop the program that listens there, or choose another port"


@contextlib.contextmanager
def taken(host: str, option: int = socket.SO_REUSEADDR) -> Iterator[tuple[socket.socket, int]]:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as other:
        other.setsockopt(socket.SOL_SOCKET, option, 1)
        other.bind((host, 0))
        other.listen()
        yield other, other.getsockname()[1]


@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
@pytest.mark.parametrize(
    ("theirs", "ours", "shown"), [("127.0.0.1", "127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
                                  ("::1", "::1", "[::1]"), ("::1", "::", "[::]")]
)  # fmt: skip
def test_a_port_that_somebody_listens_on(
    monkeypatch: pytest.MonkeyPatch, theirs: str, ours: str, shown: str, option: int
) -> None:
    monkeypatch.setattr(serve, "_PORT_SECONDS", 0.1)
    with taken(theirs, option) as (_, port), pytest.raises(Error) as refused:
        serve._bind(ours, port)
    assert (
        str(refused.value)
        == f"PORT: {shown}:{port} is in use: stop the program that listens there, or choose another port"
    )


def test_a_port_that_is_about_to_be_free_is_waited_for() -> None:
    with taken("127.0.0.1") as (other, port):
        threading.Timer(0.3, other.close).start()
        serve._bind("127.0.0.1", port).close()


def test_connections_that_were_closed_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_PORT_SECONDS", 0)
    with taken("127.0.0.1") as (other, port), socket.create_connection(("127.0.0.1", port)):
        accepted, _ = other.accept()
        accepted.close()  # first, so the port is what waits
    serve._bind("127.0.0.1", port).close()


def test_of_two_servers_started_at_once_one_can_listen() -> None:
    with taken("127.0.0.1") as (_, port):
        pass
    with serve._bind("127.0.0.1", port) as first, serve._bind("127.0.0.1", port) as second:
        second.listen()
        with pytest.raises(OSError, match="in use"):
            first.listen()


def test_an_address_of_another_machine() -> None:
    with pytest.raises(Error, match=r"HOST: can't listen at 203\.0\.113\.9:8000: Cannot assign"):
        serve._bind("203.0.113.9", 8000)


def test_a_second_server_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    first, second = Site(tmp_path / "first"), Site(tmp_path / "second")
    first.start()
    done = second.command("serve", "--port", str(first.port))
    assert done.returncode == 1
    assert done.stderr == f"jobserver: PORT: 127.0.0.1:{first.port} {IN_USE}\n"
    for host in ("localhost", "nonsense", "999.1.1.1"):
        assert "HOST: expected an IP address" in second.command("serve", "--host", host).stderr
    done = second.command("serve", "--port", "1", PRIVATE_STORE=str(tmp_path / "first" / "state.git.key"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "PRIVATE_STORE: expected an SQLite database" in done.stderr
    first.wait()
    first.stop()
