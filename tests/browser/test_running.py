"""An open page of what runs: its durations go on by the page's own clock, without an event from the server."""

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from tests.browser.conftest import log_in
from tests.e2e.harness import Site, job


def seconds(text: str) -> int:
    match = re.search(r"(\d+)", text)
    assert match, text
    return int(match[1])


def test_durations_go_on_between_events(site: Site, page: Page) -> None:
    log_in(page, site, "alice")
    identifier = site.ask("generate", backend="emis", workspace="slashed")
    started = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    with site.client("emis") as emis:
        running = job(identifier, f"r{identifier}", created_at=started, started_at=started, updated_at=started)
        emis.report(running).raise_for_status()
    page.clock.install(time=datetime.now(UTC))
    page.goto(f"{site.url}/job-requests/{identifier}/")
    ran = page.locator(".times [data-since]")
    before = seconds(ran.inner_text())
    page.clock.run_for(10_000)
    assert 10 <= seconds(ran.inner_text()) - before <= 12
    # The two ways of saying it agree.
    ago = page.locator("dt", has_text="Started").locator("xpath=..").locator("time").inner_text()
    assert abs(seconds(ago) - seconds(ran.inner_text())) <= 1
    page.clock.run_for(60_000)
    expect(ran).to_have_text("1m")
    page.clock.run_for(2 * 3_600_000)
    expect(ran).to_have_text(re.compile(r"2h \d+m"))
    with site.client("emis") as emis:
        emis.report(running | {"status": "succeeded", "updated_at": started, "completed_at": started})
    page.reload()
    expect(page.locator("[data-since]")).to_have_count(0)
