"""Logging in with GitHub, against a server on loopback that answers as GitHub's OAuth and REST API do."""

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from jobserver.errors import Code, Error
from jobserver.service.accounts.github import GitHubLogin, Person
from jobserver.service.accounts.membership import EVERY_SECONDS, WAITED_FOR_SECONDS, Membership
from jobserver.service.accounts.private_store import PrivateStore
from tests.e2e.harness import until
from tests.integration.service.accounts.fake_github import GitHub
from tests.integration.service.accounts.fake_github import github as fake


@pytest.fixture
def github() -> Iterator[GitHub]:
    with fake() as server:
        yield server


def login(github: GitHub, org: str = "org", token: str = "token-of-server") -> GitHubLogin:
    return GitHubLogin("key", "secret", org, token, github.url)


def test_members_of_the_organisation_are_let_in(github: GitHub) -> None:
    assert login(github).person("code-of-dora") == Person(1, "dora", "Dora <b>", "dora@example.org")
    with pytest.raises(Error, match="mallory is not in the GitHub organisation org") as refused:
        login(github).person("code-of-mallory")
    assert refused.value.code is Code.FORBIDDEN
    assert login(github, org="").person("code-of-mallory").login == "mallory"


def test_an_unknown_account_and_a_silent_github_are_named(github: GitHub) -> None:
    with pytest.raises(Error, match="GitHub refused") as refused:
        login(github).person("guessed")
    assert refused.value.code is Code.UNAVAILABLE
    github.is_down = True
    with pytest.raises(Error, match="GitHub refused"):
        login(github).person("code-of-dora")


def test_private_members_can_log_in_without_the_servers_token(github: GitHub) -> None:
    """Their own token says it, if they are asked for the scope that it takes."""
    mine = login(github, token="")
    assert parse_qs(urlsplit(mine.login_url("s", "https://x/")).query)["scope"] == ["read:org"]
    for other in (login(github), login(github, org="", token="")):
        assert "scope" not in parse_qs(urlsplit(other.login_url("s", "https://x/")).query)
    github.sees_members = {"dora", "mallory"}
    assert mine.person("code-of-dora").login == "dora"
    with pytest.raises(Error, match="mallory is not in the GitHub organisation org"):
        mine.person("code-of-mallory")


def test_a_token_that_sees_no_private_members_says_nobody_has_left(github: GitHub) -> None:
    """GitHub's 302 is no "no", and neither is a refusal."""
    github.sees_members = set()
    with pytest.raises(Error, match="GitHub does not show GITHUB_TOKEN whether dora is in the organisation") as unknown:
        login(github).is_member(1)
    assert unknown.value.code is Code.UNAVAILABLE
    github.public_members = {"dora"}
    assert login(github).is_member(1)
    assert login(github, token="").is_member(1)
    github.sees_members = {"server"}
    for status in (401, 403, 429, 500):
        github.status_of_members = status
        with pytest.raises(Error) as unknown:
            login(github).is_member(1)
        assert unknown.value.code is Code.UNAVAILABLE


def test_an_account_that_is_gone_is_out_and_a_renamed_one_is_not(github: GitHub) -> None:
    github.logins[1] = "dora-the-second"
    github.members = {"dora-the-second"}
    assert login(github).is_member(1)
    github.members = {"dora"}  # whoever has the name now
    assert not login(github).is_member(1)
    del github.logins[1]
    for mine in (login(github), login(github, org=""), login(github, org="", token="")):
        assert not mine.is_member(1)
    with pytest.raises(Error, match="GitHub refused"):
        login(github, org="no-such-organisation").is_member(2)


DORA = 1


def test_membership_is_asked_again_after_ten_minutes_and_waited_for_after_an_hour(tmp_path: Path) -> None:
    now, asked, is_down = [1e9], [], [False]
    members = {DORA}

    def is_member(number: int) -> bool:
        asked.append(number)
        if is_down[0]:
            raise Error(Code.UNAVAILABLE, "GitHub is down")
        return number in members

    private = PrivateStore(tmp_path / "private.sqlite3")
    membership = Membership(is_member, private, lambda: now[0])
    membership.record_member(DORA)
    assert not membership.has_left(DORA)
    assert not membership.has_left(None)
    assert asked == []  # logging in had asked
    members.clear()
    now[0] += EVERY_SECONDS
    membership.has_left(DORA)
    until(lambda: membership.has_left(DORA))
    assert asked == [DORA]
    is_down[0] = True
    now[0] += EVERY_SECONDS
    membership.has_left(DORA)
    until(lambda: len(asked) == 2)
    assert membership.has_left(DORA)  # what GitHub last said stands
    again = Membership(is_member, private, lambda: now[0])
    assert again.has_left(DORA)  # also over a restart
    membership.record_member(DORA)
    assert not membership.has_left(DORA)
    is_down[0] = False
    now[0] += WAITED_FOR_SECONDS
    assert membership.has_left(DORA)  # at once: what was known is too old to let somebody in by
    private.close()


def test_nobody_waits_for_an_answer_that_can_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found: where no thread could be begun, every later call of theirs waited for ever."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    membership = Membership(lambda number: True)
    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", refuse)
        assert not membership.has_left(DORA)
    later = threading.Thread(target=membership.has_left, args=(DORA,), daemon=True)
    later.start()
    later.join(10)
    assert not later.is_alive()
