"""Where the palette leads: JSON for people who are logged in."""

from tests.e2e.harness import Site
from tests.e2e.pages.browser import Browser


def places(browser: Browser, typed: str) -> list[tuple[str, str, str]]:
    answer = browser.get("/live/go/", params={"q": typed})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    return [(place["kind"], place["name"], place["url"]) for place in answer.json()["results"]]


def test_pages_come_first_where_nothing_was_typed(alice: Browser, root: Browser) -> None:
    assert ("Page", "Event log", "/jobs/") in places(alice, "")
    assert ("Page", "People", "/users/") not in places(alice, "")
    assert ("Page", "People", "/users/") in places(root, "")


def test_names_ids_and_words_lead_to_their_pages(site: Site, alice: Browser, root: Browser) -> None:
    identifier = site.ask("generate")
    assert ("Workspace", "plain", "/plain/") in places(alice, "PLA")
    assert places(alice, identifier)[0] == ("Id", identifier, f"/job-requests/{identifier}/")
    assert ("Backend", "tpp", "/status/") in places(alice, "tpp")
    assert ("Backend", "tpp", "/backends/tpp/") in places(root, "tpp")
    requests = [url for kind, _, url in places(alice, "generate plain") if kind.startswith("Request")]
    assert f"/job-requests/{identifier}/" in requests
    assert places(alice, "nothing of that name") == [
        ("Search", "“nothing of that name” in the event log", "/jobs/?q=nothing+of+that+name")
    ]


def test_odd_input_finds_nothing_and_strangers_log_in(alice: Browser, site: Site) -> None:
    for typed in ('"', "status:nothing", "x" * 5000, "%", "\x00", "a " * 60):
        places(alice, typed)
    with site.client("") as stranger:
        assert stranger.get("/live/go/").status_code == 303
