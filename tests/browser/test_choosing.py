"""The form that requests jobs: the picture, the statuses and the page's address follow what is chosen."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import inspect, log_in
from tests.e2e.harness import Site, git, job


@pytest.fixture(scope="module")
def workspace(site: Site) -> str:
    """One whose only run was on emis."""
    site.run("workspace", "add", "choosing", "--repo", "heart-study", "--branch", "main", "--as", "alice")
    identifier = site.ask("generate_cohort", backend="emis", workspace="choosing")
    with site.client("emis") as emis:
        emis.report(job(identifier, f"c{identifier}", "succeeded", 1, action="generate_cohort")).raise_for_status()
    return f"{site.url}/choosing/"


def test_the_page_follows_what_is_chosen(page: Page, site: Site, workspace: str) -> None:
    log_in(page, site, "alice")
    page.goto(workspace)
    expect(page.locator("#pipeline h2")).to_have_text("Pipeline on emis")
    box = page.locator("[data-action][value=prepare_tables]")
    box.check()
    expect(page.locator("#would-run")).to_contain_text("1 job will run on emis")
    marked = page.locator("#pipeline svg:visible .node.will-run title")
    expect(marked).to_have_text(["prepare_tables: Never run; will run"])
    page.get_by_label("Backend", exact=True).select_option("tpp")
    expect(page.locator("#pipeline h2")).to_have_text("Pipeline on tpp")
    expect(page.locator("#would-run")).to_contain_text("2 jobs will run on tpp")
    expect(marked).to_have_count(2)
    expect(page.locator("#action-list .badge.succeeded")).to_have_count(0)
    expect(box).to_be_checked()
    assert "backend=tpp" in page.url
    page.reload()
    expect(box).to_be_checked()
    expect(page.locator("#pipeline h2")).to_have_text("Pipeline on tpp")
    box.uncheck()
    expect(marked).to_have_count(0)


def test_a_person_runs_a_tag(page: Page, site: Site, workspace: str) -> None:
    git(site.folder / "studies" / "heart-study", "tag", "v1.0")
    log_in(page, site, "alice")
    page.goto(workspace)
    page.get_by_text("Run another branch, tag or commit").click()
    field = page.get_by_label("Branch, tag or commit")
    field.fill("v2.0")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The repository has no branch, tag or commit 'v2.0'")
    expect(field).to_be_focused()
    inspect(page, "workspace-no-tag")
    field.fill("v1.0")
    page.get_by_role("button", name="Show its actions").click()
    expect(page.get_by_text("You chose tag v1.0")).to_be_visible()
    page.locator("[data-action][value=prepare_tables]").check()
    expect(page.locator("#would-run")).to_contain_text("will run on")
    assert "ref=v1.0" in page.url
    inspect(page, "workspace-tag")
    page.get_by_role("button", name="Run selected actions").click()
    expect(page.get_by_text("alice chose tag v1.0")).to_be_visible()
