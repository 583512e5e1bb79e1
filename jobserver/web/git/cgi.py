"""One run of `git http-backend`: the request goes in, and the answer comes out while git writes it (CGI, RFC 3875)."""

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import IO

from jobserver.worker import start_task

_CHUNK = 64 * 1024


class Exchange:
    """An iterable of the answer's parts. Its owner has to call `close`."""

    def __init__(self, process: "subprocess.Popen[bytes]", ended: Callable[[], None]) -> None:
        """Calls ``ended`` once, at the end."""
        self._process, self._on_close = process, [ended]
        self._closed = False
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin: IO[bytes] = process.stdin
        self._stdout: IO[bytes] = process.stdout
        self._feeder: threading.Thread | None = None

    def on_close(self, ended: Callable[[], None]) -> None:
        """Calls ``ended`` too, once, at the end."""
        self._on_close.append(ended)

    def feed(self, body: bytes) -> None:
        """Sends the request's body, in a thread if it does not fit into the pipe."""
        if len(body) <= _CHUNK:
            self._pump(body)  # fits into the pipe
        else:
            self._feeder = start_task("git", lambda: self._pump(body))

    def _pump(self, body: bytes) -> None:
        with contextlib.suppress(OSError):  # git may stop reading early
            self._stdin.write(body)
        with contextlib.suppress(OSError):
            self._stdin.close()

    def head(self) -> tuple[int, dict[str, str]]:
        """(status, headers) of the answer."""
        status, headers = 200, {}
        while (line := self._stdout.readline().strip()) != b"":
            key, _, value = line.decode("latin-1").partition(":")
            if key.lower() == "status":
                status = int(value.split()[0])
            else:
                headers[key] = value.strip()
        if not headers and self._process.poll() not in (None, 0):
            status = 500
        return status, headers

    def __iter__(self) -> Iterator[bytes]:
        try:
            while part := self._stdout.read1(_CHUNK):  # type: ignore[attr-defined]
                yield part
        finally:
            self.close()

    def close(self) -> None:
        """Ends the process. The server calls this also if the client disconnected."""
        if self._closed:
            return
        self._closed = True
        self._stdout.close()
        if self._feeder is not None:
            self._feeder.join(1)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its child goes on: a push that is being checked finishes, or cleans up
            self._process.wait()
        for ended in self._on_close:
            ended()
