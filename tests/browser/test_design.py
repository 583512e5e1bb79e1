"""The components of pages, each with all its states, in every look."""

import pytest
from playwright.sync_api import Browser, expect

from jobserver.web.pages.design.gallery import COMPONENTS
from tests.browser.conftest import inspect, log_in, watched
from tests.e2e.harness import Site
from tests.samples import only_whole

PICTURES = {
    "status": "design-status",
    "summary": "design-summary",
    "graph": "design-graph",
    "timeline": "design-timeline",
    "chart": "design-chart",
    "table": "design-table",
    "field": "design-field",
    "message": "design-message",
}


@only_whole
def test_each_component_is_shown_with_its_states(chromium: Browser, site: Site) -> None:
    assert set(PICTURES) == set(COMPONENTS)
    context = chromium.new_context(reduced_motion="reduce")
    with watched(context) as page:
        log_in(page, site, "bob")
        page.goto(f"{site.url}/design/")
        inspect(page, "design")
        for component, picture in PICTURES.items():
            page.goto(f"{site.url}/design/")
            page.locator("main").get_by_role("link", name=component.capitalize(), exact=True).click()
            expect(page.get_by_role("heading", level=1)).to_have_text(component.capitalize())
            inspect(page, picture)
    context.close()


@pytest.mark.parametrize("name", ["name", "slug", "roles"])
def test_a_wrong_field_is_tied_to_its_error(chromium: Browser, site: Site, name: str) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    with watched(context) as page:
        log_in(page, site, "bob")
        page.goto(f"{site.url}/design/field/")
        expect(page.locator("[name=name]").first).to_be_focused()
        field = page.locator(f"#{name}")
        expect(field).to_have_attribute("aria-invalid", "true")
        page.locator(f"#problems a[href='#{name}']").click()
        assert page.evaluate("document.activeElement.name") == name or name == "roles"
    context.close()
