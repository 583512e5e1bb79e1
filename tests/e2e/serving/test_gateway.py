"""What the event loop does between HTTP and the WSGI application: heads, bodies, pages that listen."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlencode

import pytest

from tests.e2e.harness import Client, Site, connect, job, serving, until
from tests.e2e.pages.browser import Browser
from tests.samples import only_whole


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.env["MAX_OPEN_PAGES"] = "0"  # one person has a thousand
    with serving(made):
        yield made


def answer(made: socket.socket) -> tuple[int, bytes]:
    """(status, body) of one answer that has a length."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += made.recv(65536)
    head, _, body = said.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head.lower())
    while found and len(body) < int(found[1]):
        body += made.recv(65536)
    return int(head[9:12]), body


def head(site: Site, method: str, path: str, *lines: bytes, who: str = "tpp") -> bytes:
    first = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {site.tokens[who]}\r\n".encode()
    return first + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def chunked(data: bytes, size: int) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def report(site: Site, identifier: str, message: str = "") -> bytes:
    return json.dumps([job(identifier, "g" + identifier[:8], status_message=message)]).encode()


@pytest.mark.parametrize("size", [7, 1000, 300_000])
def test_a_body_may_come_in_chunks(site: Site, stack: ExitStack, size: int) -> None:
    identifier = site.ask()
    body = report(site, identifier, "x" * size)
    made = connect(stack, site, head(site, "POST", "/api/v2/jobs/", b"Transfer-Encoding: chunked"))
    made.sendall(chunked(body, max(size // 3, 5)))
    status, told = answer(made)
    assert (status, json.loads(told)["status"]) == (200, "success")
    with site.client("alice") as alice:
        assert len(alice.get(f"/api/v2/job-requests/{identifier}/").json()["jobs"]) == 1


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_body_that_arrives_slowly_is_accepted(site: Site, stack: ExitStack, size: int) -> None:
    body = report(site, site.ask(), "y" * size)
    made = connect(stack, site, head(site, "POST", "/api/v2/jobs/", b"Content-Length: %d" % len(body)))
    for at in (0, 1, 2):
        part = len(body) // 3
        made.sendall(body[at * part : (at + 1) * part if at < 2 else None])
    status, told = answer(made)
    assert (status, json.loads(told)["status"]) == (200, "success")


def test_a_chunked_body_has_the_same_limit(site: Site, stack: ExitStack) -> None:
    made = connect(stack, site, head(site, "POST", "/api/v2/jobs/", b"Transfer-Encoding: chunked"))
    part = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    try:
        for _ in range(12):
            made.sendall(part)
    except OSError:
        pass  # it was refused before all of it was sent
    assert answer(made)[0] == 413


@pytest.mark.parametrize("size", [10, 500_000])
def test_a_client_that_leaves_in_the_middle_of_a_body_changes_nothing(
    site: Site, tpp: Client, stack: ExitStack, size: int
) -> None:
    identifier = site.ask()
    body = report(site, identifier, "z" * size)
    made = connect(stack, site, head(site, "POST", "/api/v2/jobs/", b"Content-Length: %d" % len(body)))
    made.sendall(body[: len(body) // 2])
    made.close()
    assert tpp.get(f"/api/v2/job-requests/{identifier}/").json()["jobs"] == []


@pytest.mark.parametrize("sent", [b"", b"0", b"5\r\n[{", b"zz\r\n"])
def test_a_cancel_whose_sender_went_cancels_nothing(site: Site, stack: ExitStack, sent: bytes) -> None:
    """Found: of a body in chunks nobody is told that it broke off, and no body at all cancels everything."""
    identifier = site.ask()
    path = f"/api/v2/job-requests/{identifier}/cancel/"
    made = connect(stack, site, head(site, "POST", path, b"Transfer-Encoding: chunked", who="alice") + sent)
    made.shutdown(socket.SHUT_WR)
    until(lambda: not made.recv(65536))
    with site.client("alice") as alice:
        assert alice.get(f"/api/v2/job-requests/{identifier}/").json()["cancelled_actions"] == []
        assert alice.post(path).json()["cancelled_actions"] == ["generate", "analyse", "report"]


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_form_that_ends_early_changes_nothing(site: Site, stack: ExitStack, is_whole: bool) -> None:
    """Found: a form over 64 KiB whose sender went in the middle was taken as what had come of it."""
    browser = stack.enter_context(Browser(site, "alice"))
    label = f"half {is_whole}"
    form = urlencode({"form": Browser.token(browser.get("/settings/")), "what": "new-token", "label": label}).encode()
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    length = len(form) + 100_000
    lines = f"Cookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}"
    made = connect(stack, site, f"POST /settings/ HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n".encode() + form)
    made.sendall(b"&more=" + b"x" * (99_994 if is_whole else 50_000))
    if is_whole:
        assert answer(made)[0] == 303
    else:
        until(lambda: bodies(site) == 1)
    made.close()
    until(lambda: bodies(site) == 0)
    assert (label in browser.get("/settings/").text) == is_whole


def test_slow_bodies_hold_no_thread(site: Site, tpp: Client, stack: ExitStack) -> None:
    """More of them than there are threads: each is a few bytes that wait for the rest."""
    for _ in range(700):
        connect(stack, site, head(site, "POST", "/api/v2/jobs/", b"Content-Length: 100") + b"[")
    identifier = site.ask()
    assert tpp.report(job(identifier, "s1")).status_code == 200


def test_heads_are_taken_as_they_are(site: Site, stack: ExitStack) -> None:
    for lines, status in (
        ((b"Cookie: a=1", b"Cookie: b=2"), 200),
        ((b"X-Odd: \xe9\xff", b"X-Empty:"), 200),
        ((b"Flags: \xe9",), 200),
    ):
        assert answer(connect(stack, site, head(site, "GET", "/api/v2/job-requests/", *lines)))[0] == status
    for path in ("/%ff/", "/%00/", "/a%2Fb/", "/caf%C3%A9/", "//", "/api/v2/job-requests/%F0%9F%92%A9/"):
        assert answer(connect(stack, site, head(site, "GET", path)))[0] in (303, 400, 403, 404)
    not_ascii = b"GET /api/v2/job-requests/ HTTP/1.1\r\nHost: x\r\nAuthorization: \xe9\r\n\r\n"
    assert answer(connect(stack, site, not_ascii)) == (403, b'{"detail":"Invalid token"}')
    assert answer(connect(stack, site, b"GET /health-check/ HTTP/1.0\r\n\r\n"))[0] == 200


def test_a_header_with_underscores_is_no_header(site: Site, stack: ExitStack) -> None:
    """It would pass for the one with hyphens, which a proxy takes care of: `/metrics` is for loopback only."""
    ask = b"GET /metrics HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n"
    assert answer(connect(stack, site, ask % b"X-Forwarded-For: 127.0.0.1"))[0] == 403
    assert answer(connect(stack, site, ask % b"X_Forwarded_For: 127.0.0.1"))[0] == 200


@only_whole
def test_a_thousand_open_pages_are_told_and_leave(site: Site, stack: ExitStack) -> None:
    browser = stack.enter_context(Browser(site, "alice"))
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items()).encode()
    pages = [
        connect(stack, site, b"GET /live/?topic=all HTTP/1.1\r\nHost: x\r\nCookie: " + cookie + b"\r\n\r\n")
        for _ in range(1000)
    ]
    said = [b""] * len(pages)

    def hear(text: bytes) -> None:
        for number, page in enumerate(pages):
            while text not in said[number]:
                part = page.recv(4096)
                assert part, said[number]
                said[number] += part

    hear(b"event: hello")
    assert b"text/event-stream" in said[0]
    assert open_pages(site) >= 1000
    site.ask()
    hear(b"event: change")
    for page in pages:
        page.close()
    site.ask()  # telling them shows that they have gone
    until(lambda: open_pages(site) < 10)


def measured(site: Site) -> str:
    with site.client(None) as client:
        return client.get("/metrics").text


def bodies(site: Site) -> float:
    return gauge(site, "bodies")


def open_pages(site: Site) -> float:
    return gauge(site, "open_pages")


def gauge(site: Site, name: str) -> float:
    found = re.search(rf"^jobserver_{name} (\S+)", measured(site), re.MULTILINE)
    assert found
    return float(found[1])
