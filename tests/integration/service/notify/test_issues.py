"""Issues about releases are made, commented, labelled and closed, and each thing once, whatever GitHub does."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.issues.change import PENDING, UNDER_REVIEW, IssueChange
from jobserver.service.notify.issues.client import Issues
from jobserver.service.notify.outbox import LONGEST_PAUSE, Outbox
from jobserver.service.notify.sender import Sender
from tests.integration.service.notify.fake_issues import FakeIssues, fake_issues

NEW = IssueChange("org/outputs", "01J", "1", "trends 01J", "Requested by: alice", "", PENDING, False)
COMMENTED = replace(NEW, event="2", comment="reviewed by bob", label=UNDER_REVIEW)
CLOSED = replace(NEW, event="3", comment="closed: released by bob", label="", is_closed=True)


@dataclass
class Place:
    github: FakeIssues
    private: PrivateStore
    token: str = "secret"
    now: datetime = datetime(2026, 11, 24, 9, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.private, lambda: self.now)

    def issues(self, time_out: float = 5) -> Issues:
        return Issues(self.token, self.private, self.github.url, time_out)

    def send(self, *changes: IssueChange) -> None:
        for change in changes:
            self.issues().send(change.queued())

    def send_due(self) -> None:
        self.now += timedelta(seconds=LONGEST_PAUSE)
        Sender(self.outbox, {"github": self.issues().send}).send_due()

    def forget(self) -> None:
        """As if the server had ended before it noted the number, or another server sends."""
        self.private.run("DELETE FROM firsts")

    @property
    def labels(self) -> list[str]:
        return [label["name"] for label in self.github.issues["org/outputs"][0]["labels"]]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    private = PrivateStore(tmp_path / "private.sqlite3")
    with fake_issues() as github:
        yield Place(github, private)
    private.close()


def test_an_issue_is_made_commented_labelled_and_closed(place: Place) -> None:
    place.send(NEW)
    (issue,) = place.github.issues["org/outputs"]
    assert issue["title"] == "trends 01J"
    assert issue["body"].startswith("Requested by: alice\n\n<!-- jobserver ")
    assert (issue["state"], place.labels) == ("open", [PENDING])
    issue["labels"].append({"name": "internal"})  # somebody's own label stays
    place.send(COMMENTED)
    assert (place.github.texts(), place.labels) == (["reviewed by bob"], ["internal", UNDER_REVIEW])
    place.send(CLOSED)
    assert place.github.texts() == ["reviewed by bob", "closed: released by bob"]
    assert (issue["state"], place.labels) == ("closed", ["internal"])


def test_what_is_sent_again_is_done_once(place: Place) -> None:
    place.send(NEW, COMMENTED, NEW)
    place.forget()
    place.send(NEW, COMMENTED)
    assert len(place.github.issues["org/outputs"]) == 1
    assert place.github.texts() == ["reviewed by bob"]


@pytest.mark.parametrize("call", [r"POST .*/issues", r"POST .*/comments", r"PATCH .*"])
def test_an_answer_that_is_lost_makes_no_second(place: Place, call: str) -> None:
    place.outbox.queue([NEW.queued(), COMMENTED.queued()])
    place.github.dies_after = call
    place.send_due()
    assert place.outbox.messages()[0].problem.startswith("GitHub can't be reached")
    place.send_due()
    assert place.outbox.messages() == []
    assert len(place.github.issues["org/outputs"]) == 1
    assert (place.github.texts(), place.labels) == (["reviewed by bob"], [UNDER_REVIEW])


def test_a_comment_makes_the_issue_that_is_missing(place: Place) -> None:
    place.send(COMMENTED)
    assert (place.github.texts(), place.labels) == (["reviewed by bob"], [UNDER_REVIEW])


def test_an_issue_that_somebody_deleted_is_made_again(place: Place) -> None:
    other = replace(NEW, release="01K", event="9", title="trends 01K")
    place.send(NEW)
    place.github.deleted.add(1)
    place.outbox.queue([COMMENTED.queued(), other.queued(), CLOSED.queued()])
    place.send_due()
    assert place.outbox.messages() == []
    issues = place.github.issues["org/outputs"]
    assert [issue["title"] for issue in issues] == ["trends 01J", "trends 01J", "trends 01K"]
    assert (place.github.texts(2), issues[1]["state"]) == (["reviewed by bob", "closed: released by bob"], "closed")


def test_a_locked_issue_holds_up_no_other_and_is_still_closed(place: Place) -> None:
    other = replace(NEW, release="01K", event="9", title="trends 01K")
    place.send(NEW)
    place.github.issues["org/outputs"][0]["locked"] = True
    place.outbox.queue([CLOSED.queued(), other.queued()])
    place.send_due()
    place.send_due()
    (message,) = place.outbox.messages()
    assert (message.is_given_up, message.problem) == (True, "issue 1 of org/outputs is locked, and takes no comments")
    assert [issue["state"] for issue in place.github.issues["org/outputs"]] == ["closed", "open"]


def test_each_release_has_an_issue_of_its_own(place: Place) -> None:
    place.send(NEW, replace(NEW, release="01K", event="9", title="trends 01K"))
    assert [issue["title"] for issue in place.github.issues["org/outputs"]] == ["trends 01J", "trends 01K"]


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (401, "GitHub does not let the token of OUTPUT_CHECKING_TOKEN write issues of org/outputs"),
        (403, "GitHub does not let the token of OUTPUT_CHECKING_TOKEN write issues of org/outputs"),
        (404, "GitHub has no issues in org/outputs that the token of OUTPUT_CHECKING_TOKEN can see"),
        (410, "GitHub has no issues in org/outputs that the token of OUTPUT_CHECKING_TOKEN can see"),
        (429, "GitHub's rate limit is used up"),
        (502, "GitHub answered with an error, 502"),
    ],
)
def test_a_github_that_is_down_delays_and_loses_nothing(place: Place, status: int, problem: str) -> None:
    place.outbox.queue([NEW.queued(), COMMENTED.queued(), CLOSED.queued()])
    place.github.trouble = status
    place.send_due()
    place.send_due()
    assert [message.problem for message in place.outbox.messages()] == [problem, "", ""]
    place.github.trouble = 0
    place.send_due()
    assert place.outbox.messages() == []
    assert place.github.texts() == ["reviewed by bob", "closed: released by bob"]


def test_a_text_that_github_refuses_holds_up_no_other(place: Place) -> None:
    place.github.trouble = 422
    with pytest.raises(Error, match="GitHub refused the text of an issue in org/outputs") as caught:
        place.send(NEW)
    assert caught.value.code is Code.INVALID


def test_a_github_that_cannot_be_reached_is_named(place: Place) -> None:
    issues = Issues("secret", place.private, "http://127.0.0.1:1", 2)
    with pytest.raises(Error, match="GitHub can't be reached") as caught:
        issues.send(NEW.queued())
    assert caught.value.code is Code.UNAVAILABLE
