"""A project is registered, somebody is invited and accepts, in a browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import JOURNEY_LOOKS, accessible, log_in, shoot
from tests.e2e.harness import Site


@pytest.mark.parametrize("look", JOURNEY_LOOKS)
def test_registering_inviting_and_accepting(site: Site, page: Page, look: str) -> None:
    name = f"Lungs {look}"
    log_in(page, site, "root")
    page.get_by_role("link", name="Projects").click()
    page.get_by_role("link", name="datalab").click()
    page.get_by_role("button", name="Register a project").click()

    # The form grows by a row without losing what was typed in, and says what is wrong.
    page.get_by_label("Name", exact=False).first.fill(name)
    page.get_by_label("Name", exact=False).nth(2).fill("Bea")
    page.get_by_role("button", name="Add another researcher").click()
    expect(page.get_by_text("Researcher 2")).to_be_visible()
    page.locator("[name=researcher_1_name]").fill("Cy")
    expect(page.locator("[name=researcher_0_name]")).to_have_value("Bea")
    page.get_by_label("Project lead").fill("Dee")
    page.get_by_label("Who is in the team").fill("Write to dee@example.org")
    accessible(page)
    page.get_by_role("button", name="Register project").click()
    expect(page.get_by_role("alert")).to_contain_text("Email addresses are not allowed here")
    accessible(page)
    page.get_by_label("Who is in the team").fill("Dee, Bea and Cy")
    page.get_by_role("button", name="Register project").click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    expect(page.get_by_text("Dee, Bea and Cy")).to_be_visible()
    accessible(page)
    shoot(page, look, "project-registered")
    project = page.url

    # Inviting
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("combobox", name="People").fill("carol")
    page.get_by_role("checkbox", name="Project coordinator").check()
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_role("button", name="Cancel the invitation of carol")).to_be_visible()
    accessible(page)
    shoot(page, look, "project-invited")
    page.get_by_role("button", name="Log out").click()

    # Accepting, found without an email
    log_in(page, site, "carol")
    page.get_by_role("link", name="You have 1 pending invitation").click()
    expect(page.get_by_text("root invited you")).to_be_visible()
    accessible(page)
    shoot(page, look, "invitation")
    page.get_by_role("button", name="Accept").click()
    page.wait_for_url(project)
    expect(page.get_by_role("cell", name="carol", exact=True)).to_be_visible()

    # Now a coordinator: the members' forms open by keyboard and can be sent.
    page.get_by_role("link", name="Settings").last.click()
    page.locator("summary", has_text="carol").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove carol")).to_be_visible()
    accessible(page)
    shoot(page, look, "project-members")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove carol").click()
    page.wait_for_url(project)
    expect(page.get_by_role("cell", name="carol", exact=True)).to_have_count(0)
