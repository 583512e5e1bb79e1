"""What a Sentry server gets of a bug: where it is, and none of what it was about. Each in a process of its own."""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

SECRET = "5ecre7"
BUG = f"""
import logging, sys
from jobserver.service import sentry
sentry.start(sys.argv[1], "testing")

def handle(token):
    try:
        raise KeyError("{SECRET}")
    except KeyError as error:
        raise ValueError("{SECRET} is wrong, alice@example.org") from error

logging.getLogger("other").error("{SECRET} of another library")
logging.getLogger("jobserver.web").warning("{SECRET}: no bug")
try:
    handle("{SECRET}")
except ValueError:
    logging.getLogger("jobserver.web").exception("%s %s", "GET", "/login/link/{SECRET}/")
import sentry_sdk
sentry_sdk.flush(10)
"""


@pytest.fixture
def received() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """(the DSN of a server, what it was sent)."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {key.lower(): value for key, value in self.headers.items()}
            got.append((headers, gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://public@127.0.0.1:{server.server_port}/7", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_bug_without_what_it_was_about(received: tuple[str, list[tuple[dict[str, str], bytes]]]) -> None:
    dsn, got = received
    done = subprocess.run([sys.executable, "-c", BUG, dsn], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ((headers, body),) = got
    assert SECRET not in body.decode() + str(headers)
    assert "alice" not in body.decode()
    event = json.loads(body.splitlines()[2])
    assert [one["type"] for one in event["exception"]["values"]] == ["KeyError", "ValueError"]
    assert event["exception"]["values"][1]["stacktrace"]["frames"][-1]["function"] == "handle"
    assert event["logentry"] == {"message": "%s %s"}
    assert (event["environment"], event["logger"]) == ("testing", "jobserver.web")
    assert not {"server_name", "request", "user", "breadcrumbs", "extra", "modules", "contexts"} & event.keys()


def test_it_is_not_even_imported_without_a_dsn() -> None:
    code = (
        "import sys; from jobserver.bootstrap import sentry; sentry.start('', ''); print('sentry_sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_dsn_that_only_the_library_refuses() -> None:
    code = "from jobserver.service import sentry; sentry.start('http://x@/1', '')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "SENTRY_DSN: expected a DSN" in done.stderr
