"""A host of git repositories, as others run it: `git http-backend` behind HTTP, with faults on demand.

Each client has a port of its own, so that it can be cut off alone. It has no hooks: nothing of ours judges there.
"""

import base64
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.e2e.harness import git

_BACKEND = ["git", "http-backend"]


class Host:
    """``folder/state.git`` at `url`; one port per client. Faults are of `port`s, or of all."""

    def __init__(self, folder: Path, clients: int = 1, credentials: str = "") -> None:
        self.path = folder / "hosted.git"
        folder.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            git(folder, "init", "-q", "--bare", "-b", "main", str(self.path))
            with (self.path / "config").open("a") as config:
                config.write("[http]\n\treceivepack = true\n[receive]\n\tautogc = false\n")
        self.is_down = False
        self.cut_off: set[int] = set()
        self.delay = 0.0  # seconds before each answer
        self.credentials = credentials
        self.drops: Callable[[], bool] = lambda: False  # whether the answer to a push is lost
        self.dies: Callable[[], bool] = lambda: False  # whether git is killed while it takes a push
        self.pushes = 0
        self.looks = 0
        self._pushing, self._under_way = threading.Condition(), 0
        self._servers = [_Server(self, number) for number in range(clients)]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, client: int = 0) -> str:
        if not self._servers:  # a folder that git opens itself, which takes a third of the time
            return str(self.path)
        at = f"{self.credentials}@" if self.credentials else ""
        return f"http://{at}127.0.0.1:{self._servers[client].server_address[1]}/hosted.git"

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @contextlib.contextmanager
    def taking_a_push(self, dies: bool) -> Iterator[None]:
        """A git that is killed leaves locks. The host removes them before it answers, and hurts no other push by it."""
        with self._pushing:
            self._under_way += 1
        try:
            yield
        finally:
            with self._pushing:
                self._under_way -= 1
                self._pushing.notify_all()
                if dies:
                    self._pushing.wait_for(lambda: not self._under_way)
                    for lock in [*self.path.glob("*.lock"), *(self.path / "refs").rglob("*.lock")]:
                        lock.unlink(missing_ok=True)

    def tip(self, branch: str) -> str:
        return git(self.path, "rev-parse", branch)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: Host, number: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host, self.number = host, number

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed go away; that is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        host = self.server.host
        if host.is_down or self.server.number in host.cut_off:
            self.connection.close()
            return
        time.sleep(host.delay)
        if host.credentials and not self._is_known(host.credentials):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_push = self.command == "POST" and self.path.endswith("/git-receive-pack")
        host.pushes += is_push
        host.looks += self.command == "GET"
        dies = is_push and host.dies()
        with host.taking_a_push(dies) if is_push else contextlib.nullcontext():
            answer = self._run(body, dies)
        if is_push and host.drops():
            self.connection.close()
            return
        head, _, rest = answer.partition(b"\r\n\r\n")
        if not head:
            self.connection.close()
            return
        status = 200
        headers = []
        for line in head.decode("latin-1").split("\r\n"):
            key, _, value = line.partition(": ")
            if key == "Status":
                status = int(value.split()[0])
            else:
                headers.append((key, value))
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)

    def _is_known(self, credentials: str) -> bool:
        return self.headers.get("Authorization") == "Basic " + base64.b64encode(credentials.encode()).decode()

    def _run(self, body: bytes, dies: bool) -> bytes:
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.host.path.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "somebody",
        }
        process = subprocess.Popen(
            _BACKEND, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        if dies:
            threading.Timer(0.01, _kill, [process.pid]).start()
        return process.communicate(body)[0]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
