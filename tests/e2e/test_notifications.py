"""Emails and webhooks of a real server: nothing is lost over a kill -9 and an outage, and nobody waits for them."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from standardwebhooks import Webhook

from tests.e2e.harness import Site, free_port, job, until
from tests.receiver import Receiver, receiving
from tests.samples import only_whole


class Inbox:
    """Refuses everything for now until it is ``up``."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.attempts = 0
        self.is_up = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.attempts += 1
        if not self.is_up:
            return "451 try again"
        lines = envelope.content.decode().splitlines()
        self.subjects += [line.removeprefix("Subject: ") for line in lines if line.startswith("Subject: ")]
        return "250 OK"


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def site(tmp_path: Path, inbox: Inbox) -> Iterator[Site]:
    """Its emails go to the inbox; alice has an address."""
    made = Site(tmp_path)
    controller = Controller(inbox, "127.0.0.1", free_port())
    made.env |= {
        "EMAIL_BACKEND": "smtp",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(controller.port),
        "SMTP_TLS": "none",
        "WEBHOOK_NETWORKS": "127.0.0.1",
    }
    made.run("user", "add", "zoe", "--role", "CoreDeveloper", "--email", "zoe@example.org")
    made.tokens["zoe"] = made.run("user", "token", "zoe")
    controller.start()
    yield made
    controller.stop()
    made.check_record()


def finish(site: Site, number: int) -> str:
    """A request of zoe, who wants an email, that is finished now."""
    with site.client("zoe") as zoe:
        body = {"requested_actions": ["generate"], "backend": "tpp", "will_notify": True}
        answer = zoe.post("/api/v2/workspaces/plain/job-requests/", json=body)
    assert answer.status_code == 201, answer.text
    identifier: str = answer.json()["identifier"]
    with site.client("tpp") as tpp:
        assert tpp.report(job(identifier, f"j{number}", "succeeded", number)).status_code == 200
    return identifier


def outbox(site: Site) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(site.run("outbox", "list", "--json"))
    return rows


@only_whole
def test_a_receiver_that_was_down_gets_everything_in_order_over_a_kill(site: Site, inbox: Inbox) -> None:
    with receiving(Receiver(status=503)) as receiver:
        pass  # nobody listens at its port yet
    secret = site.run("webhook", "add", receiver.url, "--all", "--event", "job-request.finished")
    assert secret.startswith("whsec_")
    site.start()
    requests = [finish(site, 1)]
    until(lambda: any(row["problem"] for row in outbox(site) if row["receiver"] == "webhook/1"))
    until(lambda: inbox.attempts > 0)
    site.kill()
    with receiving(receiver):
        site.start()
        requests += [finish(site, number) for number in (2, 3)]
        until(lambda: len(outbox(site)) == 6)  # three calls and three emails
        until(lambda: receiver.attempts > 0)  # 503
        site.kill()
        receiver.status, inbox.is_up = 204, True
        site.start()
        site.run("outbox", "retry", "--all")  # and not in some pause
        until(lambda: outbox(site) == [])
        assert [json.loads(body)["data"]["identifier"] for _, body in receiver.calls] == requests
        for headers, body in receiver.calls:
            assert Webhook(secret).verify(body, headers)["type"] == "job-request.finished"
        assert len({headers["webhook-id"] for headers, _ in receiver.calls}) == 3
    assert inbox.subjects == ["plain: jobs succeeded"] * 3
    site.stop()


@only_whole
def test_a_kill_between_the_receivers_answer_and_ours_repeats_the_call_with_its_id(site: Site) -> None:
    """The receiver hangs with the call; the server is killed; the same call comes again."""
    with receiving(Receiver(status=0)) as receiver:
        site.run("webhook", "add", receiver.url, "--workspace", "plain")
        site.start()
        began = monotonic()
        identifier = finish(site, 1)
        until(lambda: receiver.attempts == 1)
        finish(site, 2)  # while the call hangs
        assert monotonic() - began < 8  # no write waits for it
        site.kill()
        receiver.status = 204
        receiver.end.set()
        site.start()
        site.run("outbox", "retry", "--all")
        until(lambda: len(receiver.calls) == 2)
        assert json.loads(receiver.calls[0][1])["data"]["identifier"] == identifier
        site.stop()


def refused(site: Site, *arguments: str) -> str:
    done = site.command(*arguments)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_the_commands(site: Site) -> None:
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving(Receiver()))
        run: Callable[..., str] = site.run
        run("webhook", "add", receiver.url, "--project", "datalab/trends", "--event", "job-request.failed")
        slack = "https://127.0.0.1/services/T0/B0/secret"
        assert run("webhook", "add", slack, "--slack", "--all", "--event", "backend.silent") == ""
        rows = site.command("webhook", "list").stdout.splitlines()
        assert [row.split("\t")[:5] for row in rows] == [
            ["1", "standard", "project/datalab/trends", "job-request.failed", receiver.url],
            ["2", "slack", "all", "backend.silent", "https://127.0.0.1/..."],
        ]
        run("webhook", "test", "1")
        assert json.loads(receiver.calls[0][1])["type"] == "test"
        receiver.status = 500
        assert "the receiver answered 500" in refused(site, "webhook", "test", "1")
        run("webhook", "remove", "2")
        assert "webhook 2 does not exist" in refused(site, "webhook", "remove", "2")
    add = ("webhook", "add", "https://8.8.8.8/")
    assert "expected one of --workspace, --project and --all" in refused(site, *add)
    assert "use --all" in refused(site, *add, "--workspace", "plain", "--event", "backend.silent")
    assert "workspace 'nowhere' does not exist" in refused(site, *add, "--workspace", "nowhere")
    assert "project 'datalab/nowhere' does not exist" in refused(site, *add, "--project", "datalab/nowhere")
    assert "bob cannot add this webhook" in refused(site, *add, "--project", "datalab/trends", "--as", "bob")
    assert "alice cannot add this webhook" in refused(site, *add, "--all", "--as", "alice")
    assert "private network" in refused(site, "webhook", "add", "https://10.0.0.1/", "--all")
    assert "1 of 1 messages are not in the outbox" in refused(site, "outbox", "retry", "99")
    assert "expected the numbers of messages, or --all" in refused(site, "outbox", "drop")
    run("outbox", "drop", "--all")


def test_the_health_check_names_what_was_given_up(site: Site) -> None:
    with receiving(Receiver(status=410)) as receiver:
        site.run("webhook", "add", receiver.url, "--all")
        site.start()
        identifier = finish(site, 1)
        with site.client(None) as anybody:
            until(lambda: bool(anybody.get("/health-check/").json()["webhooks"]))
            answer = anybody.get("/health-check/")
        assert answer.status_code == 200
        assert answer.json()["webhooks"] == [
            f"webhook 1: job request {identifier}: the receiver answered 410; not sent"
        ]
        assert str(receiver.port) not in answer.text
        site.run("outbox", "drop", "--all")
        site.stop()
