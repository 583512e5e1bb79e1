"""Webhooks of a workspace: added and removed on its page by those who may do so by command."""

import re
from datetime import UTC, datetime

import pytest

from jobserver.domain.base.permissions import Role
from jobserver.domain.users import AddUser
from jobserver.errors import invalid
from jobserver.service.notify.webhooks.client import WebhookClient
from jobserver.service.notify.webhooks.store import Webhooks
from tests.integration.web.pages.conftest import ROOT, Place

PAGE = "/trends/settings/webhooks/"


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any URL, except one that the server would refuse to call."""

    def check(_: WebhookClient, url: str) -> None:
        if "10.0.0.1" in url:
            raise invalid("10.0.0.1 is a private address", "url")

    monkeypatch.setattr(WebhookClient, "check", check)


@pytest.mark.usefixtures("reachable")
def test_a_webhook_is_added_and_removed(place: Place) -> None:
    fields = {"what": "add", "url": "https://hooks.example.org/T0/secret", "event": "job-request.failed"}
    assert place.submit(PAGE, **fields, kind="slack").headers["Location"] == PAGE
    (slack,) = Webhooks(place.private).all()
    assert (slack.kind, slack.scope, slack.events) == ("slack", "workspace/trends", ("job-request.failed",))
    page = place.browser.get(PAGE).text
    assert "https://hooks.example.org/..." in page
    assert "T0/secret" not in page
    assert place.submit(PAGE, what="remove", number=str(slack.number)).status_code == 303
    assert Webhooks(place.private).all() == []


@pytest.mark.usefixtures("reachable")
def test_the_secret_of_a_signed_webhook_is_shown_once(place: Place) -> None:
    fields = {"what": "add", "url": "https://x.example.org/", "event": "job-request.finished", "kind": "standard"}
    place.submit(PAGE, **fields)
    secret = re.search(r"<pre><code>(whsec_[^<]+)</code>", place.browser.get(PAGE).text)
    assert secret
    assert secret[1] not in place.browser.get(PAGE).text


@pytest.mark.usefixtures("reachable")
def test_a_url_that_is_not_called_is_refused_and_kept(place: Place) -> None:
    fields = {"what": "add", "url": "https://10.0.0.1/x", "event": "job-request.finished", "kind": "slack"}
    reply = place.submit(PAGE, **fields)
    assert (reply.status_code, "private address" in reply.text) == (400, True)
    assert 'value="https://10.0.0.1/x"' in reply.text
    assert place.submit(PAGE, **{**fields, "event": "backend.silent"}).status_code == 400


def test_only_who_manages_the_workspace_sees_them(place: Place) -> None:
    place.app.gate.submit(ROOT, AddUser("dev", roles=(Role.CORE_DEVELOPER,)), "test")
    dev = place.visitor()
    place.log_in(dev, "dev")
    assert dev.get(PAGE).status_code == 403
    assert "Webhooks and Slack" not in dev.get("/trends/settings/").text
    assert "Webhooks and Slack" in place.browser.get("/trends/settings/").text
    other = Webhooks(place.private).add("slack", "https://x/", "all", ["backend.silent"], "root", datetime.now(UTC))
    assert place.submit(PAGE, what="remove", number=str(other.number)).status_code == 404
