"""The buttons and settings for emails about job requests; the state in a tab's title and icon."""

import re

from jobserver.service.notify.subscriptions import EmailChoice, Subscriptions
from tests.integration.web.pages.conftest import Place


def request_of(place: Place) -> str:
    return str(place.submit("/trends/", requested_actions="generate", backend="tpp").headers["Location"])


def test_following_needs_an_address(place: Place) -> None:
    own = request_of(place)
    assert "add your email address" in place.browser.get(own).text
    place.submit("/settings/", what="email", email="root@example.org")
    assert "Follow by email" in place.browser.get(own).text


def test_a_request_and_a_workspace_are_followed_and_left(place: Place) -> None:
    own = request_of(place)
    identifier = own.strip("/").rpartition("/")[2]
    place.submit("/settings/", what="email", email="root@example.org")
    for page in (own, "/trends/"):
        assert place.submit(f"{page}follow/", page=page, on="1").headers["Location"] == page
        assert "Stop following" in place.browser.get(page).text
    subscriptions = Subscriptions(place.private)
    assert subscriptions.subjects("root") == ["workspace/trends", f"request/{identifier}"]
    settings = place.browser.get("/settings/").text
    assert f'href="{own}"' in settings
    stop = {"from": "settings"}
    assert place.submit(f"{own}follow/", page="/settings/", **stop).headers["Location"] == "/settings/"
    assert place.submit("/trends/follow/", page="/trends/").headers["Location"] == "/trends/"
    assert subscriptions.subjects("root") == []
    for path in ("/job-requests/aaaaaaaaaaaaaaaa/follow/", "/nowhere/follow/"):
        assert place.submit(path, page="/settings/", on="1").status_code == 404


def test_when_to_get_an_email_is_a_setting(place: Place) -> None:
    assert re.search(r'value="finished" selected', place.browser.get("/settings/").text)
    place.submit("/settings/", what="email", email="root@example.org", when="changed")
    assert re.search(r'value="changed" selected', place.browser.get("/settings/").text)
    assert Subscriptions(place.private).choice("root") is EmailChoice.CHANGED
    assert place.submit("/settings/", what="email", email="root@example.org", when="never").status_code == 400
    assert place.submit("/settings/", what="email", email="x@example.org").status_code == 303
    assert Subscriptions(place.private).choice("root") is EmailChoice.CHANGED  # a form without the field


def test_the_tab_shows_the_state(place: Place) -> None:
    assert "icon." in place.browser.get("/trends/").text
    page = place.browser.get(request_of(place)).text
    assert 'data-outcome="unknown"' in page
    assert re.search(r'<link rel="icon" href="/static/icon\.\w+\.svg"', page)
