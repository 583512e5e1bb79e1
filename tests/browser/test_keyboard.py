"""Keys, the palette, copy buttons, calls for scripts, and times: for hands that use no mouse, and for touch."""

import json
import shlex
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.conftest import accessible, inspect, log_in, watched, wear
from tests.e2e.harness import Site, job
from tests.samples import only_whole


@pytest.fixture
def alices(chromium: Browser, site: Site) -> Iterator[BrowserContext]:
    """In a place where local time differs from UTC, with a clipboard that the test can read."""
    context = chromium.new_context(reduced_motion="reduce", timezone_id="Asia/Kolkata")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@pytest.fixture
def alice(alices: BrowserContext, site: Site) -> Iterator[Page]:
    with watched(alices) as page:
        wear(page, "desktop-light")
        log_in(page, site, "alice")
        yield page


@pytest.fixture(scope="module")
def requests(site: Site) -> list[str]:
    """On a backend whose jobs the test reports."""
    identifiers = [site.ask("generate", backend="emis") for _ in range(3)]
    with site.client("emis") as emis:
        for identifier in identifiers:
            emis.report(job(identifier, f"k{identifier}", "failed", 30)).raise_for_status()
    return identifiers


def focused(page: Page) -> str:
    result: str = page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.name || ''")
    return result


def places(page: Page) -> Locator:
    return page.locator("#palette").get_by_role("option")


def copied(page: Page) -> str:
    result: str = page.evaluate("navigator.clipboard.readText()")
    return result


def test_j_and_k_move_in_a_list_and_enter_opens(site: Site, requests: list[str], alice: Page) -> None:
    alice.goto(f"{site.url}/jobs/?q=backend:emis")
    alice.keyboard.press("j")
    first = focused(alice)
    assert first == f"/job-requests/{requests[-1]}/"
    alice.keyboard.press("j")
    assert focused(alice) == f"/job-requests/{requests[-2]}/"
    alice.keyboard.press("k")
    alice.keyboard.press("k")
    assert focused(alice) == first
    alice.keyboard.press("Enter")
    alice.wait_for_url(f"{site.url}{first}")
    alice.keyboard.press("j")
    assert focused(alice).startswith(f"{first}jobs/")


def test_a_slash_leads_to_the_search_and_letters_stay_letters_there(site: Site, alice: Page) -> None:
    alice.goto(f"{site.url}/status/")
    alice.keyboard.press("/")
    box = alice.get_by_role("searchbox", name="Search everything")
    expect(box).to_be_focused()
    alice.keyboard.type("jk?/t")
    expect(box).to_have_value("jk?/t")
    expect(alice.locator("dialog[open]")).to_have_count(0)


@only_whole
def test_a_question_mark_lists_the_keys(site: Site, alice: Page) -> None:
    alice.goto(f"{site.url}/status/")
    alice.keyboard.press("?")
    dialog = alice.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_contain_text("Next row of a list")
    accessible(alice)
    alice.keyboard.press("j")  # moves nothing behind the dialog
    alice.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    alice.get_by_role("link", name="Keyboard").click()
    alice.wait_for_url(f"{site.url}/settings/keyboard/")
    inspect(alice, "keyboard")


def test_the_palette_leads_anywhere(site: Site, requests: list[str], alice: Page) -> None:
    alice.goto(f"{site.url}/status/")
    alice.keyboard.press("Control+k")
    box = alice.get_by_role("combobox", name="Go to")
    expect(box).to_be_focused()
    expect(alice.get_by_role("option", name="Event log")).to_be_visible()
    alice.keyboard.type("grouped")
    option = alice.get_by_role("option", name="grouped Workspace")
    expect(option).to_have_attribute("aria-selected", "true")
    accessible(alice)
    inspect(alice, "palette")
    alice.keyboard.press("Enter")
    alice.wait_for_url(f"{site.url}/grouped/")
    alice.keyboard.press("Control+k")
    alice.keyboard.type(requests[0])
    expect(places(alice).first).to_contain_text(requests[0])
    alice.keyboard.press("Enter")
    alice.wait_for_url(f"{site.url}/job-requests/{requests[0]}/")
    alice.keyboard.press("Control+k")
    alice.keyboard.type("nothing of that name")
    expect(places(alice)).to_have_count(1)  # the search
    alice.keyboard.press("Escape")
    expect(alice.get_by_role("dialog")).to_be_hidden()


@only_whole
def test_the_arrows_choose_a_place(site: Site, alice: Page) -> None:
    alice.goto(f"{site.url}/status/")
    alice.keyboard.press("Control+k")
    expect(places(alice).first).to_have_attribute("aria-selected", "true")
    alice.keyboard.press("ArrowUp")
    last = places(alice).last
    expect(last).to_have_attribute("aria-selected", "true")
    box = alice.get_by_role("combobox", name="Go to")
    expect(box).to_have_attribute("aria-activedescendant", last.get_attribute("id") or "")
    alice.keyboard.press("ArrowDown")
    expect(places(alice).first).to_have_attribute("aria-selected", "true")


def test_ids_and_commits_are_copied_whole(site: Site, requests: list[str], alice: Page) -> None:
    alice.goto(f"{site.url}/job-requests/{requests[0]}/")
    alice.get_by_role("button", name="Copy request id").click()
    assert copied(alice) == requests[0]
    alice.get_by_role("button", name="Copy commit").first.click()
    assert len(copied(alice)) == 40
    alice.goto(f"{site.url}/job-requests/{requests[0]}/jobs/k{requests[0]}/")
    alice.get_by_role("button", name="Copy job id").focus()
    alice.keyboard.press("Enter")
    expect(alice.get_by_role("button", name="Copied")).to_be_visible()
    assert copied(alice) == f"k{requests[0]}"


def test_the_run_form_is_a_call_for_scripts(site: Site, alice: Page) -> None:
    """What is copied asks for what the form would."""
    alice.goto(f"{site.url}/plain/")
    alice.get_by_label("Backend").select_option("emis")
    alice.locator("input[value=analyse]").check()
    alice.get_by_role("checkbox", name="Force:").check()
    expect(alice.locator("#would-run")).to_contain_text("2 jobs will run on emis")
    alice.get_by_text("The same from a script").click()
    alice.get_by_role("button", name="Copy as curl").click()
    words = shlex.split(copied(alice))
    body = json.loads(words[words.index("-d") + 1])
    assert (body["backend"], body["force_run_dependencies"]) == ("emis", True)
    with site.client("alice") as api:
        assert words[-1].startswith(site.url)
        answer = api.post(words[-1].removeprefix(site.url), json=body)
        assert answer.status_code == 201, answer.text
    alice.locator("input[value=generate]").check()
    expect(alice.locator(".calls pre").first).to_contain_text('"generate"')
    expect(alice.locator(".calls")).to_have_attribute("open", "")
    alice.get_by_role("button", name="Copy as command").click()
    command = shlex.split(copied(alice))
    assert command[:2] == ["jobserver", "request"]
    assert len(site.run(*command[1:2], "--as", "alice", *command[2:])) == 16
    accessible(alice)


def test_times_are_utc_or_local_and_exact_on_a_tap_or_a_key(site: Site, requests: list[str], alice: Page) -> None:
    alice.goto(f"{site.url}/job-requests/{requests[0]}/")
    time = alice.locator("main dl time").first
    exact = time.get_attribute("title") or ""
    assert exact.endswith(" UTC")
    time.click()
    expect(time).to_have_text(exact)
    time.click()
    expect(time).not_to_have_text(exact)
    alice.keyboard.press("t")
    expect(time).to_have_text(exact)
    expect(alice.locator("footer")).to_contain_text("All times are UTC")
    alice.get_by_role("button", name="Use local time").click()
    expect(alice.locator("footer")).to_contain_text("Times are local (Asia/Calcutta)")
    expect(time).not_to_have_text(exact)
    assert f"({exact})" in (time.get_attribute("title") or "")
    alice.reload()
    expect(alice.get_by_role("button", name="Use UTC")).to_be_visible()
    accessible(alice)
    alice.get_by_role("button", name="Use UTC").click()
    expect(time).to_have_attribute("title", exact)


def test_a_touch_shows_when_it_was(chromium: Browser, site: Site, requests: list[str], alice: Page) -> None:
    context = chromium.new_context(has_touch=True, storage_state=alice.context.storage_state())
    with watched(context) as page:
        wear(page, "phone-dark")
        page.goto(f"{site.url}/job-requests/{requests[0]}/")
        time = page.locator("main dl time").first
        time.tap()
        expect(time).to_have_text(time.get_attribute("title") or "-")
        accessible(page)
    context.close()
