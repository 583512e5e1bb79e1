"""Whether a commit says what it does, event by event."""

from typing import Any

import pytest

from jobserver.audit.trailer_check import disagreements
from jobserver.domain.backends import Backend
from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.permissions import SERVER, Actor
from jobserver.domain.base.state import Change, Changes, Move
from jobserver.domain.orgs import Org
from jobserver.domain.record import Checkpoint, Receipt
from jobserver.domain.site_messages import SiteMessage
from jobserver.domain.users import User
from jobserver.store.read.commits import Commit
from tests.memory import ID, NOW, job
from tests.unit.domain.admitting import REQUEST

PLACE = Place(Area.ACTIVE, NOW.date(), ID)
GONE = PLACE.moved(Area.ARCHIVE)
OTHER = Place(Area.ACTIVE, NOW.date(), "2" * 16)
ALICE, TPP = Actor.parse("user/alice"), Actor.parse("backend/tpp")
EVE, LAB = User(username="eve"), Org(slug="lab", name="Lab")
BACKEND = Backend(slug="tpp", name="TPP", created_at=NOW)
CANCELLED = REQUEST.model_copy(update={"cancelled_actions": ("a", "b")})
RECEIPT = Receipt(number=1, branch="main", old="0" * 40, new="1" * 40, pusher="user/alice", received_at=NOW)
CHECKPOINT = Checkpoint(number=1, tips={}, made_at=NOW)


def commit(event: str, branch: str, author: str, *requests: str) -> Commit:
    lines = [f"Event: {event}", f"Branch: {branch}", *(f"Job-Request: {identifier}" for identifier in requests)]
    return Commit("0" * 40, b"", (), author, 0, "said\n\n" + "\n".join(lines) + "\n")


def told(
    event: str,
    *changes: Change,
    branch: str = "main",
    moves: tuple[Move, ...] = (),
    actor: Actor = ALICE,
    author: str = "alice@users.jobs.example",
    others: tuple[str, ...] = (),
    requests: tuple[str, ...] = (),
    says: str = "",
) -> list[str]:
    made = Changes(branch, "", "", changes, moves)
    return disagreements(commit(event, says or branch, author, *requests), actor, made, others)


ONE = (ID,)


@pytest.mark.parametrize(
    ("event", "changes", "more"),
    [
        ("user.created", [Change("users/eve.yaml", None, EVE)], {}),
        ("user.updated", [Change("users/eve.yaml", EVE, EVE)], {}),
        ("message.updated", [Change("messages/site.yaml", None, SiteMessage(text="x"))], {}),
        ("org.created", [Change("orgs/lab.yaml", None, LAB)], {}),
        ("backend.deactivated", [Change("backends/tpp.yaml", BACKEND, BACKEND)], {}),
        ("job-request.created", [Change(PLACE.request, None, REQUEST)], {"branch": "backends/tpp", "requests": ONE}),
        (
            "job-request.cancelled",
            [Change(PLACE.request, REQUEST, CANCELLED)],
            {"branch": "backends/tpp", "requests": ONE},
        ),
        ("jobs.updated", [Change(PLACE.job("j"), None, job())], {"branch": "backends/tpp", "requests": ONE}),
        (
            "jobs.updated",
            [Change(PLACE.job("j"), None, job()), Change(OTHER.job("k"), job("k"), None)],
            {"branch": "backends/tpp", "requests": (OTHER.identifier, ID)},
        ),
        (
            "jobs.updated",
            [],
            {
                "branch": "backends/tpp",
                "moves": (Move(PLACE, Area.ARCHIVE),),
                "requests": ONE,
                "actor": TPP,
                "author": "tpp@backends.jobs.example",
            },
        ),
        (
            "job-requests.archived",
            [],
            {
                "branch": "backends/tpp",
                "moves": (Move(PLACE, Area.ARCHIVE), Move(OTHER, Area.ARCHIVE)),
                "requests": (ID, OTHER.identifier),
                "actor": SERVER,
                "author": "jobserver@jobs.example",
            },
        ),
        ("push.received", [Change("receipt.yaml", None, RECEIPT)], {"branch": "audit"}),
        ("tips.checkpointed", [Change("checkpoint.yaml", CHECKPOINT, CHECKPOINT)], {"branch": "audit"}),
        ("user.imported", [Change("users/eve.yaml", None, EVE)], {"actor": SERVER}),
        ("user.imported", [Change("users/eve.yaml", EVE, EVE)], {"actor": SERVER, "author": "tpp@backends.x"}),
        ("org.imported", [Change("orgs/lab.yaml", None, LAB)], {"actor": SERVER, "author": "jobserver@x"}),
        (
            "job-request.imported",
            [Change(PLACE.request, None, REQUEST), Change(PLACE.job("j"), None, job())],
            {"branch": "backends/tpp", "requests": ONE, "actor": SERVER},
        ),
        (
            "job-request.imported",
            [Change(GONE.job("j"), None, job())],
            {"branch": "backends/tpp", "requests": ONE, "actor": SERVER, "moves": (Move(PLACE, Area.ARCHIVE),)},
        ),
        ("branch.opened", [], {"others": ("README.md",)}),
        ("keys.rotated", [], {"others": ("allowed_signers",)}),
    ],
)
def test_trailers_that_say_what_changed_agree(event: str, changes: list[Change], more: dict[str, Any]) -> None:
    assert told(event, *changes, **more) == []


ELSE = "says Event: {}, but does something else"


@pytest.mark.parametrize(
    ("event", "changes", "more"),
    [
        ("", [Change("users/eve.yaml", None, EVE)], {}),
        ("user.created", [Change("users/eve.yaml", EVE, EVE)], {}),
        ("user.updated", [Change("users/eve.yaml", EVE, None)], {}),
        ("user.created", [Change("orgs/lab.yaml", None, LAB)], {}),
        ("user.created", [], {}),
        ("user.created", [Change("users/eve.yaml", None, EVE), Change("users/e.yaml", None, EVE)], {}),
        ("nothing.known", [Change("users/eve.yaml", None, EVE)], {}),
        ("job-request.created", [Change(PLACE.request, REQUEST, REQUEST)], {"branch": "backends/tpp", "requests": ONE}),
        ("job-request.created", [Change(PLACE.job("j"), None, job())], {"branch": "backends/tpp", "requests": ONE}),
        ("job-request.cancelled", [Change(PLACE.request, None, REQUEST)], {"branch": "backends/tpp", "requests": ONE}),
        ("job-request.cancelled", [Change(PLACE.request, REQUEST, None)], {"branch": "backends/tpp", "requests": ONE}),
        ("job-request.cancelled", [Change(PLACE.job("j"), job(), job())], {"branch": "backends/tpp", "requests": ONE}),
        ("jobs.updated", [], {"branch": "backends/tpp"}),
        ("jobs.updated", [Change(PLACE.request, REQUEST, CANCELLED)], {"branch": "backends/tpp", "requests": ONE}),
        ("user.imported", [Change("orgs/lab.yaml", None, LAB)], {}),
        ("job-request.imported", [Change("users/eve.yaml", None, EVE)], {}),
        (
            "job-request.imported",
            [Change(PLACE.job("j"), None, job()), Change(OTHER.job("k"), None, job("k"))],
            {"branch": "backends/tpp", "requests": (OTHER.identifier, ID)},
        ),
        (
            "job-request.imported",
            [Change(PLACE.job("j"), None, job())],
            {"branch": "backends/tpp", "moves": (Move(GONE, Area.ACTIVE),), "requests": ONE},
        ),
        ("job-requests.archived", [], {"branch": "backends/tpp"}),
        (
            "job-requests.archived",
            [],
            {"branch": "backends/tpp", "moves": (Move(PLACE, Area.ACTIVE),), "requests": ONE},
        ),
        (
            "job-requests.archived",
            [Change(PLACE.job("j"), None, job())],
            {"branch": "backends/tpp", "moves": (Move(PLACE, Area.ARCHIVE),), "requests": ONE},
        ),
        (
            "job-request.cancelled",
            [Change(PLACE.request, REQUEST, CANCELLED)],
            {"branch": "backends/tpp", "moves": (Move(PLACE, Area.ARCHIVE),), "requests": ONE},
        ),
    ],
)
def test_a_change_that_its_event_does_not_make_is_named(
    event: str, changes: list[Change], more: dict[str, Any]
) -> None:
    assert told(event, *changes, **more) == [ELSE.format(event or "nothing")]


ADDED = Change("users/eve.yaml", None, EVE)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"says": "audit"}, "says Branch: audit, but is on main"),
        ({"author": "bob@users.jobs.example"}, "says Actor: user/alice, but its author is bob@users.jobs.example"),
        (
            {"author": "alice@backends.jobs.example"},
            "says Actor: user/alice, but its author is alice@backends.jobs.example",
        ),
        (
            {"actor": TPP, "author": "tpp@users.jobs.example"},
            "says Actor: backend/tpp, but its author is tpp@users.jobs.example",
        ),
        (
            {"actor": SERVER, "author": "alice@users.jobs.example"},
            "says Actor: server/jobserver, but its author is alice@users.jobs.example",
        ),
        (
            {"others": ("README.md", "allowed_signers")},
            "says Event: user.created, but changes README.md, allowed_signers",
        ),
        ({"requests": ONE}, f"says Job-Request: {ID}; it is "),
    ],
)
def test_trailers_that_disagree_with_the_changes_are_named(more: dict[str, Any], expected: str) -> None:
    assert told("user.created", ADDED, **more) == [expected]


def test_an_imported_commit_has_an_author_of_this_server() -> None:
    said = told("user.imported", ADDED, actor=SERVER, author="alice@elsewhere.example")
    assert said == ["says Actor: server/jobserver, but its author is alice@elsewhere.example"]


def test_a_commit_without_trailers_is_named() -> None:
    bare = Commit("0" * 40, b"", (), "alice@users.x", 0, "said\n")
    changes = Changes("backends/tpp", "", "", (Change(PLACE.job("j"), None, job()),))
    assert disagreements(bare, ALICE, changes, ()) == [
        "says Branch: nothing, but is on backends/tpp",
        "says Event: nothing, but does something else",
        f"says Job-Request: nothing; it is {ID}",
    ]


@pytest.mark.parametrize("event", ["branch.opened", "keys.rotated", "key.revoked"])
def test_events_that_change_no_document(event: str) -> None:
    assert told(event, ADDED) == [f"says Event: {event}, but changes documents"]
