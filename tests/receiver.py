"""An HTTP server that webhooks call: it keeps the calls, and answers, redirects or hangs as the test wants."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from threading import Event, Thread
from typing import Any


@dataclass
class Receiver:
    """``status``, ``body``: what it answers; status 0 hangs until ``end``. ``calls``: the accepted ones; ``attempts``:
    all."""

    port: int = 0
    status: int = 204
    body: bytes = b""
    attempts: int = 0
    calls: list[tuple[dict[str, str], str]] = field(default_factory=list)
    end: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextmanager
def receiving(receiver: Receiver, context: SSLContext | None = None) -> Iterator[Receiver]:
    """Serves at the receiver's port; 0 chooses one."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is logged."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            receiver.attempts += 1
            status = receiver.status
            if status == 0:
                receiver.end.wait(30)
                return
            if status < 300:
                receiver.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(receiver.body)

    server = ThreadingHTTPServer(("127.0.0.1", receiver.port), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.end.set()
        server.shutdown()
        server.server_close()
