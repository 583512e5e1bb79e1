"""Bodies and URLs that no decent client sends. Each gets a clear refusal, never a 500, and the server stays up."""

import socket

import pytest

from tests.e2e.harness import Client, Site

POSTS = ["/api/v2/jobs/", "/api/v2/workspaces/plain/job-requests/", "/api/v2/job-requests/2222222222222222/cancel/"]
BODIES = [
    b"{",
    b"",
    b"\xff\xfe",
    b"[NaN]",
    b'"\\ud800"',
    b'{"actions": ["\\ud800"]}',
    b"[" * 100_000,
    b'[{"a":' * 5_000,
    b"[" + b"0," * 100_000 + b"0]",
    b'{"requested_actions": ["\\u0000"], "backend": "\\u0000"}',
]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:12]))
def test_a_bad_body_is_refused(site: Site, path: str, body: bytes) -> None:
    who = "tpp" if path.endswith("/jobs/") else "root"
    with site.client(who) as client:
        answer = client.post(path, content=body)
    assert answer.status_code in (400, 404)
    assert answer.json()


@pytest.mark.parametrize("path", POSTS)
def test_over_10_mib_is_413(site: Site, path: str) -> None:
    with site.client("tpp" if path.endswith("/jobs/") else "root") as client:
        if "job-requests/2" in path:
            path = path.replace("2222222222222222", site.ask())
        assert client.post(path, content=b" " * (10 * 1024 * 1024 + 1)).status_code == 413


def test_over_10_mib_in_chunks_is_413(tpp: Client) -> None:
    chunks = (b" " * 65536 for _ in range(200))
    assert tpp.post("/api/v2/jobs/", content=chunks).status_code == 413


def test_a_body_in_chunks_is_read(tpp: Client) -> None:
    assert tpp.post("/api/v2/jobs/", content=iter([b"[", b"]"])).status_code == 200


def test_a_body_of_10_mib_is_accepted(tpp: Client) -> None:
    assert tpp.post("/api/v2/jobs/", content=b"[" + b" " * (10 * 1024 * 1024 - 2) + b"]").status_code == 200


def test_a_body_that_ends_early_changes_nothing(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port)) as connection:
        head = f"POST /api/v2/jobs/ HTTP/1.1\r\nHost: x\r\nAuthorization: {site.tokens['tpp']}\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n[".encode())
    assert site.get("/health-check/").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/v2/job-requests/../../etc/passwd/",
        "/api/v2/job-requests/%2e%2e%2f/",
        "/api/v2/job-requests/a%00b/",
        "/api/v2/job-requests/%F0%9F%92%A9/",
        "/api/v2/users/%0d%0aX-Injected:1/",
        "/api/v2/users/'%20OR%201=1--/",
        "/api/v2/workspaces/" + "x" * 5000 + "/statuses/",
        "/api/v2/job-requests/?limit=%00&offset=%ff",
        "/api/v2/job-requests/?backend=%00",
    ],
)
def test_a_nasty_url_is_no_trouble(site: Site, alice: Client, path: str) -> None:
    answer = alice.get(path)
    assert answer.status_code in (200, 400, 404)
    assert "X-Injected" not in answer.headers


@pytest.mark.parametrize("value", ["x" * 10_000, "W/", '"', "*", ",,,", "\u00ff"])
def test_odd_conditions_are_no_trouble(alice: Client, value: str) -> None:
    for name in (b"If-None-Match", b"Prefer", b"Authorization"):
        answer = alice.get("/api/v2/job-requests/", headers=[(name, value.encode("latin-1"))])
        assert answer.status_code in (200, 304, 403, 431)
