"""Every page at rest, in every look: axe-core finds nothing, nothing is wider than a phone, and a picture is kept."""

import re
from collections.abc import Iterator
from hashlib import sha256

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from jobserver.domain.projects import Project
from jobserver.store.yaml import codec
from jobserver.web.pages.routes.invitations import InvitationLinks
from tests.browser.conftest import HOSTILE, inspect, log_in, watched
from tests.e2e.harness import Site, job
from tests.samples import only_whole
from tests.zips import MANIFEST, md5_of, zipped

LONG = "a_very_long_action_name_that_goes_on_and_on_and_on_without_any_mercy_at_all"
WIDE_STUDY = "\n".join(
    [
        "actions:",
        "  extract: {run: cohortextractor:latest generate_cohort}",
        *(f"  table_{number}: {{run: python:latest python a.py, needs: [extract]}}" for number in range(7)),
        f"  {LONG}: {{run: python:latest python a.py, needs: [extract, table_1]}}",
        f"  last: {{run: r:latest analysis/last.R, needs: [{LONG}, table_5]}}",
        "",
    ]
)
RELEASED = {
    MANIFEST: b"{}",
    "output/admissions_by_age_band_and_region.csv": b"age,region,count\n" * 900,
    "output/figures/deaths_per_week_with_intervals.svg": b"<svg/>" * 9000,
    f"output/{LONG}.txt": HOSTILE.encode(),
}


@pytest.fixture(scope="module")
def root(chromium: Browser, site: Site) -> Iterator[Page]:
    """One login for all pages."""
    for status, minutes in (("succeeded", 90), ("failed", 40), ("running", 5)):
        identifier = site.ask("generate", backend="emis", workspace="plain" if status == "failed" else "grouped")
        with site.client("emis") as emis:
            emis.report(job(identifier, f"s{identifier}", status, 60 * minutes)).raise_for_status()
    context = chromium.new_context(reduced_motion="reduce")
    with watched(context) as page:
        log_in(page, site, "root")
        yield page
    context.close()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "home"),
        ("/jobs/", "event-log"),
        ("/jobs/?status=failed&workspace=plain&username=carol", "event-log-empty"),
        ("/jobs/?q=status:failed,succeeded+backend:emis+grouped", "event-log-search"),
        ("/jobs/?q=owner:alice+status:lost", "event-log-refused"),
        ("/workspaces/", "workspaces"),
        ("/workspaces/?show=pinned&project=datalab/trends", "workspaces-none"),
        ("/plain/", "workspace"),
        ("/plain/logs/", "workspace-log"),
        ("/plain/trends/", "workspace-trends"),
        ("/plain/actions/generate/", "action"),
        ("/backends/emis/history/", "backend-history"),
        ("/plain/audit/", "workspace-audit"),
        ("/plain/settings/", "workspace-settings"),
        ("/plain/settings/webhooks/", "workspace-webhooks"),
        ("/status/", "status"),
        ("/settings/", "settings"),
        ("/orgs/", "orgs"),
        ("/orgs/datalab/", "org"),
        ("/orgs/datalab/trends/", "project"),
        ("/orgs/datalab/trends/settings/", "project-settings"),
        ("/orgs/datalab/trends/audit/", "project-audit"),
        ("/orgs/new/", "new-org"),
        ("/orgs/datalab/new-project/", "new-project"),
        ("/invitations/", "invitations-none"),
        ("/plain/releases/", "releases-none"),
        ("/backends/", "backends"),
        ("/backends/tpp/", "backend"),
        ("/backends/emis/audit/", "backend-audit"),
        ("/users/", "people"),
        ("/users/bob/", "person"),
        pytest.param("/api/", "api", marks=only_whole),
        ("/nothing-here/", "error-404"),
    ],
)
def test_every_page_can_be_used_by_everybody(site: Site, root: Page, path: str, name: str) -> None:
    root.goto(site.url + path)
    expect(root.get_by_role("heading", level=1)).to_be_visible()
    inspect(root, name)


def test_two_requests_compared(site: Site, root: Page) -> None:
    first, second = site.ask("generate", backend="emis"), site.ask("generate", backend="emis")
    with site.client("emis") as emis:
        for identifier, status in ((first, "succeeded"), (second, "failed")):
            emis.report(job(identifier, f"c{identifier}", status, 60)).raise_for_status()
    root.goto(f"{site.url}/plain/compare/?from={first}&to={second}")
    expect(root.get_by_text("1 of 1 ended differently")).to_be_visible()
    inspect(root, "compare")


def test_releases_and_the_files_of_one(site: Site, root: Page) -> None:
    """Of the same contents from two backends, which is one page with both."""
    identifier = md5_of(RELEASED)
    for backend, user in (("tpp", "jane"), ("emis", "root")):
        with site.client(backend, **{"Backend-User": user}) as sender:
            for files in (RELEASED, {MANIFEST: b"{}"}) if backend == "tpp" else (RELEASED,):
                sent = sender.put(f"/api/v2/workspaces/grouped/releases/{md5_of(files)}", content=zipped(files))
                assert sent.status_code == 201, sent.text
    root.goto(f"{site.url}/grouped/")
    root.get_by_role("link", name="Releases").click()
    files = root.get_by_role("link", name=re.compile("and 1 more$"))
    expect(files).to_have_count(2)
    expect(root.get_by_role("link", name="only a manifest")).to_have_count(1)
    expect(root.get_by_text(identifier[:10])).to_have_count(2)
    inspect(root, "releases")
    files.first.click()
    expect(root.get_by_role("heading", name="From emis", exact=True)).to_be_visible()
    inspect(root, "release")
    with root.expect_download() as saved:
        root.get_by_role("link", name=LONG).first.click()
    assert saved.value.path().read_text() == HOSTILE
    assert root.evaluate("window.hacked") is None
    root.goto(f"{site.url}/grouped/releases/?page=2")
    expect(root.get_by_text("No older releases")).to_be_visible()
    expect(root.get_by_role("button", name="Newer")).to_be_visible()


@only_whole
def test_a_release_that_people_approve_and_a_file_of_it(site: Site, root: Page) -> None:
    identifier = "01J9ZQ4V8N6T3W5X7Y9A1B2C3D"
    files = {"output/table.csv": b"region,count\nNorth,120\n", "output/page.html": b"<h1>Report</h1>"}
    listed = [{"name": name, "size": len(data), "sha256": sha256(data).hexdigest(), "review": None}
              for name, data in files.items()]  # fmt: skip
    body = {"files": listed, "metadata": {"tool": "airlock", "airlock_id": identifier}, "review": None}
    for name in ("dora", "emil"):
        site.run("user", "add", name, "--role", "OutputChecker")
        site.tokens[name] = site.run("user", "token", name)
    with site.client("tpp") as tpp:
        for event, user in (("submitted", "bob"), ("partially_reviewed", "dora"), ("reviewed", "emil")):
            data = {"event_type": f"request_{event}", "workspace": "grouped", "request": identifier,
                    "request_author": "bob", "user": user, "updates": None}  # fmt: skip
            assert tpp.post("/api/v2/airlock/events/", json=data).json() == {"status": "ok"}
        as_dora = {"OS-User": "dora"}
        tpp.post("/api/v2/releases/workspace/grouped", json=body, headers=as_dora).raise_for_status()
        for name, content in files.items():
            headers = as_dora | {"Content-Disposition": f'attachment; filename="{name}"'}
            tpp.post(f"/api/v2/releases/release/{identifier}", content=content, headers=headers).raise_for_status()
    root.goto(f"{site.url}/grouped/releases/{identifier}")
    expect(root.get_by_text("2 files are released.")).to_be_visible()
    inspect(root, "release-approved")
    root.get_by_role("link", name="output/table.csv").click()
    expect(root.get_by_role("cell", name="North")).to_be_visible()
    inspect(root, "released-table")
    root.goto(f"{site.url}/grouped/releases/{identifier}/tpp/output/page.html?view")
    expect(root.frame_locator("iframe").get_by_role("heading", name="Report")).to_be_visible()
    root.goto(f"{site.url}/grouped/releases/files/")
    inspect(root, "released-files")
    root.goto(f"{site.url}/grouped/releases/{identifier}")
    root.get_by_role("button", name="Ask to publish").click()
    site.run("user", "add", "paula", "--role", "OutputPublisher")
    name = f"grouped/tpp/{identifier}"
    site.run("release", "publish", name, "--as", "paula")
    root.goto(f"{site.url}/grouped/published/{identifier}/")
    expect(root.get_by_role("link", name="output/table.csv")).to_be_visible()
    inspect(root, "published")


@only_whole
def test_a_wide_pipeline_with_long_names(site: Site, root: Page) -> None:
    site.study("wide-study", {"project.yaml": WIDE_STUDY})
    site.run("workspace", "add", "wide", "--repo", "wide-study", "--branch", "main", "--as", "alice")
    root.goto(f"{site.url}/wide/?requested_actions=last")
    expect(root.locator("#would-run")).to_contain_text("5 jobs will run")
    root.locator("details", has_text="project.yaml at this commit").last.locator("summary").click()
    inspect(root, "workspace-wide")


def test_a_request_that_waits_and_one_that_is_cancelled(site: Site, root: Page) -> None:
    """On a backend without a runner of its own: the test reports in its place."""
    with site.client("emis") as emis:
        earlier = site.ask("generate", backend="emis")
        emis.report(job(earlier, f"e{earlier}", "succeeded", 30, status_code="succeeded")).raise_for_status()
    site.ask("report", backend="emis")
    waiting = site.ask("report", backend="emis")
    root.goto(f"{site.url}/job-requests/{waiting}/")
    expect(root.get_by_text(re.compile(r"Number \d+ in the queue of"))).to_be_visible()
    inspect(root, "request-waiting")
    with site.client("emis") as emis:
        emis.report(
            job(waiting, "w1", "running", 1, action="generate", status_code="executing", status_message=HOSTILE),
            job(waiting, "w2", "pending", 1, action="analyse", status_code="waiting_on_dependencies"),
            job(waiting, "w3", "pending", 1, action="report", status_code="waiting_on_dependencies"),
        ).raise_for_status()
    root.get_by_role("checkbox", name="Select analyse").check()
    root.get_by_role("checkbox", name="Select report").check()
    root.get_by_role("button", name="Cancel selected jobs").click()
    expect(root.get_by_text("Cancellation requested for analyse, report")).to_be_visible()
    inspect(root, "request-cancel-requested")
    root.get_by_role("link", name="generate", exact=True).click()
    expect(root.get_by_text("The runner seems to have lost this job")).to_be_visible()
    inspect(root, "job-lost")
    assert root.evaluate("window.hacked") is None
    root.get_by_role("link", name="Audit").click()
    expect(root.get_by_text("verified signature").first).to_be_visible()
    inspect(root, "job-audit")


@only_whole
def test_a_run_is_compared_with_the_ones_before_it(site: Site, root: Page) -> None:
    with site.client("emis") as emis:
        for status, code in (("succeeded", "succeeded"), ("failed", "nonzero_exit"), ("failed", "unmatched_patterns")):
            identifier = site.ask("analyse", backend="emis", workspace="slashed")
            emis.report(
                job(identifier, f"c{identifier}", status, 90, action="analyse", status_code=code)
            ).raise_for_status()
    root.goto(f"{site.url}/job-requests/{identifier}/")
    expect(root.get_by_text("same code as the previous run")).to_be_visible()
    inspect(root, "request-compared")
    root.get_by_role("link", name="Audit").click()
    inspect(root, "request-audit")
    root.goto(f"{site.url}/jobs/c{identifier}/")
    inspect(root, "job-failed")
    root.goto(f"{site.url}/slashed/?at={site.git('rev-parse', 'main')}")
    expect(root.get_by_text("This page is as it was on")).to_be_visible()
    inspect(root, "workspace-as-it-was")


def test_a_workspace_that_is_archived_and_one_whose_study_is_broken(site: Site, root: Page) -> None:
    site.study("broken-study", {"project.yaml": "actions:\n  a: {needs: [b]}\n  c: 5\n"})
    site.run("workspace", "add", "broken", "--repo", "broken-study", "--branch", "main", "--as", "alice")
    root.goto(f"{site.url}/broken/")
    expect(root.get_by_text("The study cannot be read")).to_be_visible()
    inspect(root, "workspace-broken")
    root.get_by_role("link", name="Settings").last.click()
    root.once("dialog", lambda dialog: dialog.accept())
    root.get_by_role("button", name="Archive workspace").click()
    expect(root.locator(".head .badge")).to_have_text("Archived")
    inspect(root, "workspace-archived")


def test_a_form_that_is_refused_says_why(site: Site, root: Page) -> None:
    for path, fields, button, name in (
        ("/workspaces/new/", {"name": "new", "repo": "nowhere"}, "Create workspace", "new-workspace-refused"),
        ("/orgs/new/", {"name": "datalab"}, "Add organisation", "new-org-refused"),
    ):
        root.goto(site.url + path)
        for field, value in fields.items():
            root.locator(f"[name={field}]").fill(value)
        root.get_by_role("button", name=button).click()
        expect(root.get_by_role("alert").filter(has_text="There is a problem")).to_be_visible()
        inspect(root, name)


def test_a_list_of_repositories_that_comes_later_is_put_into_its_picker(site: Site, root: Page) -> None:
    """As where GITHUB_ORG is set, whose list is asked for on another machine."""

    def without_list(route: Route) -> None:
        page = route.fetch()
        route.fulfill(response=page, body=page.text().replace('id="repos"', 'id="repos" data-more="/later/"'))

    later = {"repositories": ["https://github.com/org/<b>"], "hint": "Type to search &lt;b&gt;"}
    root.route(f"{site.url}/workspaces/new/", without_list)
    root.route(f"{site.url}/later/", lambda route: route.fulfill(json=later))
    root.goto(f"{site.url}/workspaces/new/")
    expect(root.get_by_text("Type to search <b>")).to_be_visible()
    assert root.locator("#repos option").evaluate_all("all => all.map(one => one.value)") == later["repositories"]
    root.unroute_all()


def test_an_invitation_by_its_link(chromium: Browser, site: Site) -> None:
    site.run("user", "add", "guest")
    site.run("project", "invite", "datalab/trends", "guest", "--role", "ProjectDeveloper")
    document = codec.read(Project, site.git("show", "main:projects/datalab/trends.yaml").encode() + b"\n", "trends")
    (invitation,) = document.invitations
    links = InvitationLinks(site.env["SECRET_KEY"], site.url)
    context = chromium.new_context(reduced_motion="reduce")
    with watched(context) as page:
        log_in(page, site, "guest")
        page.goto(links.url("datalab/trends", invitation))
        expect(page.get_by_text("root invited you")).to_be_visible()
        inspect(page, "invitation-linked")
        page.get_by_role("button", name="Decline").click()
    context.close()


@only_whole
def test_a_reader_is_told_that_they_may_only_look(chromium: Browser, site: Site) -> None:
    site.run("user", "add", "newcomer")
    context = chromium.new_context(reduced_motion="reduce")
    with watched(context) as page:
        log_in(page, site, "newcomer")
        inspect(page, "home-newcomer")
        page.goto(f"{site.url}/plain/")
        expect(page.get_by_text("You do not have permission to run jobs")).to_be_visible()
        inspect(page, "workspace-newcomer")
        page.goto(f"{site.url}/orgs/datalab/trends/")
        expect(page.get_by_role("link", name="Settings")).to_have_count(0)
        inspect(page, "project-newcomer")
        site.run("user", "disable", "newcomer")
    context.close()


def test_a_printed_record_has_every_change(site: Site, root: Page) -> None:
    root.goto(f"{site.url}/plain/audit/")
    change = root.locator("pre.diff").first
    expect(change).to_be_hidden()
    root.emulate_media(media="print")
    expect(change).to_be_visible()
    expect(root.locator(".audit .print-only").first).to_contain_text("UTC")
    expect(root.locator("header.top")).to_be_hidden()
    root.emulate_media(media="screen")


def test_chosen_boxes_stay_while_the_page_follows(site: Site, root: Page) -> None:
    identifier = site.ask("report", backend="emis")
    with site.client("emis") as emis:
        emis.report(job(identifier, "f1", "pending", 1), job(identifier, "f2", "pending", 1, action="analyse"))
        root.goto(f"{site.url}/job-requests/{identifier}/")
        box = root.get_by_role("checkbox", name="Select analyse")
        box.check()
        emis.report(job(identifier, "f1", "running", 2), job(identifier, "f2", "pending", 1, action="analyse"))
    expect(root.locator(".head .badge.running")).to_be_visible()
    expect(root.get_by_role("checkbox", name="Select analyse")).to_be_checked()


def test_a_paused_backend_and_one_that_is_silent(site: Site, root: Page) -> None:
    flags = '{"paused": {"v": "true", "ts": "2026-11-24T10:00:00Z"}, "mode": {"v": "db-maintenance", "ts": null}}'
    with site.client("emis", Flags=flags) as emis:
        emis.get("/api/v2/job-requests/").raise_for_status()
    token = site.run("backend", "add", "silent", "--database", "full")
    assert token
    root.goto(f"{site.url}/status/")
    expect(root.get_by_text("No new jobs will start.")).to_be_visible()
    expect(root.get_by_text("No runner has ever connected.")).to_be_visible()
    inspect(root, "status-paused")
    site.run("backend", "deactivate", "silent")


def test_every_page_shows_the_site_message(site: Site, root: Page) -> None:
    root.goto(f"{site.url}/settings/message/")
    root.get_by_label("Message").fill("No jobs run on Friday.")
    root.get_by_label("Level").select_option("warning")
    root.get_by_role("button", name="Show message").click()
    expect(root.get_by_role("status").get_by_text("No jobs run on Friday.")).to_be_visible()
    inspect(root, "site-message")
    root.get_by_role("button", name="Remove message").click()
    expect(root.get_by_text("No jobs run on Friday.")).to_have_count(0)


@only_whole
def test_a_secret_is_shown_once(site: Site, root: Page) -> None:
    root.goto(f"{site.url}/settings/")
    root.get_by_label("Token name").fill("my laptop")
    root.get_by_role("button", name="Create token").click()
    expect(root.get_by_text("You will not be able to see it again")).to_be_visible()
    inspect(root, "settings-token")
    root.goto(f"{site.url}/backends/")
    root.get_by_label("Short name").fill("fresh")
    root.get_by_role("button", name="Add backend").click()
    expect(root.get_by_text("Token of fresh.")).to_be_visible()
    inspect(root, "backends-token")
    root.goto(f"{site.url}/backends/fresh/")
    root.get_by_role("checkbox", name="Keep the old token").check()
    root.get_by_role("button", name="Create a new token").click()
    expect(root.get_by_text("New token.")).to_be_visible()
    inspect(root, "backend-token")
    root.once("dialog", lambda dialog: dialog.accept())
    root.get_by_role("button", name="Deactivate backend").click()
    expect(root.get_by_role("button", name="Activate backend")).to_be_visible()
    inspect(root, "backend-off")


@only_whole
def test_a_new_installation_says_what_to_do_first(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    new = Site(tmp_path_factory.mktemp("new"), is_template=True)
    new.env |= {"SOCIAL_AUTH_GITHUB_KEY": "key", "SOCIAL_AUTH_GITHUB_SECRET": "secret"}
    new.run("init")
    new.start()
    context = chromium.new_context(reduced_motion="reduce")
    try:
        with watched(context) as page:
            page.goto(new.url)
            expect(page.get_by_role("button", name="Continue with GitHub")).to_be_visible()
            inspect(page, "login-github")
            log_in(page, new, "root")
            expect(page.get_by_role("heading", name="Get started")).to_be_visible()
            inspect(page, "new-home")
            for path, name in (("/jobs/", "new-event-log"), ("/status/", "new-status"), ("/orgs/", "new-orgs"),
                               ("/backends/", "new-backends")):  # fmt: skip
                page.goto(new.url + path)
                inspect(page, name)
            new.run("user", "add", "carol")
            other = chromium.new_context(reduced_motion="reduce")
            with watched(other) as page:
                log_in(page, new, "carol")
                inspect(page, "new-home-newcomer")
                page.goto(f"{new.url}/users/")
                expect(page.get_by_role("heading", name="You do not have permission")).to_be_visible()
                inspect(page, "error-403")
                for number in range(12):
                    httpx.get(f"{new.url}/login/link/guess{number}/")
                page.goto(f"{new.url}/login/link/guess/")
                expect(page.get_by_role("heading", name="Too many attempts")).to_be_visible()
                inspect(page, "error-429")
            other.close()
    finally:
        context.close()
        new.stop()
