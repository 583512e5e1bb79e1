"""Logging in to Airlock with three words from the settings page, in the shapes that Airlock's own client reads."""

import string
from datetime import timedelta

import httpx
import pytest

from jobserver.domain.base.permissions import Role
from jobserver.domain.governance.project_limits import ChangeProject, ProjectStatus
from jobserver.domain.users import AddUser, ChangeUser, DisableUser, EnableUser
from jobserver.domain.workspaces import ChangeWorkspace, ConnectWorkspace
from jobserver.service.accounts.one_time import known_words
from tests.integration.web.airlock.conftest import Place


def enter(place: Place, user: str, token: str, backend: str = "tpp") -> httpx.Response:
    return place.call("POST", "/releases/authenticate", f"token of {backend}", json={"user": user, "token": token})


def authorise(place: Place, user: str) -> httpx.Response:
    return place.call("POST", "/releases/authorise", json={"user": user, "tenant": "from a newer Airlock"})


def test_three_words_log_a_person_in_once(place: Place) -> None:
    words = place.words()
    assert len(words.split()) == 3
    reply = enter(place, "alice", words)
    assert reply.status_code == 200
    assert reply.json() == {
        "username": "alice",
        "fullname": "Alice Ng",
        "workspaces": {
            "trends": {
                "project_details": {"name": "Trends over time", "ongoing": True, "orgs": ["The Lab"]},
                "archived": False,
            }
        },
        "copiloted_workspaces": {},
        "output_checker": False,
        "readonly_access": False,
    }
    again = enter(place, "alice", words)
    assert (again.status_code, again.json()) == (
        403,
        {"detail": "The user or the one-time token is wrong: each token works once"},
    )


def test_the_record_says_who_logged_in_where_and_never_the_words(place: Place) -> None:
    words = place.words()
    commit = enter(place, "alice", words, "emis").headers["X-Commit"]
    log = place.git("log", "-2", "-p", "--format=%an %s%n%b", commit)
    assert "alice logged in to Airlock on emis" in log
    assert "Event: user.one-time-token-used" in log
    assert "Event: user.one-time-token-created" in log
    assert words not in log
    assert "one_time_token" not in place.git("show", f"{commit}:users/alice.yaml")


def test_the_address_and_the_spelling_are_forgiven(place: Place) -> None:
    words = place.words()
    assert enter(place, "alice@EXAMPLE.org", f"  {words.title().replace(' ', '-')} ").status_code == 200
    assert enter(place, " alice ", place.words().replace(" ", "")).status_code == 200


def test_a_newer_token_ends_the_one_before(place: Place) -> None:
    first, second = place.words(), place.words()
    assert enter(place, "alice", first).status_code == 403
    assert enter(place, "alice", second).status_code == 200


def test_a_token_works_for_its_person_only_and_for_an_hour(place: Place) -> None:
    words = place.words()
    assert enter(place, "carol", words).status_code == 403
    place.clock.ahead = timedelta(minutes=61)
    late = enter(place, "alice", words)
    assert late.status_code == 403
    assert late.json() == {"detail": "The one-time token has expired: create a new one on the settings page"}


def test_a_person_who_was_disabled_needs_a_new_token(place: Place) -> None:
    words = place.words()
    place.do(DisableUser("alice"))
    assert enter(place, "alice", words).status_code == 403
    assert authorise(place, "alice").status_code == 403
    place.do(EnableUser("alice"))
    assert enter(place, "alice", words).status_code == 403
    assert enter(place, "alice", place.words()).status_code == 200


def test_guessing_ends_after_ten_tries(place: Place) -> None:
    assert {enter(place, "nobody", "acorn acorn acorn").status_code for _ in range(10)} == {403}
    assert "Too many wrong one-time tokens for Nobody" in enter(place, "Nobody", "acorn acorn acorn").json()["detail"]
    assert enter(place, "alice", place.words()).status_code == 200


@pytest.mark.parametrize("names", [["erin", " erin", "erin  "], ["dave", "dave@example.org", "DAVE@example.org "]])
def test_ten_tries_are_for_a_person_however_they_are_written(place: Place, names: list[str]) -> None:
    place.private.set_email("dave", "dave@example.org")
    for number in range(10):
        assert "is wrong" in enter(place, names[number % len(names)], "acorn acorn acorn").json()["detail"]
    for name in names:
        assert "Too many wrong one-time tokens" in enter(place, name, "acorn acorn acorn").json()["detail"]


def test_authorise_says_what_a_person_may_see(place: Place) -> None:
    checker = authorise(place, "carol").json()
    assert (checker["output_checker"], checker["fullname"]) == (True, "carol")
    assert authorise(place, "ghost").status_code == 404
    place.do(ChangeWorkspace("trends", archived=True))
    assert authorise(place, "alice").json()["workspaces"]["trends"]["archived"] is True
    place.do(ChangeWorkspace("trends", archived=False))
    place.do(ConnectWorkspace("elsewhere", "lab/trends"))
    assert set(authorise(place, "alice").json()["workspaces"]) == {"trends", "elsewhere"}


def test_who_may_not_use_a_backend_does_not_get_in(place: Place) -> None:
    words = place.words()
    place.do(ChangeUser("alice", {"backends": ("emis",)}))
    reply = enter(place, "alice", words)
    assert (reply.status_code, reply.json()) == (403, {"detail": "alice may not use backend tpp: expected emis"})
    assert authorise(place, "alice").status_code == 403
    assert enter(place, "alice", words, "emis").status_code == 200  # the token was not used up
    place.do(ChangeUser("alice", {"backends": None}))


def test_an_ended_project_is_not_ongoing_and_support_only_reads(place: Place) -> None:
    place.do(ChangeProject("lab/trends", {"status": ProjectStatus.COMPLETED}))
    user = authorise(place, "alice").json()
    assert user["workspaces"]["trends"]["project_details"]["ongoing"] is False
    place.do(ChangeProject("lab/trends", {"status": None}))
    place.do(AddUser("tess", roles=(Role.TECH_SUPPORT,)))
    support = authorise(place, "tess").json()
    assert (support["readonly_access"], support["output_checker"], support["workspaces"]) == (True, False, {})


@pytest.mark.parametrize("path", ["authenticate", "authorise"])
def test_only_a_backend_may_ask(place: Place, path: str) -> None:
    with place.client() as stranger:
        assert stranger.post(f"/api/v2/releases/{path}", json={"user": "alice"}).status_code == 403
    with place.client(Authorization="token of tpp") as airlock:
        assert airlock.post(f"/api/v2/releases/{path}", json=[]).status_code == 400
        assert airlock.post(f"/api/v2/releases/{path}", json={"user": 7}).json()["user"] == [
            "expected text, found a number"
        ]
        assert airlock.get(f"/api/v2/releases/{path}").status_code == 405


def test_the_words_are_many_short_and_easy_to_type() -> None:
    words = known_words()
    assert len(set(words)) == len(words) > 1100
    assert all(2 <= len(word) <= 9 and set(word) <= set(string.ascii_lowercase) for word in words)
