"""Who gets an email about a request of somebody else, or only when it is worth one."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.users import DisableUser
from jobserver.index.index import Index
from jobserver.index.queries.requests import earlier_outcome
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.email.mail import send_queued
from jobserver.service.notify.email.writer import EmailWriter
from jobserver.service.notify.notifier import Notifier
from jobserver.service.notify.outbox import Outbox
from jobserver.service.notify.sender import Sender
from jobserver.service.notify.subscriptions import EmailChoice, Subscriptions
from tests.integration.service.notify.test_notifier import Sent, ask, link
from tests.site import ADMIN, Site, job

TOLD = {"alice": "alice@example.org", "bob": "bob@example.org", "admin": "admin@example.org"}


class World:
    """A server's notifier with its index; alice, bob and admin have addresses."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.sent = site, Sent()
        self.private = PrivateStore(folder / "private.sqlite3")
        for username, address in TOLD.items():
            self.private.set_email(username, address)
        self.subscriptions = Subscriptions(self.private)
        self.index = Index(site.path, site.repo.writer.refs, folder / "index.sqlite3")
        self.index.start()
        outbox = Outbox(self.private, site.clock)
        writer = EmailWriter(site.repo, self.private, "https://jobs.example", site.clock, link, self.earlier)
        self.notifier = Notifier(site.repo, self.private, outbox, [writer])
        self.sender = Sender(outbox, {"mail": partial(send_queued, self.private, self.sent)})
        self.notifier.queue_news()
        self.number = 0

    def earlier(self, request: JobRequest) -> str:
        with self.index.view() as sql:
            return earlier_outcome(sql, request)

    def finish(self, identifier: str, status: str) -> list[str]:
        """Reports the request's end, and who got an email about it."""
        self.number += 1
        self.site.report((identifier, job(f"j{self.number}", status, self.number)))
        self.notifier.queue_news()
        self.sender.send_due()
        mails, self.sent.mails = self.sent.mails, []
        self.last = mails
        return sorted(mail.to.partition("@")[0] for mail in mails)

    def run(self, status: str, is_told: bool = True) -> list[str]:
        return self.finish(ask(self.site, is_told), status)

    def close(self) -> None:
        self.notifier.close()
        self.sender.close()
        self.index.close()
        self.private.close()


@pytest.fixture
def world(site: Site, tmp_path: Path) -> Iterator[World]:
    made = World(site, tmp_path)
    yield made
    made.close()


def test_a_follower_of_a_request_gets_an_email_and_the_requester_no_second_one(world: World) -> None:
    identifier = ask(world.site)
    for username in ("bob", "alice"):
        world.subscriptions.follow(username, f"request/{identifier}", is_on=True)
    assert world.finish(identifier, "failed") == ["alice", "bob"]
    bodies = {mail.to.partition("@")[0]: mail.body for mail in world.last}
    assert "alice's jobs for trends on tpp have failed" in bodies["bob"]
    assert "because you follow this job request" in bodies["bob"]
    assert "because you chose to be notified" in bodies["alice"]
    assert world.run("failed", is_told=False) == []  # another request


def test_a_follower_of_a_workspace_gets_one_for_each_request_until_they_stop(world: World) -> None:
    world.subscriptions.follow("bob", "workspace/trends", is_on=True)
    world.subscriptions.follow("bob", "workspace/other", is_on=True)
    identifier = ask(world.site, is_told=False)
    world.subscriptions.follow("bob", f"request/{identifier}", is_on=True)
    assert world.finish(identifier, "succeeded") == ["bob"]  # once
    assert world.run("succeeded", is_told=False) == ["bob"]
    assert "because you follow the workspace" in world.last[0].body
    world.subscriptions.follow("bob", "workspace/trends", is_on=False)
    assert world.run("succeeded", is_told=False) == []
    assert world.subscriptions.subjects("bob") == ["workspace/other", f"request/{identifier}"]


def test_a_disabled_account_gets_none(world: World) -> None:
    world.subscriptions.follow("bob", "workspace/trends", is_on=True)
    world.site.do(ADMIN, DisableUser("bob"))
    assert world.run("failed", is_told=False) == []


def test_only_failures(world: World) -> None:
    assert world.subscriptions.choice("alice") is EmailChoice.FINISHED
    world.subscriptions.choose("alice", EmailChoice.FAILED)
    assert [world.run(status) for status in ("succeeded", "failed", "succeeded")] == [[], ["alice"], []]


def test_only_changes(world: World) -> None:
    world.subscriptions.choose("alice", EmailChoice.CHANGED)
    statuses = ("succeeded", "succeeded", "failed", "failed", "succeeded")
    assert [bool(world.run(status)) for status in statuses] == [True, False, True, False, True]
    # A run of other actions says nothing about these.
    other = world.site.ask("analyse")
    world.finish(other, "failed")
    assert world.run("succeeded") == []
