"""What follows from Airlock's events: issues on GitHub, emails to the author, and calls to webhooks, each once."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import orjson
import pytest

from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.orgs import AddOrg
from jobserver.domain.outputs.airlock import RecordAirlockEvent
from jobserver.domain.outputs.documents import AirlockStep
from jobserver.domain.projects import AddProject
from jobserver.domain.users import AddUser
from jobserver.domain.workspaces import ConnectWorkspace
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.email.mail import Mail, send_queued
from jobserver.service.notify.email.writer import EmailWriter
from jobserver.service.notify.issues.client import Issues
from jobserver.service.notify.issues.writer import IssueWriter, repository_of
from jobserver.service.notify.notifier import Notifier
from jobserver.service.notify.outbox import Message, Outbox
from jobserver.service.notify.sender import Sender
from jobserver.service.notify.webhooks.events import WebhookWriter
from jobserver.service.notify.webhooks.store import RELEASE_UPDATED, Webhooks
from tests.integration.service.notify.fake_issues import FakeIssues, fake_issues
from tests.site import ADMIN, TPP, Site

RELEASE, BASE = "01J9ZQ4V8N6T3W5X7Y9A1B2C3D", "https://jobs.example"


class Place:
    """A site whose notifier writes everything that follows from events."""

    def __init__(self, site: Site, private: PrivateStore, github: FakeIssues) -> None:
        self.site, self.private, self.github = site, private, github
        self.mails: list[tuple[str, Mail]] = []
        self.calls: list[Message] = []
        for command in (
            AddUser("carol", roles=(Role.OUTPUT_CHECKER,)),
            AddUser("dave", roles=(Role.OUTPUT_CHECKER,)),
            AddOrg("lab"),
            AddProject("lab/p"),
            ConnectWorkspace("trends", "lab/p"),
        ):
            site.do(ADMIN, command)
        private.set_email("alice", "alice@example.org")
        self.outbox = Outbox(private, site.clock)
        self.webhooks = Webhooks(private)
        writers = [
            EmailWriter(site.repo, private, BASE, site.clock, lambda project, invitation: ""),
            WebhookWriter(site.repo, private, self.webhooks, BASE, site.clock),
            IssueWriter(site.repo, {"": "org/outputs", "uni": "org/other"}, BASE),
        ]
        self.notifier = Notifier(site.repo, private, self.outbox, writers)
        transports = {
            "mail": partial(send_queued, private, self),
            "webhook": self.calls.append,
            "github": Issues("secret", private, github.url).send,
        }
        self.sender = Sender(self.outbox, transports)
        self.notifier.queue_news()

    def send(self, to: str, mail: Mail) -> None:
        self.mails.append((to, mail))

    def tell(self, step: AirlockStep, person: str, *updates: str, repository: str | None = None) -> None:
        command = RecordAirlockEvent("tpp", "trends", RELEASE, step, "alice", person, updates, repository)
        self.site.do(TPP, command)

    def send_due(self) -> None:
        self.notifier.queue_news()
        self.sender.send_due()

    @property
    def labels(self) -> list[str]:
        return [label["name"] for label in self.github.issues["org/outputs"][0]["labels"]]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    site = Site(tmp_path)
    private = PrivateStore(tmp_path / "private.sqlite3")
    with fake_issues() as github:
        github.issues["org/other"] = []
        made = Place(site, private, github)
        yield made
        made.notifier.close()
    private.close()
    site.close()


def test_an_issue_follows_the_request_from_its_submission_to_its_end(place: Place) -> None:
    place.tell("submitted", "alice")
    place.send_due()
    (issue,) = place.github.issues["org/outputs"]
    assert (issue["title"], place.labels) == (f"trends {RELEASE}", ["Pending review"])
    assert issue["body"].startswith(
        f"Requested by: alice\nRelease request: [{RELEASE}]({BASE}/trends/releases/{RELEASE})\n"
        f"Workspace: [trends]({BASE}/trends/)\nStudy: study\n"
    )
    steps: list[tuple[AirlockStep, str, str]] = [
        ("partially-reviewed", "carol", "Under review"),
        ("returned", "carol", "With requester"),
        ("resubmitted", "alice", "Pending review"),
        ("reviewed", "dave", "Under review"),
    ]
    for step, person, label in steps:
        place.tell(step, person)
        place.send_due()
        assert place.labels == [label]
    place.tell("approved", "dave", "2 files will be uploaded, @everybody <b>")
    place.tell("released", "dave")
    place.send_due()
    assert (issue["state"], place.labels) == ("closed", [])
    assert place.github.texts() == [
        "Release request updated:\n- request reviewed by carol",
        "Release request updated:\n- request returned by carol",
        "Release request updated:\n- request resubmitted by alice",
        "Release request updated:\n- request reviewed by dave",
        "Release request updated:\n- request approved by dave\n- 2 files will be uploaded, @\u200beverybody &lt;b>",
        "Release request closed:\n- request released by dave",
    ]
    assert place.outbox.messages() == []


def test_the_author_gets_an_email_when_the_request_is_decided(place: Place) -> None:
    place.tell("submitted", "alice")
    place.tell("partially-reviewed", "carol")
    place.tell("returned", "carol", "please round the counts")
    place.tell("approved", "carol")
    place.tell("released", "carol")
    place.send_due()
    place.send_due()
    assert [mail.subject for _, mail in place.mails] == [
        f"Release request returned: trends ({RELEASE})",
        "Release request approved for workspace trends",
        "Files released for workspace trends",
    ]
    assert {to for to, _ in place.mails} == {"alice@example.org"}
    assert "  - please round the counts" in place.mails[0][1].body
    assert f"View the release: {BASE}/trends/releases/{RELEASE}" in place.mails[0][1].body


def test_a_rejection_closes_the_issue_and_tells_the_author(place: Place) -> None:
    place.tell("submitted", "alice")
    place.tell("rejected", "carol")
    place.send_due()
    assert place.github.issues["org/outputs"][0]["state"] == "closed"
    assert [mail.subject for _, mail in place.mails] == [f"Release request rejected: trends ({RELEASE})"]


def test_webhooks_and_slack_hear_of_each_event(place: Place) -> None:
    now = place.site.clock()
    for kind, scope in (("standard", "workspace/trends"), ("slack", "project/lab/p"), ("slack", "project/lab/q")):
        place.webhooks.add(kind, "https://hooks.example/x", scope, (RELEASE_UPDATED,), "admin", now)  # type: ignore[arg-type]
    place.tell("submitted", "alice", "for the <paper>")
    place.send_due()
    standard, slack = (orjson.loads(call.content) for call in place.calls)
    assert standard["type"] == "release.updated"
    assert standard["data"] == {
        "identifier": RELEASE,
        "workspace": "trends",
        "project": "lab/p",
        "backend": "tpp",
        "author": "alice",
        "step": "submitted",
        "by": "alice",
        "updates": ["for the <paper>"],
        "url": f"{BASE}/trends/releases/{RELEASE}",
    }
    assert slack["text"] == (
        f"<{BASE}/trends/releases/{RELEASE}|trends {RELEASE}> has been updated"
        "\n- request submitted by alice\n- for the &lt;paper&gt;"
    )


def test_a_github_that_is_down_delays_the_issue_and_nothing_else(place: Place) -> None:
    place.github.trouble = 503
    place.tell("submitted", "alice")
    place.tell("rejected", "carol")
    place.send_due()
    assert len(place.mails) == 1
    assert place.outbox.problems("github") == [
        f"the issue of release tpp/{RELEASE}: GitHub answered with an error, 503; will be sent again"
    ]
    place.github.trouble = 0
    place.outbox.retry([message.number for message in place.outbox.messages()])
    place.send_due()
    assert place.github.issues["org/outputs"][0]["state"] == "closed"


def test_a_backend_chooses_among_the_repositories_of_the_settings_only(place: Place) -> None:
    place.tell("submitted", "alice", repository="org/other")
    place.tell("reviewed", "carol", repository="elsewhere/secrets")
    place.send_due()
    assert [len(place.github.issues[name]) for name in ("org/other", "org/outputs")] == [1, 1]
    assert not any("elsewhere" in call for call in place.github.calls)


def test_another_backend_with_the_same_id_has_an_issue_of_its_own(place: Place) -> None:
    place.site.do(ADMIN, AddBackend("emis", "e" * 64))
    place.notifier.queue_news()
    place.tell("submitted", "alice")
    command = RecordAirlockEvent("emis", "trends", RELEASE, "withdrawn", "alice", "alice")
    place.site.do(Actor(ActorKind.BACKEND, "emis"), command)
    place.send_due()
    assert sorted(issue["state"] for issue in place.github.issues["org/outputs"]) == ["closed", "open"]


def test_an_organisation_may_have_a_repository_of_its_own() -> None:
    known = {"": "org/outputs", "uni": "org/other"}
    assert repository_of(known, "uni/p", None) == "org/other"
    assert repository_of(known, "lab/p", None) == "org/outputs"
    assert repository_of(known, None, None) == "org/outputs"
    assert repository_of({"uni": "org/other"}, "lab/p", "org/outputs") == ""
