"""A session that ends while somebody fills in a form: the page stays, and the form comes back after the login."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import inspect, log_in
from tests.e2e.harness import Site
from tests.samples import only_whole


def test_a_form_is_kept_through_the_login(site: Site, page: Page) -> None:
    log_in(page, site, "alice")
    page.goto(f"{site.url}/slashed/")
    page.locator("input[type=checkbox][value=analyse]").check()
    other = page.context.new_page()  # logs out, in the same browser
    other.goto(f"{site.url}/settings/")
    other.get_by_role("button", name="Log out").click()
    other.wait_for_url(re.compile("/login/"))
    other.close()
    site.ask("generate", backend="emis", workspace="slashed")  # an event: the open page wants to load itself again
    expect(page.get_by_text("Your session has ended. What you have typed is kept")).to_be_visible()
    expect(page.locator("input[type=checkbox][value=analyse]")).to_be_checked()
    before = site.count("backends/emis")
    page.get_by_role("button", name="Run selected actions").click()
    expect(page.get_by_text("The form that you sent is kept for an hour")).to_be_visible()
    inspect(page, "login-kept")
    page.goto(site.run("user", "login-link", "alice"))
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("so this form was not sent")).to_be_visible()
    expect(page.locator("input[type=checkbox][value=analyse]")).to_be_checked()
    inspect(page, "workspace-kept")
    assert site.count("backends/emis") == before
    page.get_by_role("button", name="Run selected actions").click()
    page.wait_for_url(f"{site.url}/job-requests/*/")
    assert site.count("backends/emis") == before + 1


@only_whole
def test_a_used_link_says_so(site: Site, page: Page) -> None:
    link = site.run("user", "login-link", "alice")
    page.goto(link)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.url}/")
    page.context.clear_cookies()
    page.goto(link)
    expect(page.get_by_role("heading", name="This login link has been used")).to_be_visible()
    inspect(page, "login-link-used")
