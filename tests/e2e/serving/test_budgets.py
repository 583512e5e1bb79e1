"""Nobody takes from the others what all share: each caller has so much at once, and so much over time."""

import contextlib
import http.client
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.e2e.harness import Client, Site, connect, job, serving, until
from tests.e2e.pages.browser import Browser
from tests.zips import MANIFEST, md5_of, zipped

JOBS, LIST = "/api/v2/jobs/", "/api/v2/job-requests/"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With budgets that a few calls use up."""
    made = Site(tmp_path_factory.mktemp("site"))
    made.env |= {
        "MAX_WRITES_PER_MINUTE": "5",
        "MAX_BACKEND_WRITES_PER_MINUTE": "20",
        "MAX_HELD_POLLS": "2",
        "MAX_OPEN_PAGES": "3",
        "MAX_BODIES": "4",
        "MAX_RELEASED_MIB_PER_DAY": "1",
    }
    with serving(made):
        yield made


def slow(stack: ExitStack, site: Site, path: str, more: str, size: int = 200_000) -> socket.socket:
    """A large body, of which a little comes."""
    lines = f"Host: x\r\n{more}Content-Length: {size}\r\nContent-Type: application/x-www-form-urlencoded"
    return connect(stack, site, f"POST {path} HTTP/1.1\r\n{lines}\r\n\r\nform=".encode())


def gauge(site: Site, name: str) -> float:
    found = re.search(rf"^jobserver_{name} (\S+)", site.get("/metrics").text, re.MULTILINE)
    assert found
    return float(found[1])


def refused(made: socket.socket) -> bool:
    return made.recv(12) == b"HTTP/1.1 429"


def later(answer: httpx.Response) -> bool:
    assert answer.status_code == 429, answer.text
    return int(answer.headers["Retry-After"]) > 0


def test_slow_bodies_of_one_person_hold_no_thread_and_end_at_their_own_limit(site: Site, stack: ExitStack) -> None:
    """Found: 520 of them, of a person without roles, were all threads, for up to an hour."""
    carol = f"Authorization: {site.tokens['carol']}\r\n"
    path = "/api/v2/workspaces/plain/job-requests/"
    sent = [slow(stack, site, path, carol) for _ in range(4)]
    until(lambda: gauge(site, "bodies") == 4)
    more = [slow(stack, site, path, carol) for _ in range(520)]
    assert all(refused(one) for one in more[:20])
    assert gauge(site, "bodies") == 4
    with site.client("tpp") as tpp:
        assert tpp.get(LIST).status_code == 200
        assert tpp.report(job("2" * 16, "x", status_message="y" * 100_000)).json()["ignored"] == ["2" * 16]
    for one in sent:
        one.close()
    until(lambda: gauge(site, "bodies") == 0)


def test_slow_forms_of_strangers_close_the_log_in_for_nobody(site: Site, stack: ExitStack) -> None:
    """Found: 32 of them, and nobody could log in."""
    path = "/login/link/x/"
    for _ in range(4):
        slow(stack, site, path, "")
    until(lambda: gauge(site, "bodies") == 4)
    more = [slow(stack, site, path, "") for _ in range(40)]
    assert all(refused(one) for one in more)
    with site.client(None) as stranger:
        assert stranger.post(path, data={"form": "x"}).status_code == 403
    stack.enter_context(Browser(site, "bob"))
    stack.close()
    until(lambda: gauge(site, "bodies") == 0)


def test_a_form_of_a_stranger_is_taken_in_one_piece_and_to_its_limit(site: Site, stack: ExitStack) -> None:
    """Found: what granian had put together was taken apart again: 600 MiB of it in the temporary folder."""
    lines = b"Host: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked"
    head = b"POST /login/link/x/ HTTP/1.1\r\n" + lines + b"\r\n\r\n"
    inner = b"100000\r\n" + b"x" * MIB
    large = connect(stack, site, head)
    with contextlib.suppress(OSError):
        for _ in range(4):
            large.sendall(b"%x\r\n%s\r\n" % (len(inner), inner))
        large.sendall(b"0\r\n\r\n")
    assert large.recv(12) == b"HTTP/1.1 413"
    small = connect(stack, site, head + b"6\r\nform=x\r\n0\r\n\r\n")
    assert small.recv(12) == b"HTTP/1.1 400"


@pytest.mark.parametrize("path", [JOBS, "/login/link/x/", "/state.git/git-receive-pack", "/no/where/at/all/"])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_client_that_sends_all_before_reading_gets_the_answer(
    site: Site, stack: ExitStack, path: str, is_known: bool
) -> None:
    """Found: 30 MiB without `Expect` ended in a broken pipe in place of the 413."""
    made = stack.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)))
    headers = {"Authorization": site.tokens["tpp"]} if is_known else {}
    made.request("POST", path, b"x" * 30 * MIB, headers)
    answer = made.getresponse()
    answer.read()
    expected = {JOBS: (413, 403), "/login/link/x/": (413, 413), "/no/where/at/all/": (404, 404)}.get(path, (413, 401))
    assert answer.status == expected[not is_known]
    made.request("GET", "/health-check/")  # on the same connection: all was read
    with made.getresponse() as healthy:
        assert healthy.status == 200


def test_a_client_that_expects_100_is_answered_at_once(site: Site, stack: ExitStack) -> None:
    head = f"Host: x\r\nAuthorization: {site.tokens['tpp']}\r\nExpect: 100-continue\r\nContent-Length: {30 * MIB}"
    made = connect(stack, site, f"POST {JOBS} HTTP/1.1\r\n{head}\r\n\r\n".encode())
    assert made.recv(12) == b"HTTP/1.1 413"


def test_a_large_body_of_wrong_jobs_has_a_small_answer(site: Site, tpp: Client) -> None:
    """Found: `[{},{},...]` of 10 MiB cost 4.9 GiB, and an answer of 926 MB."""
    answer = tpp.post(JOBS, content=b"[" + b",".join([b"{}"] * 100_000) + b"]")
    assert answer.status_code == 400
    assert len(answer.content) < 10_000
    assert answer.json()[-1] == {"non_field_errors": ["the rest was not checked: 100 faults so far"]}
    answer = tpp.post(JOBS, content=b"[" + b",".join([b"{}"] * 3_000_000) + b"]")
    assert (answer.status_code, answer.json()) == (400, {"detail": "The JSON has more than 1000000 values"})


def test_polls_of_one_caller_that_wait(site: Site, stack: ExitStack) -> None:
    """Found: one person held all polls."""
    carol, alice = (stack.enter_context(site.client(name)) for name in ("carol", "alice"))
    etag = carol.get(LIST).headers["ETag"]
    head = f"Host: x\r\nAuthorization: {site.tokens['carol']}\r\nIf-None-Match: {etag}\r\nPrefer: wait=50\r\n\r\n"
    held = [connect(stack, site, f"GET {LIST} HTTP/1.1\r\n{head}".encode()) for _ in range(2)]
    until(lambda: gauge(site, "held_polls") == 2)
    headers = {"If-None-Match": etag, "Prefer": "wait=1"}
    assert later(carol.get(LIST, headers=headers))
    assert carol.get(LIST).status_code == 200
    assert alice.get(LIST, headers=headers).status_code == 304
    site.ask()
    assert all(one.recv(12) == b"HTTP/1.1 200" for one in held)
    until(lambda: gauge(site, "held_polls") == 0)
    assert carol.get(LIST, headers={**headers, "If-None-Match": carol.get(LIST).headers["ETag"]}).status_code == 304


def test_open_pages_of_one_person(site: Site, stack: ExitStack) -> None:
    """Found: one person held all open pages."""

    def opened(who: str) -> socket.socket:
        browser = stack.enter_context(Browser(site, who))
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        return connect(stack, site, f"GET /live/ HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())

    pages = [opened("bob") for _ in range(3)]
    assert all(one.recv(12) == b"HTTP/1.1 200" for one in pages)
    assert refused(opened("bob"))
    assert opened("alice").recv(12) == b"HTTP/1.1 200"
    for one in pages:
        one.close()
    site.ask()  # telling them shows that they have gone
    until(lambda: gauge(site, "open_pages") == 1)
    assert opened("bob").recv(12) == b"HTTP/1.1 200"


def test_the_writes_of_one_person_are_limited(site: Site, stack: ExitStack) -> None:
    """Found: one person without roles made 1,158 commits on main in five seconds."""
    browser = stack.enter_context(Browser(site, "carol"))
    form = {"form": Browser.token(browser.get("/settings/")), "what": "new-token"}
    before, made = site.count("main"), 0
    for number in range(8):
        answer = browser.post("/settings/", data={**form, "label": f"n{number}"})
        made += answer.status_code == 303
    assert later(answer)
    assert "5 writes a minute of MAX_WRITES_PER_MINUTE" in answer.text
    assert made == site.count("main") - before == 5
    with site.client("alice") as alice:
        assert alice.post("/api/v2/workspaces/plain/job-requests/", json={}).status_code == 400
        site.ask()


def test_calls_that_write_nothing_are_not_counted(site: Site) -> None:
    with site.client("emis") as emis:
        identifier = site.ask(backend="emis")
        for _ in range(30):
            assert emis.report(job(identifier, "same")).status_code == 200
        for _ in range(30):
            assert emis.report({}).status_code == 400
        for number in range(30):
            answer = emis.report(job(identifier, "same", at=number + 1, status_code=f"step_{number}"))
        assert later(answer)


def test_released_bytes_of_one_backend(site: Site, tpp: Client) -> None:
    """Found: 1.2 MB of zips stored 1.2 GB."""

    def put(content: bytes) -> httpx.Response:
        files = {"a.txt": content, MANIFEST: b"{}"}
        url = f"/api/v2/workspaces/plain/releases/{md5_of(files)}"
        return tpp.put(url, content=zipped(files), headers={"Backend-User": "jane"})

    assert put(b"a" * 600_000).status_code == 201
    assert put(b"a" * 600_000).status_code == 303
    assert later(put(b"b" * 600_000))
    assert put(b"c" * 1000).status_code == 201
