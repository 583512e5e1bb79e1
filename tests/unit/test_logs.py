"""The log: one line a record, with the request that caused it, and nothing that logs somebody in."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from jobserver import logs

LOG = logging.getLogger("jobserver.test")


@pytest.fixture
def restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("jobserver")
    known = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], level, our_level = known
    root.setLevel(level)
    ours.setLevel(our_level)


@pytest.fixture
def stream(restored: None) -> io.StringIO:
    return io.StringIO()


def test_text_has_the_time_the_level_the_logger_and_the_request(stream: io.StringIO) -> None:
    logs.configure(logs.Format.TEXT, logs.Level.INFO, stream)
    LOG.debug("too much")
    LOG.info("started")
    with logs.handling(logs.Request("POST", "/api/v2/jobs/")) as request:
        logs.know_actor("backend/tpp")
        LOG.warning("slow")
        request.status = 200
        request.end()
    first, second, third = stream.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO jobserver.test - started", first)
    assert second.endswith(f"WARNING jobserver.test {request.id} slow")
    assert re.search(rf"INFO jobserver.request {request.id} backend/tpp POST /api/v2/jobs/ 200 0\.\d{{4}}$", third)


def test_json_has_the_same_as_fields(stream: io.StringIO) -> None:
    logs.configure(logs.Format.JSON, logs.Level.INFO, stream)
    with logs.handling(logs.Request("GET", "/é\n")) as request:
        request.status = 404
        request.end()
        try:
            raise ValueError("a\nb")
        except ValueError:
            LOG.exception("failed")
    LOG.error("outside")
    line, failure, outside = map(json.loads, stream.getvalue().splitlines())
    assert line["level"] == "INFO"
    assert {"request": request.id, "actor": "", "method": "GET", "path": "/é\n", "status": 404}.items() <= line.items()
    assert 0 <= line["seconds"] < 60
    assert failure["message"] == "failed"
    assert failure["request"] == request.id
    assert failure["traceback"].endswith("ValueError: a\nb")
    assert outside.keys() == {"time", "level", "logger", "message"}


def test_no_text_of_a_client_looks_like_another_line(stream: io.StringIO) -> None:
    logs.configure(logs.Format.TEXT, logs.Level.INFO, stream)
    with logs.handling(logs.Request("GET", "/a\n2026-11-27 ERROR b\x1b[2J")) as request:
        request.end()
    LOG.warning("%s", "c\r\nd")
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/login/link/abc.def/", "/login/link/***/"),
        ("/jobs/login/link/abc", "/jobs/login/link/***"),
        ("/invitations/abc/", "/invitations/***/"),
        ("/invitations/", "/invitations/"),
        ("/login/github/", "/login/github/"),
    ],
)
def test_links_that_log_somebody_in_are_masked(path: str, shown: str) -> None:
    assert logs.Request("GET", path).path == shown


def test_a_request_gives_its_id_to_one_commit() -> None:
    assert logs.take_request_id() is None
    with logs.handling(logs.Request("POST", "/")) as request:
        assert logs.take_request_id() == request.id
        assert logs.take_request_id() is None


def test_libraries_log_no_urls(stream: io.StringIO) -> None:
    logs.configure(logs.Format.TEXT, logs.Level.DEBUG, stream)
    logging.getLogger("httpx").info("GET https://example.org/?code=secret")
    logging.getLogger("urllib3").debug("GET /?code=secret")
    LOG.debug("ours")
    assert len(stream.getvalue().splitlines()) == 1
