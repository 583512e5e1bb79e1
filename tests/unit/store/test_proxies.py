"""Proxies mean the same to all that leaves the process, or are refused at the start in one line."""

import re

import httpx
import pytest
import requests

from jobserver.errors import Error
from jobserver.store import proxies
from jobserver.store.git.command import environment_to_others

NAMES = [name for kind in ("http", "https", "all", "no") for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY")]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "proxy",
    [
        "http://proxy.example:3128",
        "proxy.example:3128",
        "https://user:secret@proxy.example",
        "socks5://localhost:1080",
        "socks5h://[::1]:1080",
    ],
)
def test_a_proxy_that_is_taken_can_be_used_by_all(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """SOCKS was "a bug", or a traceback, where a library for it was not there."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    proxies.check()
    httpx.Client().close()
    with requests.Session() as session:
        session.get_adapter("https://x").proxy_manager_for(proxy if "://" in proxy else f"http://{proxy}")
    assert environment_to_others()["https_proxy"] == proxy


@pytest.mark.parametrize(
    "proxy", ["socks4://proxy", "ftp://proxy", "http://", "http://proxy:99999", "http://a b", "x://"]
)
def test_a_proxy_that_can_not_be_used_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(Error, match=re.escape("ALL_PROXY: expected the URL of a proxy")):
        proxies.check()


@pytest.mark.parametrize("whom", ["localhost, .example.org,*.x", "::1,10.0.0.0/8,inside:8080", "*", "localhost,"])
def test_whom_no_proxy_is_for_can_be_read_by_all(monkeypatch: pytest.MonkeyPatch, whom: str) -> None:
    monkeypatch.setenv("NO_PROXY", whom)
    proxies.check()
    httpx.Client().close()


@pytest.mark.parametrize("whom", ["[::1]", "::1/128", "a:b:80", "inside:port", "bücher.example"])
def test_a_malformed_proxy_is_not_blamed_on_the_servers_url(monkeypatch: pytest.MonkeyPatch, whom: str) -> None:
    """The runner said that it expected a URL, and a token of ASCII."""
    monkeypatch.setenv("no_proxy", f"localhost,{whom}")
    with pytest.raises(
        Error, match=re.escape("NO_PROXY: expected names and addresses") + f".*; found {re.escape(whom)}$"
    ):
        proxies.check()


def test_git_gets_them_in_the_letters_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", "localhost")
    given = environment_to_others()
    assert (given["http_proxy"], given["no_proxy"]) == ("http://proxy:1", "localhost")


def test_which_proxy_a_url_is_asked_for_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert proxies.proxy_of("https://jobs.example/x") == "proxy.example:3128"
    assert proxies.proxy_of("https://inside.example:8000") == ""
    assert proxies.proxy_of("http://jobs.example") == ""
    assert proxies.none_for("127.0.0.1")["no_proxy"] == "inside.example,127.0.0.1"
