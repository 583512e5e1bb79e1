"""A researcher's first day, in a browser, at desktop and phone width, light and dark."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import log_in, shoot
from tests.e2e.harness import Site

AXE = (Path(__file__).parent / "axe" / "axe-4.14.1.min.js").read_text()


def accessible(page: Page) -> None:
    """axe-core finds nothing; run in the page's own world by the browser's debugger, which no policy stops."""
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    said = [
        f"{one['id']}: {[node['html'][:120] + ' ' + node['failureSummary'][:200] for node in one['nodes'][:3]]}"
        for one in found["violations"]
    ]
    assert not said, "\n".join(said)
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], f"wider than the window: {width}"


def test_a_first_day(site: Site, page: Page, look: str) -> None:
    name = f"heart-{look}"
    page.goto(f"{site.url}/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    accessible(page)
    shoot(page, look, "login")
    log_in(page, site, "alice")

    # A workspace
    page.get_by_role("button", name="New workspace").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Repository").fill("heart-study")
    page.get_by_label("Repository").blur()
    expect(page.get_by_text("1 branches")).to_be_visible()
    accessible(page)
    shoot(page, look, "new-workspace")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    accessible(page)

    # Choosing says what else would run
    page.get_by_role("checkbox", name="report").check()
    expect(page.locator("#would-run")).to_contain_text("generate_cohort")
    shoot(page, look, "workspace-choose")
    page.get_by_label("Backend").select_option("tpp")
    page.get_by_role("button", name="Run the chosen actions").click()

    # Watching it without reloading
    page.wait_for_url(f"{site.url}/job-requests/*/")
    page.evaluate("window.stayed = true")
    expect(page.locator(".head .badge.running")).to_be_visible()
    shoot(page, look, "request-running")
    expect(page.locator(".head .badge.succeeded")).to_be_visible(timeout=40_000)
    assert page.evaluate("window.stayed") is True
    expect(page.locator(".node.succeeded")).to_have_count(5)
    accessible(page)
    shoot(page, look, "request-succeeded")

    # A failure, and running it again
    page.get_by_role("link", name=name).first.click()
    page.get_by_role("checkbox", name="breaks").check()
    page.get_by_role("button", name="Run the chosen actions").click()
    page.wait_for_url(f"{site.url}/job-requests/*/")
    expect(page.locator(".head .badge.failed")).to_be_visible()
    expect(page.get_by_text("ended with an error").first).to_be_visible()
    accessible(page)
    shoot(page, look, "request-failed")
    failed = page.url
    page.get_by_role("button", name="Rerun what failed").click()
    page.wait_for_url(lambda url: url != failed and "/job-requests/" in url)
    expect(page.locator(".head .badge.failed")).to_be_visible()

    # Cancelling what runs
    page.get_by_role("link", name=name).first.click()
    page.get_by_role("checkbox", name="waits").check()
    page.get_by_role("button", name="Run the chosen actions").click()
    page.wait_for_url(f"{site.url}/job-requests/*/")
    expect(page.locator(".head .badge.running")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel all").click()
    expect(page.get_by_text("Somebody cancelled it")).to_be_visible()

    # What happened, as the record has it
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_text("its signature verifies").first).to_be_visible()
    page.locator(".audit summary").last.click()
    accessible(page)
    shoot(page, look, "audit")
    page.get_by_role("link", name="as it was then").last.click()
    expect(page.get_by_text("This is how it was at")).to_be_visible()
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "home"),
        ("/jobs/", "event-log"),
        ("/jobs/?status=failed&workspace=plain", "event-log-empty"),
        ("/status/", "status"),
        ("/settings/", "settings"),
        ("/orgs/", "orgs"),
        ("/orgs/datalab/", "org"),
        ("/orgs/datalab/trends/", "project"),
        ("/orgs/datalab/trends/settings/", "project-settings"),
        ("/orgs/new/", "new-org"),
        ("/orgs/datalab/new-project/", "new-project"),
        ("/invitations/", "invitations-none"),
        ("/plain/", "workspace"),
        ("/backends/", "backends"),
        ("/backends/tpp/", "backend"),
        ("/users/", "people"),
        ("/users/bob/", "person"),
        ("/nothing-here/", "error"),
    ],
)
def test_every_page_can_be_used_by_everybody(site: Site, page: Page, look: str, path: str, name: str) -> None:
    log_in(page, site, "root")
    page.goto(site.url + path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    accessible(page)
    shoot(page, look, name)


def test_by_keyboard_alone(site: Site, page: Page) -> None:
    log_in(page, site, "alice")
    page.goto(f"{site.url}/plain/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    box = page.locator("input[value=generate]")
    box.focus()
    page.keyboard.press("Space")
    expect(box).to_be_checked()
    page.get_by_role("button", name="Run the chosen actions").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/job-requests/*/")


def test_a_lost_connection_is_said(site: Site, page: Page) -> None:
    log_in(page, site, "alice")
    page.goto(f"{site.url}/jobs/")
    expect(page.locator("#lost")).to_be_hidden()
    page.route("**/live/*", lambda route: route.abort())
    page.reload()
    expect(page.locator("#lost")).to_be_visible()
    page.unroute("**/live/*")
    expect(page.locator("#lost")).to_be_hidden()
