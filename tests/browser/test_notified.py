"""An open tab tells how its request goes: in its title and icon, and by a notification if its button was pressed."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import inspect, log_in
from tests.e2e.harness import Site, job

# Headless Chromium shows no notifications and hides no tab: this records them instead.
STUB = """
window.shown = [];
window.Notification = class extends EventTarget {
  static permission = "default";
  static async requestPermission() { window.asked = true; return Notification.permission = "granted"; }
  constructor(title, options) { super(); window.shown.push([title, options.body]); }
  close() {}
};
Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
"""


def icon(page: Page) -> str:
    return str(page.locator("link[rel=icon]").get_attribute("href"))


def report(site: Site, identifier: str, status: str, at: int, **more: Any) -> None:
    with site.client("emis") as emis:
        emis.report(job(identifier, f"n{identifier}", status, at, **more)).raise_for_status()


def test_the_tab_and_a_notification_follow_a_request(site: Site, page: Page) -> None:
    page.add_init_script(STUB)
    log_in(page, site, "alice")
    identifier = site.ask("generate", backend="emis", workspace="slashed")
    page.goto(f"{site.url}/job-requests/{identifier}/")
    assert page.evaluate("window.asked") is None  # nobody is asked before the button
    button = page.get_by_role("button", name="Notify me in this browser")
    expect(button).to_be_visible()
    button.click()
    expect(page.get_by_role("button", name="Stop browser notifications")).to_be_visible()
    inspect(page, "request-notify")
    report(site, identifier, "running", 1)
    expect(page).to_have_title(re.compile("^● "))
    assert "icon-running" in icon(page)
    assert page.evaluate("shown") == []
    report(site, identifier, "failed", 2, status_code="nonzero_exit")
    expect(page).to_have_title(re.compile("^✕ "))
    assert "icon-failed" in icon(page)
    (note,) = page.evaluate("shown")
    assert note[0] == "generate failed"
    assert "slashed" in note[1]


def test_without_the_button_there_is_no_notification(site: Site, page: Page) -> None:
    page.add_init_script(STUB)
    log_in(page, site, "alice")
    identifier = site.ask("generate", backend="emis", workspace="slashed")
    page.goto(f"{site.url}/job-requests/{identifier}/")
    report(site, identifier, "succeeded", 2)
    expect(page).to_have_title(re.compile("^✓ "))
    assert "icon-succeeded" in icon(page)
    assert page.evaluate("[shown, window.asked]") == [[], None]
