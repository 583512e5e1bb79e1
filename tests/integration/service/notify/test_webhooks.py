"""Webhooks: what is called, and what is not; which events reach which webhook."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import pytest

from jobserver.domain.backends import DeactivateBackend
from jobserver.errors import Code, Error
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.notifier import Notifier
from jobserver.service.notify.outbox import Outbox
from jobserver.service.notify.webhooks import client as client_module
from jobserver.service.notify.webhooks.client import WebhookClient
from jobserver.service.notify.webhooks.events import WebhookWriter
from jobserver.service.notify.webhooks.store import BACK, FAILED, FINISHED, SILENT, Webhooks
from tests.certificates import tls_context
from tests.receiver import Receiver, receiving
from tests.site import ADMIN, Site, job

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateStore]:
    store = PrivateStore(tmp_path / "private.sqlite3")
    yield store
    store.close()


class Hooks:
    """A site's notifier, with webhooks; ``new`` is what it queued since the last time: (webhook, event's type)."""

    def __init__(self, site: Site, private: PrivateStore) -> None:
        self.site, self.private = site, private
        self.webhooks, self.outbox = Webhooks(private), Outbox(private, site.clock)
        writer = WebhookWriter(site.repo, private, self.webhooks, "https://jobs.example", site.clock)
        self.notifier = Notifier(site.repo, private, self.outbox, [writer])

    def add(self, scope: str, *events: str) -> int:
        return self.webhooks.add("standard", "https://x", scope, events, "admin", self.site.clock()).number

    def new(self) -> list[tuple[int, dict[str, Any]]]:
        self.notifier.queue_news()
        queued = self.outbox.messages()
        self.outbox.drop([message.number for message in queued])
        return [(int(each.message.address), json.loads(each.message.content)) for each in queued]


def post(url: str, **options: Any) -> None:
    WebhookClient(LOOPBACK, **options).post(url, b'{"a": 1}', {"webhook-id": "x"})


def test_a_call_has_its_headers_and_body() -> None:
    with receiving(Receiver()) as receiver:
        post(receiver.url)
    ((headers, body),) = receiver.calls
    assert body == '{"a": 1}'
    assert (headers["content-type"], headers["webhook-id"]) == ("application/json", "x")
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["user-agent"].startswith("jobserver/")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, Code.UNAVAILABLE),
        (307, Code.UNAVAILABLE),
        (400, Code.INVALID),
        (404, Code.UNAVAILABLE),  # a deployment of the receiver went wrong
        (410, Code.INVALID),
        (429, Code.UNAVAILABLE),
        (500, Code.UNAVAILABLE),
    ],
)
def test_answers_that_are_no_yes(status: int, code: Code) -> None:
    with receiving(Receiver(status=status)) as receiver, pytest.raises(Error, match=f"answered {status}") as error:
        post(receiver.url)
    assert error.value.code is code
    assert receiver.attempts == 1  # no redirect is followed


def test_a_receiver_that_does_not_answer_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "SECONDS", 0.2)
    began = monotonic()
    with receiving(Receiver(status=0)) as receiver, pytest.raises(Error, match=r"did not answer|ReadTimeout") as error:
        post(receiver.url)
    assert error.value.code is Code.UNAVAILABLE
    assert monotonic() - began < 25  # the receiver hangs for 30


def test_a_receiver_that_is_down() -> None:
    with receiving(Receiver()) as receiver:
        pass
    with pytest.raises(Error, match="can't be reached: ConnectError") as error:
        post(receiver.url)
    assert error.value.code is Code.UNAVAILABLE


def test_private_networks_are_called_only_if_a_setting_allows_them() -> None:
    with receiving(Receiver()) as receiver:
        for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1"):
            for scheme in ("http", "https"):
                with pytest.raises(Error, match=r"private network|no address|expected a URL"):
                    WebhookClient().post(f"{scheme}://{host}:{receiver.port}/", b"", {})
    assert receiver.attempts == 0
    with pytest.raises(Error, match="expected https"):
        WebhookClient(LOOPBACK).check("http://8.8.8.8/")


@pytest.mark.parametrize(
    "url",
    [
        "https://bücher.example/",
        "https://example.org/a b",
        "ftp://example.org",
        "https://",
        "https://a@example.org/",
        "https://example.org/#x",
        "/x",
        "https://a:0/",
    ],
)
def test_what_is_no_url_of_a_webhook(url: str) -> None:
    with pytest.raises(Error, match="expected a URL"):
        WebhookClient().check(url)


def test_the_address_that_was_checked_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is looked up again could be private by then."""
    answers = iter(["127.0.0.1", "10.0.0.1"])
    monkeypatch.setattr(client_module, "resolve", lambda host, port: [ip_address(next(answers))])
    with receiving(Receiver()) as receiver:
        post(f"http://hooks.example:{receiver.port}/")
        with pytest.raises(Error, match="private network"):
            post(f"http://hooks.example:{receiver.port}/")
    assert receiver.calls[0][0]["host"] == f"hooks.example:{receiver.port}"


def test_one_private_address_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "resolve", lambda host, port: [ip_address("8.8.8.8"), ip_address("10.0.0.1")])
    with pytest.raises(Error, match="private network"):
        WebhookClient(LOOPBACK).check("https://hooks.example/")


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [ip_address("127.0.0.2"), ip_address("127.0.0.1")]
    monkeypatch.setattr(client_module, "resolve", lambda host, port: addresses)
    with receiving(Receiver()) as receiver:
        post(f"http://hooks.example:{receiver.port}/")
    assert len(receiver.calls) == 1


def test_a_proxy_looks_up_names_but_gets_no_private_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with closing(socket.create_server(("127.0.0.1", 0))) as proxy:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.getsockname()[1]}")
        lines: list[bytes] = []

        def refuse() -> None:
            connection, _ = proxy.accept()
            with connection:
                lines.append(connection.recv(1000).split(b"\r\n")[0])
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = Thread(target=refuse)
        thread.start()
        with pytest.raises(Error, match="can't be reached: ProxyError"):
            WebhookClient().post("https://hooks.nowhere.example/x", b"", {})
        thread.join()
        assert lines == [b"CONNECT hooks.nowhere.example:443 HTTP/1.1"]
        with pytest.raises(Error, match="private network"):
            WebhookClient().post("https://10.0.0.1/x", b"", {})


def test_a_certificate_is_checked_for_the_name_in_the_url(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(Receiver(), tls_context(certificate)) as receiver:
        with pytest.raises(Error, match="can't be reached"):
            post(f"https://localhost:{receiver.port}/")  # an authority that nobody knows
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        post(f"https://localhost:{receiver.port}/")
        monkeypatch.setattr(client_module, "resolve", lambda host, port: [ip_address("127.0.0.1")])
        with pytest.raises(Error, match="can't be reached"):
            post(f"https://other.example:{receiver.port}/")
    assert len(receiver.calls) == 1


def test_a_finished_request_is_announced_once_to_each_webhook_of_its_scope(site: Site, private: PrivateStore) -> None:
    hooks = Hooks(site, private)
    everything = hooks.add("all", FINISHED)
    workspace = hooks.add("workspace/trends", FINISHED)
    failures = hooks.add("all", FAILED)
    hooks.add("workspace/other", FINISHED)
    hooks.add("all", SILENT, BACK)
    assert hooks.new() == []
    first, second = site.ask("generate"), site.ask("generate")
    site.report((first, job("j1", "succeeded", 2)), (second, job("j2", "failed", 1)))
    new = hooks.new()
    assert [(number, event["data"]["identifier"]) for number, event in new] == [
        (everything, second),  # which finished first
        (workspace, second),
        (failures, second),
        (everything, first),
        (workspace, first),
    ]
    assert {event["type"] for _, event in new} == {FINISHED}
    site.report((first, job("j1", "running", 3)))
    site.report((first, job("j1", "succeeded", 4)))
    assert hooks.new() == []
    hooks.notifier.close()


def test_what_finished_before_the_first_webhook_is_no_news(site: Site, private: PrivateStore) -> None:
    hooks = Hooks(site, private)
    old, new = site.ask("generate"), site.ask("generate")
    hooks.new()
    site.report((old, job("j1", "succeeded", 1)))
    private.start_notifying(site.repo.writer.refs.branches())  # as the command does
    hooks.add("all", FINISHED)
    site.report((new, job("j2", "succeeded", 1)))
    assert [event["data"]["identifier"] for _, event in hooks.new()] == [new]
    hooks.notifier.close()


def test_a_backend_that_stops_calling_is_announced_and_its_return_too(site: Site, private: PrivateStore) -> None:
    hooks = Hooks(site, private)
    number = hooks.add("all", SILENT, BACK)
    hooks.add("all", FINISHED)

    def call() -> None:
        private.heard("tpp", int(site.now.timestamp()), "{}")

    call()
    site.now += timedelta(minutes=4)
    assert hooks.new() == []
    site.now += timedelta(minutes=2)
    ((receiver, event),) = hooks.new()
    assert (receiver, event["type"], event["data"]["backend"]) == (number, SILENT, "tpp")
    assert event["data"]["url"] == "https://jobs.example/backends/tpp/"
    site.now += timedelta(days=1)
    assert hooks.new() == []
    again = Hooks(site, private)  # after a restart
    site.now += timedelta(minutes=6)
    assert again.new() == []
    call()
    site.now += timedelta(minutes=1)
    ((_, event),) = again.new()
    assert event["type"] == BACK
    site.now += timedelta(minutes=6)
    ((_, event),) = again.new()  # another silence
    assert event["type"] == SILENT
    site.do(ADMIN, DeactivateBackend("tpp"))
    site.now += timedelta(minutes=1)
    assert again.new() == []
    assert private.run("SELECT * FROM silences") == []
    for each in (hooks, again):
        each.notifier.close()


def test_a_removed_webhook_gets_nothing_more(site: Site, private: PrivateStore) -> None:
    hooks = Hooks(site, private)
    number = hooks.add("all", FINISHED)
    hooks.notifier.queue_news()
    identifier = site.ask("generate")
    site.report((identifier, job("j1", "succeeded", 1)))
    hooks.notifier.queue_news()
    assert hooks.outbox.waiting() == 1
    hooks.webhooks.remove(number)
    assert hooks.outbox.waiting() == 0
    with pytest.raises(Error, match="does not exist"):
        hooks.webhooks.remove(number)
    hooks.notifier.close()
