"""Airlock's events, as Airlock sends them: each is recorded once, and a wrong one gets a reason that Airlock logs."""

from typing import Any

import pytest

from tests.integration.web.airlock.conftest import Place


def test_the_events_of_a_request_are_in_the_record(place: Place) -> None:
    release = place.new_id()
    reply = place.tell(release, "submitted", "alice", org="org", repo="outputs")
    assert (reply.status_code, reply.json()) == (201, {"status": "ok"})
    commit = place.git("log", "-1", "--format=%an|%s|%b", reply.headers["X-Commit"])
    assert f"tpp|alice submitted release {release} of trends in Airlock|" in commit
    assert "Event: release.airlock-submitted" in commit
    place.tell(release, "partially_reviewed", "carol")
    place.tell(release, "reviewed", "dave")
    updates = [{"update": "2 files will be uploaded"}, {"update_type": "comment", "group": "tables", "user": "dave"}]
    place.tell(release, "approved", "dave", updates=updates)
    document = place.document(release)
    assert "author: alice" in document
    assert [line.strip() for line in document.splitlines() if "step:" in line] == [
        "- step: submitted",
        "- step: partially-reviewed",
        "- step: reviewed",
        "- step: approved",
    ]
    assert '- "comment (filegroup tables) by user dave"' in document
    assert "repository: org/outputs" in document


def test_a_repeated_event_makes_no_second_commit(place: Place) -> None:
    release = place.new_id()
    place.tell(release, "submitted", "alice")
    tip = place.git("rev-parse", "backends/tpp")
    assert place.tell(release, "submitted", "alice").json() == {"status": "ok"}
    assert place.git("rev-parse", "backends/tpp") == tip


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"event_type": "request_lost"}, "Unknown event type 'request_lost': expected one of request_submitted, "),
        ({"workspace": "nowhere"}, "workspace 'nowhere' does not exist"),
        ({"request_author": "ghost"}, "tpp cannot ask for a release as ghost"),
        ({"user": 7}, "user: expected text, found a number"),
        ({"request": "../../main"}, "'../../main' is not valid"),
        ({"request_author": None}, "request_author: required"),
        ({"updates": {"update": "x"}}, "updates: expected a list, found an object"),
        ({"updates": ["x"]}, "expected an object, found text"),
        ({"updates": [{"update": "x"}] * 51}, "updates"),
        ({"org": "org", "repo": "a b"}, "'org/a b' is not valid"),
    ],
)
def test_a_wrong_event_is_refused_with_a_reason(place: Place, values: dict[str, Any], message: str) -> None:
    tip = place.git("rev-parse", "backends/tpp")
    reply = place.tell(place.new_id(), "submitted", **{"user": "alice", **values})
    assert (reply.status_code, reply.json()["status"]) == (201, "error")
    assert message in reply.json()["message"]
    assert place.git("rev-parse", "backends/tpp") == tip


def test_another_backend_cannot_tell_about_a_request_of_this_one(place: Place) -> None:
    release = place.new_id()
    place.tell(release, "submitted", "alice")
    reply = place.tell(release, "withdrawn", "alice", backend="emis")
    assert reply.json() == {"status": "error", "message": f"Release {release} is from backend tpp not emis"}
    assert "withdrawn" not in place.document(release)
    assert place.tell(release, "reviewed", "carol").json() == {"status": "ok"}


def test_only_a_backend_tells(place: Place) -> None:
    assert place.call("POST", "/airlock/events/", "token of alice", json={}).status_code == 403
    assert place.call("POST", "/airlock/events/", "token of nobody", json={}).status_code == 403
    assert place.call("POST", "/airlock/events/", content=b"{").status_code == 400
    assert place.call("GET", "/airlock/events/").status_code == 405


def test_control_characters_and_long_details_become_one_line(place: Place) -> None:
    release = place.new_id()
    updates = [{"update": "a\nb\x1b[31m" + "c" * 1000}]
    assert place.tell(release, "submitted", "alice", updates=updates).json() == {"status": "ok"}
    assert "a b [31mccc" in place.document(release)
