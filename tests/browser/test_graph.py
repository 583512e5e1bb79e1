"""The picture of a pipeline with 150 actions: it begins at what matters, can be grouped, zoomed, moved and read."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import accessible, inspect, log_in, watched, wear
from tests.e2e.harness import Site, job
from tests.samples import only_whole
from tests.unit.web.pages.layout.shapes import large


@pytest.fixture(scope="module")
def request_url(site: Site) -> str:
    """150 jobs: one in the middle has failed, one runs, the others wait for the first, which succeeded."""
    run = "run: python:latest python analysis/generate.py"
    lines = [f"  {name}: {{needs: [{', '.join(needs)}], {run} {name}}}" for name, needs in large().items()]
    site.study("large-study", {"project.yaml": "\n".join(['version: "4.0"', "actions:", *lines, ""])})
    site.run("workspace", "add", "large", "--repo", "large-study", "--branch", "main", "--as", "alice")
    identifier = site.ask("run_all", backend="emis", workspace="large")
    report(site, identifier, 5)
    return f"{site.url}/job-requests/{identifier}/"


def report(site: Site, identifier: str, at: float, **more: str) -> None:
    statuses = {"extract": "succeeded", "clean_031": "failed", "clean_040": "running"} | more
    jobs = [job(identifier, f"g{name}", statuses.get(name, "pending"), at, action=name) for name in large()]
    with site.client("emis") as emis:
        emis.report(*jobs).raise_for_status()


@pytest.fixture
def alice(chromium: Browser, site: Site) -> Iterator[Page]:
    context = chromium.new_context(reduced_motion="reduce")
    with watched(context) as page:
        wear(page, "desktop-light")
        log_in(page, site, "alice")
        yield page
    context.close()


def in_view(page: Page, name: str) -> bool:
    """Whether the picture's window shows the action."""
    result: bool = page.evaluate(
        """name => {
          const box = document.querySelector(".graph").getBoundingClientRect();
          const svg = [...document.querySelectorAll(".graph svg")].find((svg) => svg.getClientRects().length);
          const written = (node) => node.querySelector("text:not(.sign)").textContent;
          const node = [...svg.querySelectorAll("g.node")].find((node) => written(node) === name);
          const place = node.getBoundingClientRect();
          return place.left >= box.left && place.right <= box.right
            && place.top >= box.top && place.bottom <= box.bottom;
        }""",
        name,
    )
    return result


def width(page: Page) -> float:
    result: float = page.evaluate("document.querySelector('.graph svg.wide').getBoundingClientRect().width")
    return result


def test_it_begins_in_groups_with_what_failed_by_itself(request_url: str, alice: Page) -> None:
    alice.goto(request_url)
    nodes = alice.locator("svg:visible .node")
    expect(nodes).to_have_count(7)
    assert in_view(alice, "clean_031")
    assert in_view(alice, "extract")
    expect(alice.locator("svg:visible .node.group")).to_have_count(3)
    inspect(alice, "request-grouped")


@only_whole
def test_groups_open_and_the_page_keeps_what_was_chosen(request_url: str, alice: Page) -> None:
    alice.goto(request_url)
    alice.get_by_role("checkbox", name="Select clean_001", exact=True).check()
    alice.locator("svg:visible .node.group", has_text="plot…").click()
    expect(alice.locator("svg:visible .node")).to_have_count(6 + 48)
    alice.get_by_role("link", name="nothing", exact=True).click()
    expect(alice.locator("svg:visible .node")).to_have_count(150)
    assert in_view(alice, "clean_031")
    expect(alice.get_by_role("checkbox", name="Select clean_001", exact=True)).to_be_checked()
    assert alice.url == f"{request_url}?group=none"
    accessible(alice)
    inspect(alice, "request-large")
    alice.get_by_role("link", name="status", exact=True).click()
    expect(alice.locator("svg:visible .node.group").first).to_be_visible()
    assert alice.url == f"{request_url}?group=status"


def test_it_is_zoomed_and_moved_by_buttons_keys_wheel_and_mouse(request_url: str, alice: Page) -> None:
    alice.goto(f"{request_url}?group=none")
    natural = width(alice)
    alice.get_by_role("button", name="Zoom in").click()
    assert width(alice) == pytest.approx(natural * 1.25, rel=0.01)
    assert in_view(alice, "clean_031")
    alice.get_by_role("button", name="Zoom out").click()
    alice.get_by_role("button", name="Fit").click()
    assert all(in_view(alice, name) for name in ("extract", "clean_000", "clean_049", "report"))
    graph = alice.locator(".graph")
    graph.focus()
    fitted = width(alice)
    alice.keyboard.press("+")
    assert width(alice) == pytest.approx(fitted * 1.25, rel=0.01)
    alice.keyboard.press("0")
    assert width(alice) == pytest.approx(fitted, rel=0.01)
    for _ in range(12):
        alice.keyboard.press("+")
    graph.scroll_into_view_if_needed()
    box = graph.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = alice.evaluate("[document.querySelector('.graph').scrollLeft, document.querySelector('.graph').scrollTop]")
    alice.mouse.move(x, y)
    alice.mouse.down()
    alice.mouse.move(x - 60, y - 90, steps=4)
    alice.mouse.up()
    after = alice.evaluate("[document.querySelector('.graph').scrollLeft, document.querySelector('.graph').scrollTop]")
    assert after[1] == before[1] + 90
    assert alice.url == f"{request_url}?group=none"  # moving opens nothing
    zoomed = width(alice)
    alice.keyboard.down("Control")
    alice.mouse.wheel(0, 300)
    alice.keyboard.up("Control")
    alice.wait_for_function(
        "width => document.querySelector('.graph svg.wide').getBoundingClientRect().width < width", arg=zoomed
    )
    top = alice.evaluate("document.querySelector('.graph').scrollTop")
    alice.keyboard.press("ArrowDown")
    alice.wait_for_function("top => document.querySelector('.graph').scrollTop > top", arg=top)


@only_whole
def test_a_change_of_the_page_keeps_size_and_place(site: Site, request_url: str, alice: Page) -> None:
    alice.goto(f"{request_url}?group=none")
    alice.get_by_role("button", name="Zoom in").click()
    zoomed = width(alice)
    identifier = request_url.rstrip("/").rpartition("/")[2]
    report(site, identifier, 9, clean_002="running")
    expect(alice.locator("svg.wide .node.running")).to_have_count(2)
    assert width(alice) == pytest.approx(zoomed, rel=0.01)
    assert in_view(alice, "clean_031")


@only_whole
def test_the_list_says_what_the_lines_do(request_url: str, alice: Page) -> None:
    """For a keyboard and a screen reader: one stop for the list, and none for each of 150 actions in the picture."""
    alice.goto(f"{request_url}?group=none")
    stops = alice.evaluate("[...document.querySelectorAll('.graph a')].filter((a) => a.tabIndex >= 0).length")
    assert stops == 0
    alice.get_by_text("Pipeline as a list").focus()
    alice.keyboard.press("Enter")
    entry = alice.locator(".relations li", has=alice.get_by_role("link", name="model_003", exact=True))
    expect(entry).to_contain_text("needs clean_003")
    expect(entry).to_contain_text("needed by plot_002, plot_003")
    accessible(alice)


@only_whole
def test_without_a_script_it_begins_in_groups_and_leads_to_what_failed(
    chromium: Browser, site: Site, request_url: str, alice: Page
) -> None:
    context = chromium.new_context(java_script_enabled=False, storage_state=alice.context.storage_state())
    page = context.new_page()
    wear(page, "desktop-light")
    page.goto(request_url)
    expect(page.locator("svg:visible .node.group")).to_have_count(3)
    expect(page.get_by_role("button", name="Zoom in")).to_have_count(0)
    page.get_by_role("link", name="nothing", exact=True).click()
    page.get_by_role("link", name="Go to what failed").click()
    target = page.locator("svg:visible g:target")
    expect(target).to_contain_text("clean_031")
    expect(target).to_be_in_viewport()
    context.close()
