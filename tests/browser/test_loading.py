"""Nothing on a page moves when its script arrives, and all buttons that the script adds can be pressed with a thumb."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import log_in
from tests.e2e.harness import Site, until

PLACES = """[...document.querySelectorAll("main > *, main > * > *")].map((element) => {
  const { top, height } = element.getBoundingClientRect();
  return [element.tagName, element.className, Math.round(top), Math.round(height)];
})"""
SMALL = """[...document.querySelectorAll("button.copy")].map((button) => button.getBoundingClientRect())
  .filter(({ width, height }) => width && Math.min(width, height) < 24).length"""


@pytest.fixture(scope="module")
def request_id(site: Site) -> str:
    site.run("workspace", "add", "still", "--repo", "heart-study", "--branch", "main", "--as", "alice")
    identifier = site.ask("prepare_tables", workspace="still")
    with site.client("alice") as alice:
        until(lambda: alice.get(f"/api/v2/job-requests/{identifier}/").json()["completed_at"] is not None, 60)
    return identifier


def test_nothing_moves_when_the_script_arrives(page: Page, look: str, site: Site, request_id: str) -> None:
    log_in(page, site, "alice")
    script = re.compile(r"/static/app\.\w+\.js")
    for path in ("/still/", f"/job-requests/{request_id}/", f"/job-requests/{request_id}/audit/", "/jobs/", "/status/"):
        seen: list[Any] = []
        for is_late in (True, False):
            if is_late:
                page.route(script, lambda route: route.abort())
            page.goto(site.url + path)
            seen.append(page.evaluate(PLACES))
            page.unroute_all()
        moved = [pair for pair in zip(*seen, strict=True) if pair[0] != pair[1]]
        assert not moved, (path, moved[:3])
        assert page.evaluate(SMALL) == 0
