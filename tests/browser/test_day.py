"""A researcher's first day, in a browser, at desktop and phone width, light and dark."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import JOURNEY_LOOKS, accessible, log_in, shoot
from tests.e2e.harness import Site


@pytest.mark.parametrize("look", JOURNEY_LOOKS)
def test_a_first_day(site: Site, page: Page, look: str) -> None:
    name = f"heart-{look}"
    logs_in(site, page, look)
    makes_a_workspace(page, look, name)
    runs_what_others_need_too(page, look)
    watches_without_reloading(site, page, look)
    runs_nothing_again_that_succeeded(page, name)
    runs_a_failed_action_again(site, page, look)
    cancels(site, page, name)
    reads_the_record(page, look)


def logs_in(site: Site, page: Page, look: str) -> None:
    page.goto(f"{site.url}/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    accessible(page)
    shoot(page, look, "login")
    page.goto(site.run("user", "login-link", "alice"))
    accessible(page)
    shoot(page, look, "login-link")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.url}/")


def makes_a_workspace(page: Page, look: str, name: str) -> None:
    page.get_by_role("button", name="New workspace").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Repository").fill("heart-study")
    page.get_by_label("Repository").blur()
    expect(page.get_by_text("1 branch")).to_be_visible()
    accessible(page)
    shoot(page, look, "new-workspace")
    page.get_by_role("button", name="Create workspace").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    accessible(page)


def runs_what_others_need_too(page: Page, look: str) -> None:
    page.get_by_label("Backend").select_option("tpp")
    page.get_by_role("checkbox", name="report").check()
    expect(page.locator("#would-run")).to_contain_text("5 jobs will run on tpp")
    expect(page.locator("#would-run")).to_contain_text("generate_cohort")
    shoot(page, look, "workspace-choose")
    page.get_by_role("button", name="Run selected actions").click()


def watches_without_reloading(site: Site, page: Page, look: str) -> None:
    page.wait_for_url(f"{site.url}/job-requests/*/")
    page.evaluate("window.stayed = true")
    expect(page.locator(".head .badge.running")).to_be_visible()
    expect(page.locator("svg:visible .node.succeeded").first).to_be_visible()
    shoot(page, look, "request-running")
    expect(page.locator(".head .badge.succeeded")).to_be_visible(timeout=40_000)
    assert page.evaluate("window.stayed") is True
    expect(page.locator("svg:visible .node.succeeded")).to_have_count(5)
    accessible(page)
    shoot(page, look, "request-succeeded")


def runs_nothing_again_that_succeeded(page: Page, name: str) -> None:
    page.get_by_role("link", name=name).first.click()
    page.get_by_label("Backend").select_option("tpp")
    page.get_by_role("checkbox", name="report").check()
    expect(page.locator("#would-run")).to_contain_text("1 job will run on tpp")
    page.get_by_role("checkbox", name="Force:").check()
    expect(page.locator("#would-run")).to_contain_text("5 jobs will run on tpp")
    page.get_by_role("checkbox", name="Force:").uncheck()
    page.get_by_role("checkbox", name="report").uncheck()


def runs_a_failed_action_again(site: Site, page: Page, look: str) -> None:
    page.get_by_role("checkbox", name="breaks").check()
    page.get_by_role("button", name="Run selected actions").click()
    page.wait_for_url(f"{site.url}/job-requests/*/")
    expect(page.locator(".head .badge.failed")).to_be_visible()
    expect(page.get_by_text("failed with an error").first).to_be_visible()
    accessible(page)
    shoot(page, look, "request-failed")
    failed = page.url
    page.get_by_role("button", name="Re-run failed jobs").click()
    page.wait_for_url(lambda url: url != failed and "/job-requests/" in url)
    expect(page.locator(".head .badge.failed")).to_be_visible()
    page.get_by_role("link", name="breaks", exact=True).last.click()
    expect(page.get_by_role("heading", name="breaks", level=1)).to_be_visible()
    accessible(page)
    shoot(page, look, "job")


def cancels(site: Site, page: Page, name: str) -> None:
    page.get_by_role("link", name=name).first.click()
    page.get_by_label("Backend").select_option("tpp")
    page.get_by_role("checkbox", name="waits").check()
    page.get_by_role("button", name="Run selected actions").click()
    page.wait_for_url(f"{site.url}/job-requests/*/")
    expect(page.locator(".head .badge.running")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel all jobs").click()
    expect(page.locator("#jobs").get_by_text(re.compile("Cancelled by ")).first).to_be_visible()


def reads_the_record(page: Page, look: str) -> None:
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_text("verified signature").first).to_be_visible()
    page.locator(".audit summary").first.click()
    accessible(page)
    shoot(page, look, "audit")
    page.get_by_role("link", name="view as of this commit").last.click()
    expect(page.get_by_text("This page is as it was on")).to_be_visible()
    accessible(page)
    shoot(page, look, "request-as-it-was")
    assert page.evaluate("window.hacked") is None


def test_by_keyboard_alone(site: Site, page: Page) -> None:
    log_in(page, site, "alice")
    page.goto(f"{site.url}/plain/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to main content"
    box = page.locator("input[value=generate]")
    box.focus()
    page.keyboard.press("Space")
    expect(box).to_be_checked()
    page.get_by_label("Backend").press("t")
    expect(page.get_by_label("Backend")).to_have_value("tpp")
    page.get_by_role("button", name="Run selected actions").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/job-requests/*/")


def test_a_filter_is_a_menu_for_the_keyboard_too(site: Site, page: Page) -> None:
    site.ask("generate")
    log_in(page, site, "alice")
    page.goto(f"{site.url}/jobs/")
    menu = page.locator("details.menu", has=page.get_by_text("Workspace", exact=True))
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(menu.get_by_role("link", name="plain")).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu.get_by_role("link", name="plain")).to_be_hidden()
    assert page.evaluate("document.activeElement.textContent") == "Workspace"
    page.keyboard.press("Enter")
    menu.get_by_role("link", name="plain").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/jobs/?q=workspace:plain")
    page.get_by_role("link", name="Remove workspace:plain").click()
    page.wait_for_url(f"{site.url}/jobs/")


def test_a_lost_connection_is_said(site: Site, page: Page) -> None:
    log_in(page, site, "alice")
    page.goto(f"{site.url}/jobs/")
    expect(page.locator("#lost")).to_be_hidden()
    page.route("**/live/*", lambda route: route.abort())
    page.reload()
    expect(page.locator("#lost")).to_be_visible()
    page.unroute("**/live/*")
    expect(page.locator("#lost")).to_be_hidden()
