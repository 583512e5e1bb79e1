"""granian's embedded server on our socket. A granian release that moves its one private name we use fails here."""

import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

import granian
import httpx
from granian.net import SocketHolder
from granian.server.embed import Server

from jobserver.web.server.gateway import Gateway
from jobserver.web.server.http_server import HttpServer


def hello(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_granian_takes_the_socket_that_we_bound() -> None:
    moved = f"granian {granian.__version__} changed how it makes its socket: see docs/decisions/0016"
    assert callable(getattr(Server, "_init_shared_socket", None)), moved
    server = Server(None)
    assert hasattr(server, "_ssp"), moved
    assert hasattr(server, "_shd"), moved
    with socket.create_server(("127.0.0.1", 0)) as bound:
        number = bound.detach()
        holder: Any = SocketHolder(number, False, 128)  # type: ignore[call-arg]
        assert holder.get_fd() == number, moved


def test_a_server_answers_on_its_socket_until_it_is_stopped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        server = HttpServer(Gateway(hello, 1), bound)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert httpx.get(url).text == "hello"
        finally:
            server.stop()
            thread.join(30)
        assert not thread.is_alive()


def test_a_server_that_is_stopped_before_it_runs_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = HttpServer(Gateway(hello, 1), bound)
        server.stop()
        server.run()
