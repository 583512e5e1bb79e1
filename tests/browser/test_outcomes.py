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


@pytest.fixture(scope="module")
def big(site: Site) -> str:
    """A workspace with 150 actions."""
    actions = [f"  model_{n}: {{run: python:latest python a.py, needs: [extract]}}" for n in range(149)]
    lines = ['version: "4.0"', "actions:", "  extract: {run: python:latest python a.py}", *actions]
    site.study("big-study", {"project.yaml": "\n".join(lines), "a.py": ""})
    site.run("workspace", "add", "big", "--repo", "big-study", "--branch", "main", "--as", "alice")
    return f"{site.url}/big/"


def test_the_run_button_is_always_in_reach(site: Site, page: Page, look: str, big: str) -> None:
    """It once was at y=3,955, on a phone at 11,340, behind 464 tab stops."""
    log_in(page, site, "alice")
    page.goto(big)
    button = page.get_by_role("button", name="Run selected actions")
    expect(button).to_be_in_viewport(ratio=1)
    for name in ("model_70", "model_148"):
        page.locator("label.choice", has_text=name).last.scroll_into_view_if_needed()
        expect(button).to_be_in_viewport(ratio=1)
    page.goto(big)
    inspect(page, "workspace-many-actions")
    stops = 0
    while not button.evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")
        stops += 1
        assert stops <= 30, "too many tab stops before the button"


def test_actions_are_filtered_and_enter_runs_none(site: Site, page: Page, big: str) -> None:
    log_in(page, site, "alice")
    page.goto(big)
    page.get_by_label("Filter actions").fill("MODEL_14")
    expect(page.locator("#action-list .choice:visible")).to_have_count(10)  # model_14, and 140 to 148
    page.get_by_label("Filter actions").press("Enter")
    expect(page.locator("#action-list .choice:visible")).to_have_count(10)
    page.locator("label.choice", has_text="model_141").get_by_role("checkbox").check()
    expect(page.locator("#would-run")).to_contain_text("2 jobs will run")
    page.locator("label.choice", has_text="model_141").get_by_role("checkbox").press("Enter")
    page.wait_for_url("**/job-requests/*/")
