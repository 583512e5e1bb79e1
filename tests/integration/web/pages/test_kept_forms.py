"""A form whose session ended is kept, through the login, for its person; and is never sent by itself."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from jobserver.cli.login_link import login_path
from jobserver.domain.users import AddUser
from jobserver.web.pages import sessions
from jobserver.web.pages.kept_forms import KeptForms
from tests.e2e.pages.browser import Browser
from tests.integration.web.pages.conftest import ROOT, Place

FIELDS = {"name": "lungs", "repo": "study", "branch": "trunk", "db": "full"}


def end_session(place: Place, browser: httpx.Client) -> None:
    """As an end by time or by an administrator does: the browser keeps its pages."""
    browser.post("/logout/", data={"form": Browser.token(browser.get("/settings/"))})


def log_in_from(place: Place, browser: httpx.Client, reply: httpx.Response, username: str) -> httpx.Response:
    """Follows the redirect to the login page, logs in, and opens the page that the login leads to."""
    assert reply.status_code == 303
    login = browser.get(reply.headers["Location"])
    assert "The form that you sent is kept" in " ".join(login.text.split())
    return browser.get(place.log_in(browser, username).headers["Location"])


def commits(place: Place) -> list[str]:
    return [str(place.app.repo.writer.refs.tip(branch)) for branch in ("main", "backends/tpp")]


def test_a_form_comes_back_after_the_login_and_is_not_sent(place: Place) -> None:
    token = Browser.token(place.browser.get("/workspaces/new/"))
    end_session(place, place.browser)
    before = commits(place)
    reply = place.browser.post("/workspaces/new/", data={"form": token, **FIELDS})
    page = log_in_from(place, place.browser, reply, "root")
    assert "Your session had ended, so this form was not sent" in page.text
    for value in ("lungs", "study", "trunk"):
        assert f'value="{value}"' in page.text
    assert commits(place) == before
    sent = place.browser.post("/workspaces/new/", data={"form": Browser.token(page), **FIELDS, "branch": "main"})
    assert sent.headers["Location"] == "/lungs/"


def test_the_actions_that_were_selected_come_back(place: Place) -> None:
    token = Browser.token(place.browser.get("/trends/"))
    end_session(place, place.browser)
    options = {"backend": "tpp", "force_run_dependencies": "on"}
    fields = {"form": token, "requested_actions": ["analyse", "report"], **options}
    page = log_in_from(place, place.browser, place.browser.post("/trends/", data=fields), "root").text
    assert re.findall(r'name="requested_actions" value="(\w+)"[^>]* checked', page) == ["analyse", "report"]
    assert re.search(r'name="force_run_dependencies" value="on" checked', page)


def test_another_person_does_not_see_it(place: Place) -> None:
    place.app.gate.submit(ROOT, AddUser("bob"), "test")
    token = Browser.token(place.browser.get("/trends/"))
    end_session(place, place.browser)
    reply = place.browser.post("/trends/", data={"form": token, "requested_actions": "analyse", "backend": "tpp"})
    kept = parse_qs(urlsplit(reply.headers["Location"]).query)["next"][0]
    bob = place.visitor()
    place.log_in(bob, "bob")
    page = bob.get(kept)
    assert page.status_code == 200
    assert "was not sent" not in page.text
    assert " checked" not in page.text


def test_a_page_of_an_earlier_session_is_shown_again_instead_of_being_sent(place: Place) -> None:
    token = Browser.token(place.browser.get("/trends/"))
    end_session(place, place.browser)
    place.log_in(place.browser, "root")  # in another tab
    before = commits(place)
    reply = place.browser.post("/trends/", data={"form": token, "requested_actions": "analyse", "backend": "tpp"})
    assert reply.headers["Location"].startswith("/trends/?kept=")
    assert 'value="analyse" data-action checked' in place.browser.get(reply.headers["Location"]).text
    assert commits(place) == before


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_a_form_that_this_server_did_not_make_is_not_kept(place: Place, token: str) -> None:
    fields = {"form": token, "requested_actions": "analyse", "backend": "tpp"}
    assert place.browser.post("/trends/", data=fields).status_code == 403
    assert place.visitor().post("/trends/", data=fields).headers["Location"] == "/login/?next=/trends/"
    genuine = {**fields, "form": Browser.token(place.browser.get("/trends/"))}
    stranger = place.visitor().post("/trends/", data=genuine, headers={"Origin": "https://evil.example"})
    assert stranger.status_code == 403
    assert place.private.run("SELECT count(*) FROM kept_forms") == [(0,)]


def test_an_action_without_a_page_of_its_own_leads_back_to_the_page_that_has_it(place: Place) -> None:
    own = place.submit("/trends/", requested_actions="generate", backend="tpp").headers["Location"]
    token = Browser.token(place.browser.get(own))
    end_session(place, place.browser)
    headers = {"Referer": f"http://jobs.example{own}"}
    reply = place.browser.post(f"{own}cancel/", data={"form": token, "actions": "generate"}, headers=headers)
    page = log_in_from(place, place.browser, reply, "root")
    assert (page.url.path, page.status_code, "was not sent" in page.text) == (own, 200, True)
    elsewhere = {"Referer": "https://evil.example/x/"}
    end_session(place, place.browser)
    reply = place.browser.post(f"{own}cancel/", data={"form": token, "actions": "generate"}, headers=elsewhere)
    assert parse_qs(urlsplit(reply.headers["Location"]).query)["next"][0].startswith("/?kept=")


def test_logging_out_of_a_session_that_has_ended_leads_to_the_login(place: Place) -> None:
    token = Browser.token(place.browser.get("/trends/"))
    end_session(place, place.browser)
    assert place.browser.post("/logout/", data={"form": token}).headers["Location"] == "/login/?next=/"


def test_kept_forms_are_few_small_and_short_lived(place: Place) -> None:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    kept = KeptForms(place.private, lambda: now)
    ids = [kept.keep("alice", "/x/", [("name", str(number)), ("form", "secret")]) for number in range(7)]
    assert kept.find(ids[-1], "alice", "/x/") == [("name", "6")]
    assert [bool(kept.find(identifier, "alice", "/x/")) for identifier in ids] == [False] * 2 + [True] * 5
    assert kept.find(ids[-1], "bob", "/x/") == []
    assert kept.find(ids[-1], "alice", "/y/") == []
    assert kept.keep("alice", "/x/", [("name", "x" * 300_000)]) == ""
    now += timedelta(hours=2)
    assert kept.find(ids[-1], "alice", "/x/") == []
    assert kept.keep("bob", "/x/", [("form", "secret")]) == ""
    kept.keep("bob", "/x/", [("name", "x")])
    assert place.private.run("SELECT count(*) FROM kept_forms") == [(1,)]


def test_a_login_link_says_why_it_does_not_work(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    link = login_path(place.app.settings, "root")
    visitor = place.visitor()
    form = Browser.token(visitor.get(link))
    assert visitor.post(link, data={"form": form}).status_code == 303
    again = visitor.get(link)
    assert (again.status_code, "has been used" in again.text) == (410, True)
    assert "already logged in as root" in again.text
    other = place.visitor().get(link)
    assert (other.status_code, "has been used" in other.text) == (410, True)
    assert "jobserver user login-link" in other.text
    monkeypatch.setattr(sessions, "LINK_SECONDS", -1)
    late = place.visitor().get(login_path(place.app.settings, "root"))
    assert (late.status_code, "has expired" in late.text) == (410, True)
    unknown = place.visitor().get("/login/link/nonsense/")
    assert (unknown.status_code, "not a login link" in unknown.text) == (404, True)
    for page in (other, late, unknown):
        assert "event log" not in page.text.lower().partition("<main")[2]
