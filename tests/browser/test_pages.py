"""Every page at rest, in every look: axe-core finds nothing, nothing is wider than a phone, and a picture is kept."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import HOSTILE, inspect, log_in, watched
from tests.e2e.harness import Site, job

LONG = "a_very_long_action_name_that_goes_on_and_on_and_on_without_any_mercy_at_all"
WIDE_STUDY = "\n".join(
    [
        "actions:",
        "  extract: {run: cohortextractor:latest generate_cohort}",
        *(f"  table_{number}: {{run: python:latest python a.py, needs: [extract]}}" for number in range(7)),
        f"  {LONG}: {{run: python:latest python a.py, needs: [extract, table_1]}}",
        f"  last: {{run: r:latest analysis/last.R, needs: [{LONG}, table_5]}}",
        "",
    ]
)


@pytest.fixture(scope="module")
def root(chromium: Browser, site: Site) -> Iterator[Page]:
    """One log-in for all pages."""
    context = chromium.new_context(reduced_motion="reduce")
    with watched(context) as page:
        log_in(page, site, "root")
        yield page
    context.close()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "home"),
        ("/jobs/", "event-log"),
        ("/jobs/?status=failed&workspace=plain&username=nobody", "event-log-empty"),
        ("/plain/", "workspace"),
        ("/plain/logs/", "workspace-log"),
        ("/plain/audit/", "workspace-audit"),
        ("/status/", "status"),
        ("/settings/", "settings"),
        ("/orgs/", "orgs"),
        ("/orgs/datalab/", "org"),
        ("/orgs/datalab/trends/", "project"),
        ("/orgs/datalab/trends/settings/", "project-settings"),
        ("/orgs/datalab/trends/audit/", "project-audit"),
        ("/orgs/new/", "new-org"),
        ("/orgs/datalab/new-project/", "new-project"),
        ("/invitations/", "invitations-none"),
        ("/plain/releases/", "workspace-releases"),
        ("/backends/", "backends"),
        ("/backends/tpp/", "backend"),
        ("/backends/emis/audit/", "backend-audit"),
        ("/users/", "people"),
        ("/users/bob/", "person"),
        ("/nothing-here/", "error-404"),
    ],
)
def test_every_page_can_be_used_by_everybody(site: Site, root: Page, path: str, name: str) -> None:
    root.goto(site.url + path)
    expect(root.get_by_role("heading", level=1)).to_be_visible()
    inspect(root, name)


def test_a_wide_pipeline_with_long_names(site: Site, root: Page) -> None:
    site.study("wide-study", {"project.yaml": WIDE_STUDY})
    site.run("workspace", "add", "wide", "--repo", "wide-study", "--branch", "main", "--as", "alice")
    root.goto(f"{site.url}/wide/?requested_actions=last")
    expect(root.locator("#would-run")).to_contain_text("5 jobs would run")
    root.locator("details", has_text="project.yaml at this commit").last.locator("summary").click()
    inspect(root, "workspace-wide")


def test_a_request_that_waits_and_one_that_is_cancelled(site: Site, root: Page) -> None:
    """On a backend without a runner of its own: the test reports in its place."""
    with site.client("emis") as emis:
        earlier = site.ask("generate", backend="emis")
        emis.report(job(earlier, f"e{earlier}", "succeeded", 30, status_code="succeeded")).raise_for_status()
    site.ask("report", backend="emis")
    waiting = site.ask("report", backend="emis")
    root.goto(f"{site.url}/job-requests/{waiting}/")
    expect(root.get_by_text("has not picked it up yet")).to_be_visible()
    expect(root.get_by_text("1 request before it")).to_be_visible()
    inspect(root, "request-waiting")
    with site.client("emis") as emis:
        emis.report(
            job(waiting, "w1", "running", 1, action="generate", status_code="executing", status_message=HOSTILE),
            job(waiting, "w2", "pending", 1, action="analyse", status_code="waiting_on_dependencies"),
            job(waiting, "w3", "pending", 1, action="report", status_code="waiting_on_dependencies"),
        ).raise_for_status()
    root.get_by_role("checkbox", name="Choose analyse").check()
    root.get_by_role("checkbox", name="Choose report").check()
    root.get_by_role("button", name="Cancel the chosen ones").click()
    expect(root.get_by_text("Cancel requested for analyse, report")).to_be_visible()
    inspect(root, "request-cancel-requested")
    root.get_by_role("link", name="generate", exact=True).click()
    expect(root.get_by_text("Nothing was heard of this job")).to_be_visible()
    inspect(root, "job-lost")
    assert root.evaluate("window.hacked") is None
    root.get_by_role("link", name="Audit").click()
    expect(root.get_by_text("its signature verifies").first).to_be_visible()
    inspect(root, "job-audit")


def test_a_printed_record_has_every_change(site: Site, root: Page) -> None:
    root.goto(f"{site.url}/plain/audit/")
    change = root.locator("pre.diff").first
    expect(change).to_be_hidden()
    root.emulate_media(media="print")
    expect(change).to_be_visible()
    expect(root.locator(".audit .print-only").first).to_contain_text("UTC")
    expect(root.locator("header.top")).to_be_hidden()
    root.emulate_media(media="screen")


def test_chosen_boxes_stay_while_the_page_follows(site: Site, root: Page) -> None:
    identifier = site.ask("report", backend="emis")
    with site.client("emis") as emis:
        emis.report(job(identifier, "f1", "pending", 1), job(identifier, "f2", "pending", 1, action="analyse"))
        root.goto(f"{site.url}/job-requests/{identifier}/")
        box = root.get_by_role("checkbox", name="Choose analyse")
        box.check()
        emis.report(job(identifier, "f1", "running", 2), job(identifier, "f2", "pending", 1, action="analyse"))
    expect(root.locator(".head .badge.running")).to_be_visible()
    expect(root.get_by_role("checkbox", name="Choose analyse")).to_be_checked()


def test_a_paused_backend_and_one_that_is_silent(site: Site, root: Page) -> None:
    flags = '{"paused": {"v": "true", "ts": "2026-11-24T10:00:00Z"}, "mode": {"v": "db-maintenance", "ts": null}}'
    with site.client("emis", Flags=flags) as emis:
        emis.get("/api/v2/job-requests/").raise_for_status()
    token = site.run("backend", "add", "silent", "--database", "full")
    assert token
    root.goto(f"{site.url}/status/")
    expect(root.get_by_text("It is paused: nothing new is started.")).to_be_visible()
    expect(root.get_by_text("No runner has ever called for it.")).to_be_visible()
    inspect(root, "status-paused")
    site.run("backend", "deactivate", "silent")


def test_a_secret_is_shown_once(site: Site, root: Page) -> None:
    root.goto(f"{site.url}/settings/")
    root.get_by_label("What it is for").fill("my laptop")
    root.get_by_role("button", name="Make a token").click()
    expect(root.get_by_text("It is shown once")).to_be_visible()
    inspect(root, "settings-token")
    root.goto(f"{site.url}/backends/")
    root.get_by_label("Short name").fill("fresh")
    root.get_by_role("button", name="Add, and show its token").click()
    expect(root.get_by_text("The token of fresh.")).to_be_visible()
    inspect(root, "backends-token")
    site.run("backend", "deactivate", "fresh")


def test_a_new_installation_says_what_to_do_first(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    new = Site(tmp_path_factory.mktemp("new"), is_template=True)
    new.run("init")
    new.start()
    context = chromium.new_context(reduced_motion="reduce")
    try:
        with watched(context) as page:
            log_in(page, new, "root")
            expect(page.get_by_role("heading", name="First steps")).to_be_visible()
            inspect(page, "new-home")
            for path, name in (("/jobs/", "new-event-log"), ("/status/", "new-status"), ("/orgs/", "new-orgs"),
                               ("/backends/", "new-backends")):  # fmt: skip
                page.goto(new.url + path)
                inspect(page, name)
            new.run("user", "add", "carol")
            other = chromium.new_context(reduced_motion="reduce")
            with watched(other) as page:
                log_in(page, new, "carol")
                page.goto(f"{new.url}/users/")
                expect(page.get_by_role("heading", name="You may not do this")).to_be_visible()
                inspect(page, "error-403")
                for number in range(12):
                    httpx.get(f"{new.url}/login/link/guess{number}/")
                page.goto(f"{new.url}/login/link/guess/")
                expect(page.get_by_role("heading", name="Too many attempts")).to_be_visible()
                inspect(page, "error-429")
            other.close()
    finally:
        context.close()
        new.stop()
