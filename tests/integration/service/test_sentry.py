"""What is sent to Sentry, by a process of its own, to a server that listens."""

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from jobserver.errors import Code, Error
from jobserver.service import sentry

PROGRAM = """
import logging, sys
from jobserver.service import sentry
sentry.start(sys.argv[1], "trial", "jobserver@test")
secret = "a token"
try:
    raise ValueError("alice@example.org could not be told")
except ValueError:
    logging.getLogger("jobserver.trial").exception("%s failed", "/workspaces/secret-study/")
import sentry_sdk
sentry_sdk.flush(10)
"""


@pytest.fixture
def heard() -> Iterator[tuple[str, list[bytes]]]:
    bodies: list[bytes] = []

    class Listen(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Listen)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://key@127.0.0.1:{server.server_port}/1", bodies
    server.shutdown()
    server.server_close()


def test_an_error_is_reported_without_who_asked_for_what(heard: tuple[str, list[bytes]]) -> None:
    dsn, bodies = heard
    subprocess.run([sys.executable, "-c", PROGRAM, dsn], check=True, capture_output=True, timeout=60)
    said = b"".join(bodies)
    for wanted in (b"ValueError", b"%s failed", b"jobserver.trial", b"trial"):
        assert wanted in said
    for personal in (b"alice@example.org", b"secret-study", b"a token"):
        assert personal not in said


@pytest.mark.parametrize("dsn", ["nonsense", "https://sentry.example.org/1", "ftp://key@host/1"])
def test_a_dsn_that_is_none(dsn: str) -> None:
    with pytest.raises(Error) as caught:
        sentry.check(dsn)
    assert (caught.value.code, caught.value.where) == (Code.INVALID, "SENTRY_DSN")
