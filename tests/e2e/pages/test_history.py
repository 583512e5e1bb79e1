"""The history of actions, workspaces and backends; nothing here needs JavaScript."""

import re
from html import unescape
from itertools import count

from tests.e2e.harness import Site, job, stamp
from tests.e2e.pages.browser import Browser

NUMBERS = count(1)


def run(site: Site, minutes: int, status: str = "succeeded", **more: str) -> str:
    """A request of generate whose job took so long."""
    identifier = site.ask("generate")
    reported = job(identifier, f"j{identifier}", status, 1, **more)
    number = next(NUMBERS)
    reported |= {"created_at": stamp(number), "started_at": stamp(number), "completed_at": stamp(number + 60 * minutes)}
    with site.client("tpp") as tpp:
        tpp.report(reported).raise_for_status()
    return identifier


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_the_runs_of_an_action_and_what_is_slower_than_usual(site: Site, alice: Browser) -> None:
    for minutes in (12, 13, 15, 17, 19):
        run(site, minutes)
    failed = run(site, 1, "failed", status_code="nonzero_exit")
    cancelled = run(site, 1, "failed", status_code="cancelled_by_user")
    slow = run(site, 45)
    page = alice.get("/plain/actions/generate/").text
    assert page.count("slower than usual") == 1
    shown = words(page)
    assert "Success rate 85%" in shown, "a cancelled run is neither"
    assert re.search(r"Usually takes 1[34]–1[89] min on tpp", shown)
    rows = re.findall(r"<tr>\s*<td>.*?</tr>", page, re.DOTALL)
    assert len(rows) == 8
    assert f"/job-requests/{slow}/jobs/j{slow}/" in rows[0]
    assert "45m 0s" in rows[0]
    assert ("Cancelled" in rows[1], "Failed" in rows[2]) == (True, True)
    assert page.count('<g class="failed">') == 1
    assert page.count('<g class="other">') == 1
    of_job = words(alice.get(f"/job-requests/{slow}/jobs/j{slow}/").text)
    assert "Slower than usual" in of_job
    assert re.search(r"usually 1\d–1\d min", of_job)
    assert "lower than usual" not in alice.get(f"/job-requests/{failed}/jobs/j{failed}/").text
    assert cancelled in page

    only = alice.get("/plain/actions/generate/?backend=tpp")
    assert "on tpp" in words(only.text)
    for query, status in {"?backend=nope": 400, "?before=x": 400, "?status=failed": 400, "?before=5": 200}.items():
        assert alice.get(f"/plain/actions/generate/{query}").status_code == status, query
    for path in ("/plain/actions/nope/", "/nope/actions/generate/", "/nope/trends/"):
        assert alice.get(path).status_code == 404, path


def test_trends_list_no_action_that_never_had_a_job(site: Site, alice: Browser) -> None:
    site.ask("run_all", backend="emis", workspace="grouped")
    page = alice.get("/grouped/trends/").text
    assert "/grouped/actions/run_all/" not in page
    assert "days ago" not in words(page)


def test_trends_show_50_actions_at_a_time_and_find_them_by_name(site: Site, alice: Browser) -> None:
    """Found with a study of 4,125 actions: a page of 1.8 MB."""
    identifier = site.ask("run_all", backend="tpp", workspace="grouped")
    with site.client("tpp") as tpp:
        jobs = [job(identifier, f"{identifier}{n}", "succeeded", 1, action=f"step_{n}") for n in range(120)]
        tpp.report(*jobs).raise_for_status()

    def actions(path: str) -> list[str]:
        page = alice.get(path).text
        others = re.findall(r'href="(/grouped/trends/[^"]*page=\d)"', page)
        links = {
            text: unescape(link) for link, text in zip(others, re.findall(r">(Previous|Next)</a>", page), strict=True)
        }
        listed = re.findall(r'href="/grouped/actions/(step_\d+)/"', page)
        return listed + (actions(links["Next"]) if "Next" in links else [])

    assert alice.get("/grouped/trends/").text.count("/grouped/actions/") == 50
    assert "120 actions" in words(alice.get("/grouped/trends/").text)
    assert sorted(actions("/grouped/trends/")) == sorted(f"step_{n}" for n in range(120))
    assert actions("/grouped/trends/?q=STEP_11") == [f"step_{n}" for n in (11, *range(110, 120))]
    assert len(actions("/grouped/trends/?q=_")) == 120, "further pages keep the filter"
    assert "No action that ran here has <b> in its name" in words(alice.get("/grouped/trends/?q=%3Cb%3E").text)
    assert "past the end of the list" in alice.get("/grouped/trends/?page=9").text


def test_older_runs_are_on_further_pages(site: Site, alice: Browser) -> None:
    for _ in range(31):
        site.ask("report")
    with site.client("tpp") as tpp:
        jobs = [
            job(identifier, f"r{identifier}", "succeeded", number, action="report")
            for number, identifier in enumerate(tpp.listed())
        ]
        tpp.report(*jobs).raise_for_status()
    first = alice.get("/plain/actions/report/").text
    older = re.search(r'href="(/plain/actions/report/\?before=[^"]+)"', first)
    assert older
    rest = alice.get(older[1]).text
    assert "Earlier runs" in rest
    seen = re.findall(r"<td><a href=\"/job-requests/(\w+)/", first + rest)
    assert len(seen) == len(set(seen)) == len(jobs)


def test_the_trend_of_a_workspace(site: Site, alice: Browser) -> None:
    run(site, 3)
    page = alice.get("/plain/trends/").text
    shown = words(page)
    assert "Requests by week" in shown
    assert "Mean duration" in shown
    assert '<a href="/plain/actions/generate/">generate</a>' in page
    assert '<a href="/plain/trends/">Trends</a>' in alice.get("/plain/").text
    assert "No requests in the last 26 weeks" in alice.get("/slashed/trends/").text


def test_the_days_of_a_backend(site: Site, alice: Browser, root: Browser) -> None:
    run(site, 30)
    page = alice.get("/backends/tpp/history/").text
    assert page.count("<tr>") == 31, "30 days and the head"
    assert "At once" in page
    assert "Settings" not in page
    assert "Settings" in root.get("/backends/tpp/history/").text
    assert alice.get("/backends/nope/history/").status_code == 404
    assert alice.get("/backends/tpp/history/?days=9").status_code == 400


def test_a_workspace_has_the_same_tabs_on_each_of_its_pages(site: Site, alice: Browser) -> None:
    seen = {}
    for tab in ("", "logs/", "trends/", "settings/", "audit/"):
        page = alice.get(f"/plain/{tab}").text
        seen[tab] = re.findall(r'href="(/plain/[^"]*)"', page.partition('aria-label="Tabs"')[2].partition("</nav>")[0])
    assert set(map(tuple, seen.values())) == {tuple(f"/plain/{tab}" for tab in seen)}
