"""granian's embedded server: serves a `Gateway` from this process, on a socket that this process has bound.

granian takes no bound socket (its issue 786), so this overrides one of its private methods; docs/decisions/0016.
"""

import asyncio
import socket
from typing import Any

from granian.constants import HTTPModes, Interfaces, TaskImpl
from granian.log import LogLevels
from granian.net import SocketHolder
from granian.server.embed import Server

from jobserver.web.server.gateway import Gateway

BACKLOG = 2048
MAX_CONNECTIONS = 32_768  # most of them idle, or open pages


class _OnOurSocket(Server):
    """``bound`` is a socket that listens already.

    granian's own would have SO_REUSEPORT, and so share the port with another server instead of failing.
    """

    bound: socket.socket

    def _init_shared_socket(self) -> None:
        holder: Any = SocketHolder(self.bound.detach(), False, BACKLOG)  # type: ignore[call-arg]
        self._ssp, self._shd = None, holder


class HttpServer:
    def __init__(self, gateway: Gateway, bound: socket.socket) -> None:
        """``bound`` listens already; the server takes it over."""
        self._loop = asyncio.new_event_loop()
        self._server = _OnOurSocket(
            gateway,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,  # what proxies speak to us; HTTP/2 too would cost each open page another 10 KB
            task_impl=TaskImpl.asyncio,
            websockets=False,
            backpressure=MAX_CONNECTIONS,
            backlog=BACKLOG,
            log_level=LogLevels.error,
        )
        self._server.bound = bound

    def run(self) -> None:
        """Serves until `stop`, and answers the calls that are then in progress."""
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._server.serve())
        finally:
            self._loop.close()

    def stop(self) -> None:
        """From any thread, also before `run`."""
        self._loop.call_soon_threadsafe(self._server.stop)
