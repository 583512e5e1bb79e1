"""Why a request waits: the same sentence on its page, in the API and in the command line."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

from tests.e2e.harness import Site, job
from tests.e2e.pages.browser import Browser


def shown_text(page: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", page))


def everywhere(site: Site, alice: Browser, identifier: str) -> dict[str, Any]:
    """The API's answer, after the page and the command have been found to say the same."""
    with site.client("alice") as api:
        item: dict[str, Any] = api.get(f"/api/v2/job-requests/{identifier}/").json()
    start = item["waiting"]["text"].partition(" last seen ")[0]  # the rest goes on
    assert start in shown_text(alice.get(f"/job-requests/{identifier}/").text)
    assert start in site.run("status", identifier)
    shown = json.loads(site.run("status", identifier, "--json"))["waiting"]
    assert (shown["reason"], shown["position"]) == (item["waiting"]["reason"], item["waiting"]["position"])
    return item


def test_why_a_request_waits_from_an_unknown_runner_to_a_running_job(site: Site, alice: Browser) -> None:
    first, second = site.ask("generate", backend="emis"), site.ask("report", backend="emis")
    item = everywhere(site, alice, second)
    assert item["waiting"]["reason"] == "never-connected"
    assert (item["expected_start"], item["expected_end"], item["waiting"]["position"]) == (None, None, 2)
    page = alice.get(f"/job-requests/{second}/").text
    assert "few seconds" not in page
    assert "Expected start" not in page

    since = (datetime.now(UTC) - timedelta(hours=12, minutes=5)).isoformat()
    with site.client("emis", Flags=json.dumps({"paused": {"v": "true", "ts": since}})) as emis:
        emis.listed()
    item = everywhere(site, alice, second)
    assert item["waiting"]["text"] == "emis has been paused for 12 hours. No new jobs will start."
    assert item["expected_start"] is None
    assert "Expected start" not in alice.get(f"/job-requests/{second}/").text

    with site.client("emis", Flags='{"paused": {"v": "", "ts": null}}') as emis:
        emis.listed()
        item = everywhere(site, alice, second)
        assert item["waiting"]["text"] == "Number 2 in the queue of emis, behind generate on plain."
        assert [request["identifier"] for request in item["waiting"]["behind"]] == [first]
        assert f'<a href="/job-requests/{first}/">generate on plain</a>' in alice.get(f"/job-requests/{second}/").text
        for path in ("/", "/plain/", "/plain/logs/", "/jobs/"):
            assert "Number 2 in the queue of emis, behind generate on plain." in shown_text(alice.get(path).text), path
        assert "Queue</dt>" not in alice.get(f"/job-requests/{second}/").text  # the sentence has it
        emis.report(
            job(second, "g1", "running", 1),
            job(second, "a1", "pending", 1, action="analyse", status_code="waiting_on_dependencies"),
        ).raise_for_status()
    with site.client("alice") as api:
        item = api.get(f"/api/v2/job-requests/{second}/").json()
    assert item["waiting"] is None
    starts = {job["action"]: job.get("expected_start", "") for job in item["jobs"]}
    assert starts == {"generate": "", "analyse": None}  # it runs; nothing is known of a past run
    assert {job["action"]: job.get("waiting") for job in item["jobs"]} == {
        "generate": None,
        "analyse": {"reason": "actions", "text": "Waiting for generate.", "waits_for": ["generate"]},
    }
    page = alice.get(f"/job-requests/{second}/jobs/a1/").text
    assert f'Waiting for <a href="/job-requests/{second}/jobs/g1/">generate</a>.' in page


def test_what_has_succeeded_before_is_not_said_to_be_new(site: Site, alice: Browser) -> None:
    """run_all after all of it succeeded: the preview said that nothing runs, and the request's page says the same."""
    first = site.ask("run_all")
    with site.client("tpp") as tpp:
        actions = ("generate", "analyse", "report")
        tpp.report(*(job(first, f"s{name}", "succeeded", 1, action=name) for name in actions)).raise_for_status()
        second = site.ask("run_all")
        tpp.listed()
    page = alice.get(f"/job-requests/{second}/").text
    assert "all of these actions have succeeded on tpp, so nothing is left to run" in page
