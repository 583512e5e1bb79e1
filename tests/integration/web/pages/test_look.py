"""What every page has, and what only the people who need it see: titles, banners, the settings of a workspace."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import Role
from jobserver.domain.users import AddUser
from jobserver.domain.waiting.backend_status import BackendContact
from jobserver.service.presence import Presence
from tests.e2e.pages.browser import Browser
from tests.integration.web.pages.conftest import ROOT, Place

TITLES = {
    "/": "Home",
    "/trends/": "Run · trends",
    "/trends/logs/": "Event log · trends",
    "/trends/audit/": "Audit · trends",
    "/trends/settings/": "Settings · trends",
    "/status/": "Status",
    "/backends/tpp/": "Settings · tpp",
    "/backends/tpp/audit/": "Audit · tpp",
    "/users/root/": "People · root",
    "/settings/": "Settings",
    "/design/field/": "Field · Design",
    "/nowhere/": "Page not found",
    "/design/nothing/": "Page not found",
    "/jobs/?nonsense=1": "There is a problem",
}


def title(text: str) -> str:
    match = re.search(r"<title>(.*?) · jobserver</title>", text, re.DOTALL)
    assert match
    return " ".join(match[1].split())


@pytest.mark.parametrize("path", TITLES)
def test_a_title_names_the_page_and_then_the_thing(shared: Place, path: str) -> None:
    assert title(shared.browser.get(path).text) == TITLES[path]


def test_the_title_of_a_refused_form_says_so(shared: Place) -> None:
    assert title(shared.submit("/workspaces/new/", name="no good").text) == "Error: New workspace"


def late(text: str) -> list[str]:
    return re.findall(r"<strong>(\w+)</strong>\s+was last seen", text)


def test_a_late_backend_is_named_where_it_matters_until_that_is_dismissed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tpp, which the workspace uses, and one that nobody uses: root operates both."""
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    place.app.gate.submit(ROOT, AddBackend("unused", "b" * 64), "test")
    place.app.gate.submit(ROOT, AddUser("bob", roles=(Role.CORE_DEVELOPER,)), "test")
    contacts = {slug: BackendContact(an_hour_ago) for slug in ("tpp", "unused")}
    monkeypatch.setattr(Presence, "contacts", lambda self: contacts)
    bob = place.visitor()
    place.log_in(bob, "bob")
    assert late(bob.get("/trends/").text) == ["tpp"]
    assert [late(bob.get(path).text) for path in ("/", "/jobs/", "/settings/")] == [[], [], []]
    assert sorted(late(place.browser.get("/").text)) == ["tpp", "unused"]
    form = Browser.token(bob.get("/trends/"))
    reply = bob.post("/status/tpp/", data={"form": form}, headers={"Referer": "http://jobs.example/trends/"})
    assert reply.headers["Location"] == "/trends/"
    assert late(bob.get("/trends/").text) == []
    assert late(place.browser.get("/trends/").text) == ["tpp"]
    contacts["tpp"] = BackendContact(an_hour_ago + timedelta(minutes=5))  # it came back, and went again
    assert late(bob.get("/trends/").text) == ["tpp"]


def test_the_settings_of_a_workspace_have_a_tab(place: Place) -> None:
    assert 'href="/trends/settings/">Settings' in place.browser.get("/trends/").text
    assert "Archive workspace" not in place.browser.get("/trends/").text
    reply = place.submit("/trends/settings/", what="save", branch="main", db="full", repo="study")
    assert reply.headers["Location"] == "/trends/settings/"
    assert 'role="status">Saved.<' in place.browser.get("/trends/settings/").text
    reply = place.submit("/trends/settings/", what="save", branch="gone", db="full", repo="study")
    assert reply.status_code == 404
    assert 'id="save-branch-error"' in reply.text
    assert 'value="gone"' in reply.text
    assert place.submit("/trends/settings/", what="archive").status_code == 303
    assert "Unarchive workspace" in place.browser.get("/trends/settings/").text
    assert place.submit("/trends/settings/", what="restore").status_code == 303


def test_who_cannot_change_a_workspace_sees_no_settings(place: Place) -> None:
    place.app.gate.submit(ROOT, AddUser("reader"), "test")
    reader = place.visitor()
    place.log_in(reader, "reader")
    assert "/trends/settings/" not in reader.get("/trends/").text
    assert reader.get("/trends/settings/").status_code == 403


def test_what_a_person_cannot_do_is_not_offered(place: Place) -> None:
    place.app.gate.submit(ROOT, AddUser("reader"), "test")
    reader = place.visitor()
    place.log_in(reader, "reader")
    home = reader.get("/").text
    assert 'href="/workspaces/new/"' not in home
    assert 'href="/workspaces/new/"' in place.browser.get("/").text
    assert "will_notify" not in place.browser.get("/trends/").text  # this server sends no email
