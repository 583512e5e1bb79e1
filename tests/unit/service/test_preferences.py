"""Saved views and pinned workspaces: what is kept, for whom, and until when."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.service.accounts.preferences import Preferences
from jobserver.service.accounts.private_store import PrivateStore


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateStore]:
    with closing(PrivateStore(tmp_path / "private")) as store:
        yield store


def test_a_view_has_a_name_and_a_query_that_can_be_read(private: PrivateStore) -> None:
    preferences = Preferences(private)
    preferences.save_view("alice", " My  failures ", "by:me   status:failed")
    preferences.save_view("alice", "My failures", "status:failed,cancelled by:me")
    preferences.save_view("bob", "x", "asthma")
    assert preferences.views("alice") == {"My failures": "status:failed,cancelled by:me"}
    for name, query in (("", "x"), ("n" * 61, "x"), ("a\x07b", "x"), ("n", ""), ("n", "nope:x")):
        with pytest.raises(Error) as refused:
            preferences.save_view("alice", name, query)
        assert refused.value.code is Code.INVALID
    preferences.delete_view("alice", "My failures")
    assert (preferences.views("alice"), preferences.views("bob")) == ({}, {"x": "asthma"})


def test_pins_are_of_one_person_and_limited(private: PrivateStore) -> None:
    preferences = Preferences(private)
    for number in range(200):
        preferences.pin("alice", f"w{number}", True)
    preferences.pin("alice", "w7", True)
    with pytest.raises(Error, match="unpin one first"):
        preferences.pin("alice", "one-more", True)
    preferences.pin("alice", "w7", False)
    preferences.pin("alice", "one-more", True)
    assert len(preferences.pinned("alice")) == 200
    assert preferences.pinned("bob") == frozenset()


def test_a_new_account_of_the_same_name_starts_with_nothing(private: PrivateStore) -> None:
    preferences = Preferences(private)
    for username in ("alice", "bob"):
        preferences.save_view(username, "mine", "by:me")
        preferences.pin(username, "trends", True)
        private.set_email(username, f"{username}@example.org")
    private.forget("alice")
    assert (preferences.views("alice"), preferences.pinned("alice"), private.email("alice")) == ({}, frozenset(), "")
    assert (preferences.views("bob"), preferences.pinned("bob")) == ({"mine": "by:me"}, {"trends"})
    assert private.email("bob") == "bob@example.org"
