"""What is sent to Sentry, by a process of its own, to a server that listens."""

import gzip
import json
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

def handle(token):
    try:
        raise KeyError("5ecre7")
    except KeyError as error:
        raise ValueError("alice@example.org could not be told of 5ecre7") from error

logging.getLogger("urllib3").error("5ecre7 of another library")
logging.getLogger("jobserver.trial").warning("5ecre7: no error")
try:
    handle("5ecre7")
except ValueError:
    logging.getLogger("jobserver.trial").exception("%s failed", "/login/link/5ecre7/")
import sentry_sdk
sentry_sdk.flush(10)
"""


@pytest.fixture
def heard() -> Iterator[tuple[str, list[bytes]]]:
    """(the DSN of a server, what it was sent: headers and body)."""
    requests: list[bytes] = []

    class Listen(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding") == "gzip"
            requests.append(bytes(self.headers) + b"\n" + (gzip.decompress(body) if packed else body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Listen)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://key@127.0.0.1:{server.server_port}/1", requests
    server.shutdown()
    server.server_close()


def test_an_error_is_reported_without_who_asked_for_what(heard: tuple[str, list[bytes]]) -> None:
    dsn, requests = heard
    subprocess.run([sys.executable, "-c", PROGRAM, dsn], check=True, capture_output=True, timeout=60)
    (said,) = requests
    for personal in (b"alice", b"5ecre7"):
        assert personal not in said
    event = json.loads(said.splitlines()[-1])
    assert [one["type"] for one in event["exception"]["values"]] == ["KeyError", "ValueError"]
    assert event["exception"]["values"][1]["stacktrace"]["frames"][-1]["function"] == "handle"
    assert event["logentry"] == {"message": "%s failed"}
    assert (event["environment"], event["logger"], event["release"]) == ("trial", "jobserver.trial", "jobserver@test")
    assert not {"server_name", "request", "user", "breadcrumbs", "extra", "modules", "contexts"} & event.keys()


@pytest.mark.parametrize("dsn", ["nonsense", "https://sentry.example.org/1", "ftp://key@host/1"])
def test_a_malformed_dsn_is_refused(dsn: str) -> None:
    with pytest.raises(Error) as caught:
        sentry.check(dsn)
    assert (caught.value.code, caught.value.where) == (Code.INVALID, "SENTRY_DSN")


def test_sentry_is_not_imported_without_a_dsn() -> None:
    code = "import sys, jobserver.bootstrap, jobserver.cli.serve; print('sentry_sdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
