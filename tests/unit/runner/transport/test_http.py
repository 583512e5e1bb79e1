"""The runner's two calls, and what becomes of every answer. The real server is in tests/e2e/test_runner.py."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from jobserver.errors import Code, Error
from jobserver.runner.backoff import Backoff
from jobserver.runner.transport.http import HttpTransport

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def transport(answer: Callable[[httpx.Request], httpx.Response]) -> HttpTransport:
    return HttpTransport("https://jobs.example", "secret", lambda: NOW, httpx.MockTransport(answer))


def test_a_list_is_asked_for_again_by_its_etag() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if "If-None-Match" in request.headers:
            return httpx.Response(304)
        return httpx.Response(200, json={"results": [{"identifier": "x"}]}, headers={"ETag": '"1"'})

    client = transport(answer)
    assert client.fetch(50) == [{"identifier": "x"}]
    assert client.fetch(50) is None
    first, second = asked
    assert "Prefer" not in first.headers
    assert (second.headers["Prefer"], second.headers["If-None-Match"]) == ("wait=50", '"1"')
    assert first.headers["Authorization"] == "secret"
    assert json.loads(first.headers["Flags"])["last-seen-at"]["v"].startswith("2026-11-24T12")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Code.INVALID),
        (401, Code.UNAUTHENTICATED),
        (403, Code.FORBIDDEN),
        (404, Code.NOT_FOUND),
        (409, Code.CONFLICT),
        (413, Code.INVALID),
        (429, Code.UNAVAILABLE),
        (500, Code.UNAVAILABLE),
        (503, Code.UNAVAILABLE),
    ],
)
def test_refusals_are_told_apart(status: int, code: Code) -> None:
    client = transport(lambda _: httpx.Response(status, json={"detail": "because"}))
    with pytest.raises(Error, match="because") as caught:
        client.report([])
    assert caught.value.code is code


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"results": 1}'])
def test_an_answer_of_another_shape_is_tried_again(body: bytes) -> None:
    with pytest.raises(Error) as caught:
        transport(lambda _: httpx.Response(200, content=body)).fetch(0)
    assert caught.value.code is Code.UNAVAILABLE


def test_no_connection_is_tried_again() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Error, match="refused") as caught:
        transport(refuse).fetch(0)
    assert caught.value.code is Code.UNAVAILABLE


def test_pauses_double_up_to_a_limit_and_begin_anew() -> None:
    backoff = Backoff(1, 8, chance=lambda: 0)
    assert [backoff.failed() for _ in range(5)] == [1, 2, 4, 8, 8]
    backoff.worked()
    assert backoff.failed() == 1
    assert Backoff(1, 8, chance=lambda: 0.5).failed() == 0.75


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxys_refusal_is_not_the_servers(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A runner ended, saying that its token was refused."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "")
    client = transport(lambda _: httpx.Response(status, html="<h1>Access denied</h1>"))
    with pytest.raises(Error, match=f"proxy.example:3128: the proxy answered {status}") as caught:
        client.fetch(0)
    assert caught.value.code is Code.UNAVAILABLE


def test_a_tunnel_that_a_proxy_refuses_is_not_the_servers_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "")

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ProxyError("403 Forbidden")

    with pytest.raises(Error, match=r"proxy\.example:3128: the proxy refused: 403 Forbidden"):
        transport(answer).fetch(0)
