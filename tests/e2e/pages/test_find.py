"""Finding requests, workspaces, projects and people; saved views and pins. Nothing here needs JavaScript."""

import csv
import io
import re
from html import unescape

import pytest

from tests.e2e.harness import Site, job
from tests.e2e.pages.browser import Browser


@pytest.fixture(scope="module")
def requests(site: Site) -> dict[str, str]:
    """Requests of every outcome, by a name for each."""
    made = {
        "failed": site.ask("generate", workspace="grouped"),
        "cancelled": site.ask("generate", workspace="grouped"),
        "analysed": site.ask("analyse", workspace="slashed"),
        "elsewhere": site.ask("generate", backend="emis", workspace="slashed"),
    }
    with site.client("tpp") as tpp:
        tpp.report(
            job(made["failed"], "f1", "failed", 1, status_code="nonzero_exit"),
            job(made["cancelled"], "c1", "failed", 1, status_code="cancelled_by_user"),
            job(made["analysed"], "a1", "succeeded", 1, action="analyse"),
        ).raise_for_status()
    return made


def found(browser: Browser, query: str, path: str = "/jobs/") -> set[str]:
    page = browser.get(path, params={"q": query})
    assert page.status_code == 200, page.text
    rows = page.text.partition('<div id="rows">')[2]
    return set(re.findall(r'<a href="/job-requests/([a-z2-7]{16})/">', rows))


def test_terms_combine_and_filters_take_several_values(
    site: Site, alice: Browser, root: Browser, requests: dict[str, str]
) -> None:
    def named(query: str, browser: Browser = alice) -> set[str]:
        ids = {identifier: name for name, identifier in requests.items()}
        return {ids[identifier] for identifier in found(browser, query) if identifier in ids}

    assert named("") == set(requests)
    assert named("status:failed") == {"failed"}
    assert named("status:failed,cancelled workspace:grouped") == {"failed", "cancelled"}
    assert named("status:failed status:cancelled") == {"failed", "cancelled"}
    assert named("action:analyse") == {"analysed"}
    assert named("backend:emis slashed") == {"elsewhere"}
    assert named("code:nonzero_exit action:generate") == {"failed"}
    assert named("code:nonzero_exit action:analyse") == set()
    assert named(f"commit:{site.sha[:8]} org:datalab") == {"failed", "cancelled"}
    assert named("project:datalab/trends cancelled") == {"cancelled"}
    assert named("by:me") == set(requests)
    assert named("by:me", root) == set()
    assert named("since:1d until:2000d") == set()
    assert named("since:0d slashed") == {"analysed", "elsewhere"}
    assert found(alice, f"id:{requests['failed']} status:failed") == {requests["failed"]}
    assert named("status:failed", alice) == {"failed"}
    by_parameters = alice.get("/jobs/?status=failed&status=cancelled&username=alice&workspace=grouped").text
    assert 'value="status:failed,cancelled by:alice workspace:grouped"' in by_parameters
    dated = alice.get("/jobs/?q=by:alice+since:2000-01-01&since=2026-01-01&until=").text
    assert 'value="by:alice since:2026-01-01"' in dated


def test_numbers_of_filters_follow_the_search_and_the_other_filters(alice: Browser, requests: dict[str, str]) -> None:
    def numbers(query: str) -> dict[str, int]:
        page = alice.get("/jobs/", params={"q": query}).text
        links = re.findall(
            r'<a href="/jobs/\?q=[^"]*"[^>]*>([^<]+?)\s*<span class="muted digits">([\d,]+)</span>', page
        )
        return {unescape(name).strip(): int(count) for name, count in links}

    assert requests
    of_slashed = numbers("workspace:slashed")
    assert (of_slashed["Succeeded"], of_slashed["emis"], of_slashed["tpp"]) == (1, 1, 1)
    assert "Failed" not in of_slashed
    assert of_slashed["grouped"] == 2  # the menu of a filter counts its other values, too
    of_action = numbers("analyse")
    assert (of_action["Succeeded"], of_action["slashed"]) == (1, 1)
    assert "emis" not in of_action
    assert numbers("code:nonzero_exit,cancelled_by_user") == {
        "Failed": 1, "Cancelled": 1, "tpp": 2, "grouped": 2, "alice": 2, "datalab/trends": 2
    }  # fmt: skip
    assert "<h2>1 request</h2>" in alice.get("/jobs/?q=analyse").text


def test_a_choice_in_a_menu_adds_a_value_and_takes_it_away_again(alice: Browser, requests: dict[str, str]) -> None:
    assert requests
    page = alice.get("/jobs/?q=status:failed+generate").text
    assert 'href="/jobs/?q=status:failed,cancelled+generate"' in page
    assert re.search(r'href="/jobs/\?q=generate" aria-current="true">Failed', page)
    assert '<a href="/jobs/?q=status:failed"><span class="hidden">Remove </span>“generate”' in page
    assert 'href="/jobs/?q=status:failed+by:me+generate">Mine' in page


def test_what_cannot_be_read_stands_at_the_box_which_keeps_it(alice: Browser) -> None:
    for query, message in {
        "owner:alice": "&#39;owner&#39; is not a filter; the filters are status, by, workspace,",
        'x"y': "A quotation mark has no end",
        "workspace:nowhere": "Workspace &#39;nowhere&#39; does not exist",
        "org:nowhere": "Organisation &#39;nowhere&#39; does not exist",
    }.items():
        for path in ("/jobs/", "/plain/logs/"):
            page = alice.get(path, params={"q": query})
            assert page.status_code == 400 or (path, query[:9]) == ("/plain/logs/", "workspace")
            if page.status_code == 400:
                assert message in page.text
                assert 'aria-invalid="true"' in page.text
                assert f'value="{query.replace(chr(34), "&#34;")}"' in page.text
    assert alice.get("/plain/logs/?q=workspace:slashed").headers["Location"] == "/jobs/?q=workspace:slashed"


def test_the_search_names_workspaces_projects_people_and_jobs(alice: Browser, requests: dict[str, str]) -> None:
    page = alice.get("/jobs/?q=grou").text
    assert '<a href="/grouped/">grouped</a><small>Workspace</small>' in page
    page = alice.get("/jobs/?q=trends").text
    assert re.search(r'<a href="/orgs/datalab/trends/">[^<]+</a><small>Project</small>', page)
    page = alice.get("/jobs/?q=ALICE").text
    assert '<a href="/jobs/?q=by:alice">alice</a><small>Person</small>' in page
    assert "<small>Person</small>" not in alice.get("/jobs/?q=alice+status:failed").text
    assert requests


def test_the_box_is_on_every_page(site: Site, alice: Browser) -> None:
    for path in ("/", "/status/", "/plain/", "/settings/", "/workspaces/"):
        assert '<form class="find" method="get" action="/jobs/" role="search"' in alice.get(path).text
    with Browser(site, None) as stranger:
        assert 'class="find"' not in stranger.get("/login/").text


def test_the_results_are_a_csv_file_on_request(alice: Browser, requests: dict[str, str], site: Site) -> None:
    answer = alice.get("/jobs/?q=workspace:grouped+status:failed&format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["id"], row["status"], row["by"], row["actions"], row["commit"]) for row in rows] == [
        (requests["failed"], "failed", "alice", "generate", site.sha)
    ]
    assert rows[0]["requested"].endswith("Z")
    every = list(csv.DictReader(io.StringIO(alice.get("/grouped/logs/?format=csv").text)))
    assert {row["workspace"] for row in every} == {"grouped"}
    assert 'href="/jobs/?q=workspace:grouped&amp;format=csv"' in alice.get("/jobs/?q=workspace:grouped").text


def test_a_view_is_saved_for_one_person(alice: Browser, root: Browser) -> None:
    def save(**fields: str) -> int:
        return alice.submit("/jobs/", what="save-view", **fields).status_code

    assert save(name="My  failures", q="by:me  status:failed") == 303
    page = alice.get("/jobs/").text
    assert "Saved the view My failures." in page
    assert '<a href="/jobs/?q=status:failed+by:me" title="status:failed by:me">My failures</a>' in page
    assert "My failures" not in root.get("/jobs/").text
    assert save(name="My failures", q="by:me status:cancelled") == 303
    page = alice.get("/jobs/?q=status:cancelled+by:me").text
    assert 'aria-current="true">My failures</a>' in page
    assert (save(name="", q="x"), save(name="n" * 61, q="x"), save(name="x", q=""), save(name="x", q="a:b")) == (
        400, 400, 400, 400
    )  # fmt: skip
    assert alice.submit("/jobs/", what="delete-view", name="My failures").status_code == 303
    assert "Deleted the view My failures." in alice.get("/jobs/").text
    assert "My failures" not in alice.get("/jobs/").text
    assert alice.submit("/jobs/", what="nonsense").status_code == 400
    for number in range(50):
        assert save(name=f"view {number}", q="x") == 303
    assert save(name="one more", q="x") == 409
    assert save(name="view 7", q="y") == 303


def names(page: str) -> list[str]:
    return re.findall(r'<span class="what"><a href="/([a-z0-9_-]+)/">', page)


def test_the_list_of_workspaces(site: Site, alice: Browser, root: Browser, requests: dict[str, str]) -> None:
    assert requests
    site.run("workspace", "add", "old-one", "--repo", "study", "--branch", "main")
    site.run("workspace", "archive", "old-one")
    assert {"grouped", "plain", "slashed"} <= set(names(alice.get("/workspaces/").text))
    assert "old-one" not in names(alice.get("/workspaces/").text)
    assert names(alice.get("/workspaces/?show=archived").text) == ["old-one"]
    assert "old-one" in names(alice.get("/workspaces/?show=all").text)
    assert names(alice.get("/workspaces/?project=datalab/trends").text) == ["grouped"]
    assert names(alice.get("/workspaces/?org=datalab&q=GROUP").text) == ["grouped"]
    assert names(alice.get("/workspaces/?q=group+slashed").text) == []
    assert names(root.get("/workspaces/?by=me&q=plain").text) == ["plain"]
    assert names(alice.get("/workspaces/?by=me").text) == []
    page = alice.get("/workspaces/?q=slashed").text
    assert f'<a href="/job-requests/{requests["elsewhere"]}/">' in page
    assert "Archived</span>" in alice.get("/workspaces/?show=archived").text
    for query in ("owner=x", "project=nope", "org=nope", "by=nope", "show=nope"):
        assert alice.get(f"/workspaces/?{query}").status_code == 400, query
    assert "past the end" in alice.get("/workspaces/?page=999").text


def test_a_pinned_workspace_comes_first_for_its_person(alice: Browser, root: Browser) -> None:
    assert names(alice.get("/workspaces/").text)[0] == "grouped"
    answer = alice.submit("/workspaces/", workspace="slashed", on="yes", next="/workspaces/?q=s")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/workspaces/?q=s")
    assert names(alice.get("/workspaces/").text)[0] == "slashed"
    assert names(root.get("/workspaces/").text)[0] == "grouped"
    assert names(alice.get("/workspaces/?show=pinned").text) == ["slashed"]
    assert "★" in alice.get("/").text
    assert alice.submit("/workspaces/", workspace="nowhere", on="yes").status_code == 404
    outside = alice.submit("/workspaces/", workspace="slashed", next="https://elsewhere.example/")
    assert outside.headers["Location"] == "/"
    assert names(alice.get("/workspaces/").text)[0] == "grouped"
