"""Webhooks: signatures, what a call holds, which addresses may be called, and when a backend is silent."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from jobserver.domain.backends import Backend
from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.state import Stored
from jobserver.domain.job_requests.requests import JobRequest, RequestedWorkspace
from jobserver.service.notify.webhooks.client import is_public
from jobserver.service.notify.webhooks.events import finished_event, silence_event, trial_event
from jobserver.service.notify.webhooks.silence import SilenceChange, silence_changes
from jobserver.service.notify.webhooks.store import BACK, FAILED, FINISHED, SILENT, Webhook, headers
from jobserver.service.writes.job_requests import RequestWithJobs
from tests.site import job

ID = "2" * 16
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"


def webhook(kind: str = "standard", scope: str = "all", events: tuple[str, ...] = ("job-request.finished",)) -> Webhook:
    return Webhook(
        7, "slack" if kind == "slack" else "standard", "https://hooks.example.org/T0/B0", SECRET, scope, events, "a", 0
    )


def finished(*outcomes: str, cancelled_by: tuple[str, ...] = (), project: str | None = None) -> RequestWithJobs:
    """A request of the workspace trends, with actions a, b and so on."""
    request = JobRequest(
        identifier=ID,
        backend="tpp",
        created_by="alice",
        created_at=NOW,
        sha="0" * 40,
        requested_actions=("run_all",),
        database_name="full",
        project=project,
        workspace=RequestedWorkspace(
            name="trends", repo="https://x", branch="main", db="full", created_by="bob", created_at=NOW
        ),
    )
    codes = {"cancelled": "cancelled_by_user", "skipped": "dependency_failed"}
    jobs = tuple(
        job(
            f"j{number}", "failed" if outcome in codes else outcome, number, "abcdefgh"[number], "patient 17 is odd"
        ).model_copy(update={"status_code": codes.get(outcome, "")})
        for number, outcome in enumerate(outcomes)
    )
    return RequestWithJobs(Stored(Place(Area.ARCHIVE, NOW.date(), ID), request), jobs, (), cancelled_by)


def backend(slug: str = "tpp", **more: Any) -> Backend:
    return Backend(slug=slug, name=slug.upper(), created_at=NOW, **more)


def test_a_call_is_signed_so_that_the_library_of_the_scheme_accepts_it() -> None:
    event = trial_event("https://jobs.example", datetime.now(UTC))
    body = webhook().message(event).content
    sent = headers(webhook(), event.id, body, datetime.now(UTC))
    assert Verifier(SECRET).verify(body, sent) == {
        "type": "test",
        "timestamp": json.loads(body)["timestamp"],
        "data": {"url": "https://jobs.example"},
    }
    later = headers(webhook(), event.id, body, datetime.now(UTC) + timedelta(minutes=1))
    assert later["webhook-id"] == sent["webhook-id"]  # receivers recognise a repeated call
    assert later["webhook-signature"] != sent["webhook-signature"]
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(body.replace("test", "text"), sent)


def test_a_known_signature() -> None:
    """HMAC-SHA256 over `id.timestamp.body`, by the specification."""
    sent = headers(webhook(), "x", "{}", datetime.fromtimestamp(1_700_000_000.9, UTC))
    assert sent["webhook-timestamp"] == "1700000000"
    text = f"{sent['webhook-id']}.1700000000.{{}}".encode()
    digest = hmac.new(bytes(range(32)), text, "sha256").digest()
    assert sent["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("jobs", "outcome", "failed", "names"),
    [
        (("succeeded", "succeeded"), "succeeded", [], {FINISHED}),
        (("succeeded", "failed"), "failed", ["b"], {FINISHED, FAILED}),
        (("failed", "skipped", "skipped"), "failed", ["a"], {FINISHED, FAILED}),
        (("succeeded", "cancelled", "skipped"), "cancelled", [], {FINISHED}),
        (("failed", "cancelled"), "failed", ["a"], {FINISHED, FAILED}),
    ],
)
def test_how_a_request_finished(jobs: tuple[str, ...], outcome: str, failed: list[str], names: set[str]) -> None:
    event = finished_event(finished(*jobs, cancelled_by=("cara",), project="lab/p"), "https://jobs.example")
    assert set(event.names) == names
    assert event.data["status"] == event.data["outcome"] == outcome
    assert event.data["failed_actions"] == failed
    assert event.data["cancelled_by"] == ["cara"]
    assert ("cancelled by cara" in event.text) is (outcome == "cancelled")
    assert event.data["url"] == f"https://jobs.example/job-requests/{ID}/"
    assert (event.data["workspace"], event.data["project"], event.data["backend"]) == ("trends", "lab/p", "tpp")
    for kind in ("standard", "slack"):
        assert "patient" not in webhook(kind).message(event).content


def test_slack_gets_a_sentence_with_a_link() -> None:
    event = finished_event(finished("failed", "succeeded"), "https://jobs.example")
    message = webhook("slack").message(event)
    assert json.loads(message.content) == {
        "text": f"<https://jobs.example/job-requests/{ID}/|trends on tpp> failed: a (requested by alice)"
    }
    assert headers(webhook("slack"), event.id, message.content, NOW) == {}
    odd = backend().model_copy(update={"name": "<!channel> | R&D"})
    text = silence_event(SilenceChange(odd, 0), NOW, "https://jobs.example").text
    assert text.startswith("<https://jobs.example/backends/tpp/|&lt;!channel&gt; / R&amp;D> has not called since 1970")


def test_the_url_of_slack_is_a_secret() -> None:
    assert webhook("slack").shown_url == "https://hooks.example.org/..."
    assert "hooks" not in webhook("slack").message(trial_event("https://jobs.example", NOW)).subject


@pytest.mark.parametrize(
    ("scope", "events", "covers"),
    [
        ("all", (FINISHED,), True),
        ("all", (SILENT, BACK), False),
        ("workspace/trends", (FINISHED,), True),
        ("workspace/other", (FINISHED,), False),
        ("project/lab/p", (FAILED,), True),
        ("project/lab/q", (FINISHED,), False),
    ],
)
def test_which_webhooks_get_an_event(scope: str, events: tuple[str, ...], covers: bool) -> None:
    event = finished_event(finished("failed", project="lab/p"), "https://jobs.example")
    assert webhook(scope=scope, events=events).covers(event) == covers


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_private_addresses(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("heard", "silent", "started", "now", "changes"),
    [
        ({}, {}, 0, 10_000, []),  # never connected
        ({"tpp": 1000}, {}, 0, 1300, []),
        ({"tpp": 1000}, {}, 0, 1301, [(1000, None)]),
        ({"tpp": 1000}, {"tpp": 1000}, 0, 9999, []),  # announced once
        ({"tpp": 2000}, {"tpp": 1000}, 0, 2001, [(1000, 2000)]),
        ({"tpp": 1000}, {}, 5000, 5300, []),  # the server did not run before
        ({"tpp": 1000}, {}, 5000, 5301, [(1000, None)]),
        ({"off": 1000}, {}, 0, 9999, []),  # deactivated
        ({"slow": 1000}, {}, 0, 1000 + 3600, []),
        ({"slow": 1000}, {}, 0, 1001 + 3600, [(1000, None)]),
    ],
)
def test_when_a_backend_is_silent_and_back(
    heard: dict[str, int],
    silent: dict[str, int],
    started: int,
    now: int,
    changes: list[tuple[int, int | None]],
) -> None:
    backends = [backend(), backend("off", active=False), backend("slow", alert_after_minutes=60)]
    result = silence_changes(backends, heard, silent, started, now)
    assert [(change.since, change.back) for change in result] == changes
