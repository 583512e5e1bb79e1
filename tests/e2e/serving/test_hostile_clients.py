"""Clients that mean harm, or are very slow: everybody else goes on."""

import re
import resource
import select
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.harness import Client, Site, connect, until
from tests.e2e.pages.browser import Browser
from tests.samples import first, only_whole
from tests.zips import MANIFEST, md5_of, zipped


def works(alice: Client) -> None:
    assert alice.get("/api/v2/job-requests/").status_code == 200


HALF = b"GET /api/v2/job-requests/ HTTP/1.1\r\nHost: x\r\nX-Slow: "


def test_idle_connections_cost_nobody_anything(site: Site, alice: Client, stack: ExitStack) -> None:
    most = min(1500, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
    for number in range(most):
        connect(stack, site, b"" if number % 2 else HALF)
    works(alice)


@only_whole
def test_ten_thousand_idle_connections(tmp_path: Path, stack: ExitStack) -> None:
    """Or as many as the limit of open files lets this process and the server have."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    most = min(10_000, limits[1] - 500)
    if most < 6000:
        pytest.skip(f"only {limits[1]} files may be open here: ulimit -Hn")
    site = Site(tmp_path)
    site.start()
    try:
        for number in range(most):
            connect(stack, site, b"" if number % 2 else HALF)
        with site.client("alice") as alice, site.client("tpp") as tpp, ThreadPoolExecutor(1) as beside:
            etag = tpp.get("/api/v2/job-requests/").headers["ETag"]
            poll = beside.submit(tpp.get, "/api/v2/job-requests/", headers={"If-None-Match": etag, "Prefer": "wait=40"})
            until(lambda: "jobserver_held_polls 1.0" in alice.get("/metrics").text)
            identifier = site.ask("generate")
            assert identifier in poll.result(60).text
        assert len(open_files(site)) > most
    finally:
        stack.close()
        site.stop()


def open_files(site: Site) -> list[Path]:
    """Of the process that serves."""
    _, serving = site.processes()
    return list(Path(f"/proc/{serving}/fd").iterdir())


@pytest.mark.parametrize("size", [100, 100_000])
def test_strangers_with_slow_forms_stop_only_each_other(site: Site, alice: Client, stack: ExitStack, size: int) -> None:
    """Found: the body of a form was read in a thread, whoever sends it; enough of them were all threads.

    Now all wait on the event loop, and of large ones few of each address are let in.
    """
    form = (
        b"POST /login/link/x/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: %d\r\n\r\nform=" % size
    )
    slow = [connect(stack, site, form) for _ in range(40)]
    works(alice)
    if size > 64 * 1024:
        until(lambda: any(one.recv(12).startswith(b"HTTP/1.1 429") for one in select.select(slow, [], [], 0)[0]))
    works(alice)
    with site.client(None) as stranger:
        assert stranger.post("/login/link/x/", data={"form": "x"}).status_code == 403
    for one in slow:
        one.close()


def test_oversized_headers_are_refused(site: Site, alice: Client, stack: ExitStack) -> None:
    for head in (b"X-Large: " + b"x" * 2_000_000, b"".join(b"X-%d: y\r\n" % n for n in range(20_000))):
        made = stack.enter_context(socket.create_connection(("127.0.0.1", site.port)))
        made.settimeout(10)
        try:
            made.sendall(b"GET /api/v2/job-requests/ HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
            said = made.recv(100)
        except OSError:
            said = b""
        assert not said.startswith(b"HTTP/1.1 200")
        works(alice)


def test_a_body_that_claims_more_than_it_may_is_refused_unread(site: Site, tpp: Client, stack: ExitStack) -> None:
    head = (
        b"POST /api/v2/jobs/ HTTP/1.1\r\nHost: x\r\nAuthorization: " + site.tokens["tpp"].encode()
        + b"\r\nContent-Length: 99999999999\r\n\r\n"
    )  # fmt: skip
    made = connect(stack, site, head)
    made.settimeout(20)
    assert made.recv(100).startswith(b"HTTP/1.1 413")
    works(tpp)


@pytest.mark.parametrize(
    "lines",
    [
        b"0000",
        b"ffff",
        b"zzzz",
        b"0003",
        b"00000009done\n",
        b"0032want " + b"0" * 40 + b"\n00000009done\n",
        b"0032want " + b"f" * 40 + b"\n" * 3,
        b"fff0" + b"x" * 65516,
        struct.pack(">I", 0) * 1000,
        b"006aff "
        + b"0" * 40
        + b" "
        + b"1" * 40
        + b" refs/heads/main\0report-status\n0000PACK\0\0\0\2\xff\xff\xff\xff",
        b"0014command=ls-refs\n0001000",
        b"\x1f\x8b\x08\x00" + b"\xff" * 64,
    ],
)
@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
@pytest.mark.parametrize("who", first(1, ["tpp", "root"]))
def test_pkt_lines_that_are_none(site: Site, service: str, who: str, lines: bytes) -> None:
    before = site.git("for-each-ref")
    with site.client(who) as client:
        for more in ({}, {"Git-Protocol": "version=2"}, {"Content-Encoding": "gzip"}):
            headers = {"Content-Type": f"application/x-{service}-request", **more}
            answer = client.post(f"/state.git/{service}", content=lines, headers=headers)
            assert answer.status_code in (200, 400, 403, 404), answer.text
            assert b"Traceback" not in answer.content
        works(client)
    assert [line for line in site.git("for-each-ref").splitlines() if "audit" not in line] == [
        line for line in before.splitlines() if "audit" not in line
    ]


def test_slow_readers_of_a_file_cost_no_memory(site: Site, alice: Client, stack: ExitStack) -> None:
    """Found beside slow senders: all of a download was in memory until its reader had taken it."""
    files = {"large.txt": b"x" * 20_000_000, MANIFEST: b"{}"}
    url = f"/plain/releases/{md5_of(files)}"
    with site.client("tpp") as tpp:
        answer = tpp.put(f"/api/v2/workspaces{url}", content=zipped(files), headers={"Backend-User": "jane"})
        assert answer.status_code == 201
    browser = stack.enter_context(Browser(site, "root"))
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    ask = f"GET {url}/tpp/large.txt HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode()
    before = memory(site)
    for _ in range(30):
        slow = stack.enter_context(socket.socket())
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", site.port))
        slow.sendall(ask)
        assert slow.recv(12) == b"HTTP/1.1 200"
    assert browser.get(f"{url}/tpp/large.txt").content == files["large.txt"]
    works(alice)
    assert memory(site) - before < 200_000_000


def memory(site: Site) -> int:
    """Bytes of the process that serves."""
    _, serving = site.processes()
    size = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{serving}/status").read_text())
    assert size
    return 1024 * int(size[1])
