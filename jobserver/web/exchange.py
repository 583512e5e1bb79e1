"""One run of `git http-backend`: a request flows in from a thread, the answer out as it comes (CGI, RFC 3875)."""

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

_CHUNK = 64 * 1024


class Exchange:
    """An iterable of the answer's parts; whoever has it calls `close` in the end."""

    def __init__(self, process: "subprocess.Popen[bytes]", ended: Callable[[], None]) -> None:
        """``ended`` is called once, when it is over."""
        self._process, self._ended = process, ended
        self._closed = False
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin: IO[bytes] = process.stdin
        self._stdout: IO[bytes] = process.stdout
        self._feeder: threading.Thread | None = None

    def feed(self, stream: Any, length: int, is_unsized: bool) -> None:
        """``length``: of the request's body; -1 is unknown, and there is a body then if ``is_unsized``."""
        if 0 <= length <= _CHUNK:
            self._pump(stream, length)  # fits into the pipe
        elif length > 0 or is_unsized:
            self._feeder = threading.Thread(target=self._pump, args=(stream, length), name="git", daemon=True)
            self._feeder.start()
        else:
            self._stdin.close()

    def _pump(self, stream: Any, length: int) -> None:
        left = length if length >= 0 else None
        try:
            while left is None or left > 0:
                part = stream.read(_CHUNK if left is None else min(_CHUNK, left))
                if not part:
                    break
                self._stdin.write(part)
                if left is not None:
                    left -= len(part)
        except OSError:
            pass  # git has heard enough, or will see that half is missing: a pack has its checksum in the end
        finally:
            with contextlib.suppress(OSError):
                self._stdin.close()

    def head(self) -> tuple[int, dict[str, str]]:
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
        """Called by the server at the end, also where the client has gone."""
        if self._closed:
            return
        self._closed = True
        self._stdout.close()
        if self._feeder is not None:
            self._feeder.join(1)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its child goes on: a push that is being judged ends well, or cleans up
            self._process.wait()
        self._ended()
