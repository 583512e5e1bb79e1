"""What failed comes first on the page of a request, and its jobs can be filtered as one types."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import inspect, log_in
from tests.e2e.harness import Site, job

CODES = {"model_17": "nonzero_exit", "report_1": "dependency_failed", "report_2": "dependency_failed"}


@pytest.fixture(scope="module")
def failed(site: Site) -> str:
    """A request with 150 jobs, of which one failed and two were never run."""
    identifier = site.ask("run_all", backend="emis", workspace="plain")
    names = [*(f"model_{n}" for n in range(145)), *(f"report_{n}" for n in range(5))]
    with site.client("emis") as emis:
        jobs = [
            job(identifier, f"{n}{identifier}", "failed" if name in CODES else "succeeded", n, action=name,
                status_code=CODES.get(name, ""), status_message="Exited with code 137" if name == "model_17" else "",
                started_at=None if CODES.get(name) == "dependency_failed" else job(identifier, "x")["started_at"])
            for n, name in enumerate(names)
        ]  # fmt: skip
        emis.report(*jobs).raise_for_status()
    return f"/job-requests/{identifier}/"


def test_what_failed_comes_first(site: Site, page: Page, look: str, failed: str) -> None:
    log_in(page, site, "alice")
    page.goto(site.url + failed)
    lead = page.locator(".summary .lead")
    expect(lead).to_contain_text("model_17 failed, and 2 jobs that need it did not run.")
    expect(page.locator(".summary")).to_contain_text("most often because it used too much memory")
    box = lead.bounding_box()
    assert box is not None
    assert box["y"] < page.viewport_size["height"], "in the window before one scrolls"  # type: ignore[index]
    expect(page.locator("details.jobs[open]")).to_have_count(2)
    inspect(page, "request-failures")


def test_jobs_are_filtered_as_one_types(site: Site, page: Page, failed: str) -> None:
    log_in(page, site, "alice")
    page.goto(site.url + failed)
    shown = page.locator("#job-list li:visible")
    page.get_by_label("Filter jobs by name").fill("MODEL_1")
    expect(shown).to_have_count(56)  # model_1, model_10 to 19 and 100 to 144
    page.get_by_label("Filter jobs by status").select_option("failed")
    expect(shown).to_have_count(1)
    assert page.url.endswith("?job=MODEL_1&outcome=failed")
    page.reload()
    expect(shown).to_have_count(1)
    page.get_by_label("Filter jobs by name").fill("nothing like this")
    expect(page.get_by_text("No jobs match.")).to_be_visible()
    page.get_by_label("Filter jobs by name").fill("")
    page.get_by_label("Filter jobs by status").select_option("")
    expect(shown).to_have_count(150)
    assert page.url == site.url + failed
