"""What people set up for themselves, and admins for others; wrong input is said and kept."""

import json
import re
from datetime import UTC, datetime, timedelta

import httpx

from tests.e2e.harness import Site, job, stamp
from tests.e2e.pages.browser import HOSTILE, Browser


def test_branches_are_looked_up_without_javascript(site: Site, alice: Browser) -> None:
    count = site.count("main")
    page = alice.submit("/workspaces/new/", what="branches", name="half-done", repo="study", branch="x", db="full")
    assert page.status_code == 200
    assert '<option value="feature/slashes">' in page.text
    assert '<option value="study">' in page.text  # offered
    assert 'value="half-done"' in page.text
    page = alice.submit("/workspaces/new/", what="branches", repo="../secret")
    assert "t be used as a repository" in page.text
    assert site.count("main") == count


def test_wrong_input_is_said_on_the_page_and_kept(site: Site, alice: Browser) -> None:
    answer = alice.submit("/plain/", backend="tpp")
    assert answer.status_code == 400
    assert "at least one action" in answer.text
    answer = alice.submit("/workspaces/new/", name="plain", repo="study", branch="main", db="full")
    assert answer.status_code == 409
    assert "already exists" in answer.text
    answer = alice.submit("/workspaces/new/", name="settings", repo="study", branch="main", db="full")
    assert "is reserved for a page of the server" in answer.text
    answer = alice.submit("/workspaces/new/", name="fresh", repo="../secret", branch="main", db="full")
    assert "t be used as a repository" in answer.text
    assert 'value="../secret"' in answer.text
    answer = alice.submit("/workspaces/new/", name="fresh", repo="study", branch="nowhere", db="full")
    assert "Missing branch" in answer.text
    answer = alice.submit("/workspaces/new/", name="Fresh", repo="study", branch="main", db="full")
    assert answer.headers["Location"] == "/fresh/"
    assert alice.get("/workspaces/new/branches/?repo=study").json()["branches"] == ["feature/slashes", "main"]


def test_a_person_sets_an_email_address_and_makes_a_token(site: Site, alice: Browser) -> None:
    assert alice.submit("/settings/", what="email", email="alice@example.org").status_code == 303
    assert "alice@example.org" in alice.get("/settings/").text
    assert "alice@example.org" not in site.git("log", "--all", "-p")
    assert alice.submit("/settings/", what="email", email="nonsense").status_code == 400
    page = alice.lead("/settings/", what="new-token", label=HOSTILE)
    secret = re.search(r"<pre><code>([0-9a-f]{40})</code></pre>", page.text)
    assert secret
    assert HOSTILE not in page.text
    assert site.get("/api/v2/job-requests/", headers={"Authorization": secret[1]}).status_code == 200
    before = site.count("main")
    assert secret[1] not in alice.get("/settings/").text  # shown once, and loading the page again creates none
    assert site.count("main") == before
    assert alice.submit("/settings/", what="revoke", label=HOSTILE).status_code == 303
    assert site.get("/api/v2/job-requests/", headers={"Authorization": secret[1]}).status_code == 403


def test_an_admin_adds_backends_and_archives_workspaces(site: Site, root: Browser, alice: Browser) -> None:
    page = root.lead("/backends/", slug="fresh-one", name="Fresh", databases="full, slice")
    secret = re.search(r"<pre><code>([0-9a-f]{40})</code></pre>", page.text)
    assert secret
    calls = httpx.Client(base_url=site.url)
    assert calls.get("/api/v2/job-requests/", headers={"Authorization": secret[1]}).status_code == 200
    assert calls.get("/status/fresh-one/").status_code == 200  # that call counted as seen
    assert secret[1] not in root.get("/backends/").text  # shown once
    page = root.lead("/backends/fresh-one/", what="rotate")
    assert re.search(r"<pre><code>[0-9a-f]{40}</code></pre>", page.text)
    assert "<pre><code>" not in root.get("/backends/fresh-one/").text
    assert calls.get("/api/v2/job-requests/", headers={"Authorization": secret[1]}).status_code == 403
    assert alice.submit("/plain/settings/", what="archive").status_code == 303
    assert "is archived" in alice.submit("/plain/", page="/settings/", requested_actions="generate", backend="tpp").text
    assert alice.submit("/plain/settings/", what="restore").status_code == 303
    assert root.submit("/users/", username="erin", roles=["CoreDeveloper"]).status_code == 303
    assert root.submit("/users/erin/", roles=["Auditor"], active="on").status_code == 303
    assert "Auditor" in root.get("/users/erin/").text
    assert alice.submit("/users/erin/", page="/settings/", roles=["SuperUser"], active="on").status_code == 403
    settings = "/orgs/datalab/trends/settings/"
    member = root.submit(settings, what="member", username="erin", roles=["ProjectDeveloper"])
    assert (member.status_code, member.headers["Location"]) == (303, settings)
    identifier = site.ask("generate")
    with site.client("tpp") as tpp:
        tpp.report(job(identifier, f"lost{identifier}", "running", 1))
        assert alice.submit(f"/jobs/lost{identifier}/", page="/settings/").status_code == 403
        assert root.submit(f"/jobs/lost{identifier}/", page="/settings/").status_code == 303
        tpp.report(job(identifier, f"lost{identifier}", "running", 10_000_000))
        page = root.get(f"/jobs/lost{identifier}/").text
        assert "Marked as failed by root" in page
        tpp.report(job(identifier, f"lost{identifier}", "succeeded", 20_000_000))
        assert "Marked as failed by root" not in root.get(f"/jobs/lost{identifier}/").text
    calls.close()


def test_a_monitor_reads_a_backends_status(site: Site, root: Browser) -> None:
    assert site.get("/status/emis/").status_code in (200, 503)
    site.run("backend", "add", "brief", "--database", "full")
    page = site.get("/status/brief/")
    assert (page.status_code, page.text) == (503, "brief: never connected\n")
    assert "<strong>brief</strong>" not in root.get("/settings/").text, "no banner: it has some minutes first"
    assert "Not connected yet" in root.get("/").text
    root.submit("/backends/brief/", what="deactivate")
    page = site.get("/status/brief/")
    assert (page.status_code, page.text) == (503, "brief: deactivated\n")
    assert "Create a new token" not in root.get("/backends/brief/").text
    assert root.submit("/backends/brief/", page="/settings/", what="rotate").status_code == 409
    root.submit("/backends/brief/", what="activate")
    assert site.get("/status/brief/").text == "brief: never connected\n"
    assert "Create a new token" in root.get("/backends/brief/").text
    root.submit("/backends/brief/", what="deactivate")
    with site.client("emis") as emis:
        emis.get("/api/v2/job-requests/")
    assert site.get("/status/emis/").status_code == 200
    assert site.get("/status/nowhere/").status_code == 404


def test_when_a_token_was_last_used_is_shown(site: Site, alice: Browser) -> None:
    made = alice.lead("/settings/", what="new-token", label="laptop").text
    secret = re.search(r"<code[^>]*>([0-9a-f]{40})</code>", made)
    assert secret
    row = r"laptop\s+<small>created .*?</time>,\s+(.*?)</small>"
    assert re.findall(row, alice.get("/settings/").text) == ["never used"]
    assert site.get("/api/v2/job-requests/", headers={"Authorization": secret[1]}).status_code == 200
    assert "now" in re.findall(row, alice.get("/settings/").text)[0]


def test_a_clock_that_is_off_and_two_runners_with_one_token_are_named(site: Site, root: Browser) -> None:
    identifier = site.ask()
    now = datetime.now(UTC)
    first = job(identifier, f"{identifier}a", updated_at=(now + timedelta(hours=2)).isoformat())
    second = job(identifier, f"{identifier}b", created_at=stamp(2), at=4)
    with site.client("tpp") as tpp:
        assert "clock" in tpp.report(first).json()
        shown = root.get("/status/").text
        assert "clock is wrong" in shown
        assert "Two runners" not in shown
        assert tpp.report(second).json() == {"status": "success"}
        shown = root.get("/status/").text
    assert "clock is wrong" not in shown
    assert "Two runners use the token of this backend" in shown
    assert f'href="/job-requests/{identifier}/"' in shown
    assert f"two runners use the token of backend tpp: both ran jobs of {identifier}" in site.log()


def test_a_runners_flags_are_said_in_words(site: Site, root: Browser) -> None:
    flags = '{"paused": {"v": "true", "ts": "2026-11-24T10:00:00Z"}, "mode": {"v": "<b>", "ts": null}}'
    with site.client("tpp", Flags=flags) as tpp:
        assert tpp.get("/api/v2/job-requests/").status_code == 200
    assert "No new jobs will start." in root.get("/status/").text
    with site.client("tpp", Flags="nonsense") as tpp:
        assert tpp.get("/api/v2/job-requests/").status_code == 200
    assert "Paused" in root.get("/status/").text  # what can't be read changes nothing
    for odd in (
        '{"paused": {"v": "on", "ts": "0001-01-01T00:00:00+23:59"}}',
        f'{{"mode": {{"v": {"[" * 300}{"]" * 300}}}}}',
    ):
        with site.client("tpp", Flags=odd) as tpp:
            assert tpp.get("/api/v2/job-requests/").status_code == 200
        assert root.get("/status/").status_code == 200  # found: 500 for all, also after a restart
    with site.client("tpp", Flags='{"paused": {"v": "", "ts": null}}') as tpp:
        assert tpp.get("/api/v2/job-requests/").status_code == 200
    assert "Paused" not in root.get("/status/").text


def test_which_studies_and_branches_there_are_is_told_to_who_may_use_them(site: Site) -> None:
    """carol has no role at all; bob may run jobs in one project."""
    with Browser(site, "carol") as carol:
        assert "/workspaces/new/" not in carol.get("/").text
        for path in ("", "branches/?repo=study", "repositories/", "branches/?repo=nowhere"):
            page = carol.get(f"/workspaces/new/{path}")
            assert (page.status_code, "feature/slashes" in page.text) == (403, False), path
        answer = carol.submit("/workspaces/new/", page="/settings/", what="branches", repo="study")
        assert (answer.status_code, "feature/slashes" in answer.text) == (403, False)
        answer = carol.submit("/workspaces/new/", page="/settings/", name="x", repo="nowhere", branch="y")
        assert (answer.status_code, "Missing" in answer.text) == (403, False)
    with Browser(site, "bob") as bob:
        assert bob.get("/workspaces/new/branches/?repo=study").json()["branches"] == ["feature/slashes", "main"]


def test_a_paused_backend_takes_no_new_requests_and_finishes_those_it_has(site: Site, root: Browser) -> None:
    site.run("backend", "add", "busy", "--database", "full")
    identifier = site.ask(backend="busy")
    root.submit("/backends/busy/", what="pause")
    assert "takes no new requests" in root.get("/status/").text
    assert 'value="busy"' not in root.get("/plain/").text
    with site.client("alice") as alice:
        body = {"requested_actions": ["generate"], "backend": "busy"}
        refused = alice.post("/api/v2/workspaces/plain/job-requests/", json=body)
        assert refused.status_code == 409
        assert "busy is paused and takes no new requests" in refused.text
        assert identifier in alice.listed(backend="busy")
    site.run("backend", "resume", "busy")
    assert 'value="busy"' in root.get("/plain/").text
    site.ask(backend="busy")
    site.run("backend", "pause", "busy")
    assert "Take new requests again" in root.get("/backends/busy/").text
    root.submit("/backends/busy/", what="deactivate")


def test_every_page_shows_the_site_message(site: Site, root: Browser, alice: Browser) -> None:
    root.submit("/settings/message/", what="set", text="No <jobs> run on Friday", level="danger")
    shown = re.compile(
        r'<div class="banner danger" role="status"><div class="container">\s+No &lt;jobs&gt; run on Friday'
    )
    for page in (root.get("/").text, alice.get("/settings/").text, site.get("/login/").text):
        assert shown.search(page)
    assert alice.get("/settings/message/").status_code == 403
    assert site.run("message", "show") == "danger: No <jobs> run on Friday"
    assert site.command("message", "set", "x", "--as", "alice").returncode == 1
    site.run("message", "set", "Slow today")
    assert json.loads(site.run("message", "show", "--json")) == {"level": "info", "text": "Slow today"}
    assert '<div class="banner info" role="status">' in alice.get("/").text
    root.submit("/settings/message/", what="remove")
    assert site.run("message", "show") == ""
    assert "Slow today" not in root.get("/").text
