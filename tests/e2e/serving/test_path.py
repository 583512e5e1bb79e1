"""BASE_URL with a path: all that people, scripts, runners and git are sent to is below it, and nothing leaves it."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.e2e.harness import Site, git, job
from tests.e2e.pages.browser import Browser
from tests.samples import IS_WHOLE, first

PATH = "/data/jobs"
_LINKS = re.compile(r'<[^>]*?\s(?:href|action|formaction|src|data-more|data-root)="([^"]*)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.url += PATH
    made.env["BASE_URL"] = f"{made.url}/"
    made.start()
    yield made
    made.stop()
    made.check_record()


@pytest.fixture(scope="module")
def request_id(site: Site) -> str:
    """A request with jobs, of which one failed; and a released file."""
    identifier = site.ask()
    with site.client("tpp") as tpp:
        jobs = [job(identifier, "a", "succeeded", 1), job(identifier, "b", "failed", 2, action="analyse")]
        assert tpp.report(*jobs).status_code == 200
    return identifier


def leaves(url: str) -> bool:
    """Whether this is a place of this host that is not below the path."""
    parts = urlsplit(url)
    return parts.netloc.startswith("127.0.0.1") and not parts.path.startswith(f"{PATH}/")


def is_tried(url: str) -> bool:
    """In short, each page once: its filters and earlier versions are the same templates."""
    return IS_WHOLE or not urlsplit(url).query


def test_no_link_form_or_file_of_any_page_leaves_the_path(site: Site, request_id: str) -> None:
    """All pages that an admin gets to from the front page, by links and forms that are looked at."""
    with Browser(site, "root") as root:
        seen, left = set[str](), [f"{site.url}/", f"{site.url}/nowhere/at/all/", f"{site.url}/nobody/"]
        while left:
            url = left.pop()
            if url in seen:
                continue
            seen.add(url)
            page = root.get(url, headers={"Accept": "text/html"}, follow_redirects=True)
            assert page.status_code in (200, 404, 405, 503), (url, page.status_code)
            assert not leaves(str(page.url)), url
            if not page.headers["Content-Type"].startswith("text/html"):
                continue
            found = [urljoin(str(page.url), link.replace("&amp;", "&")) for link in _LINKS.findall(page.text)]
            assert not [one for one in found if leaves(one)], url
            left += [
                one.partition("#")[0] for one in found if urlsplit(one).netloc == urlsplit(url).netloc and is_tried(one)
            ]
    paths = {urlsplit(url).path.removeprefix(PATH) for url in seen}
    assert {f"/job-requests/{request_id}/", "/status/", "/plain/", "/settings/", "/orgs/datalab/trends/"} <= paths
    assert any(path.startswith("/static/app.") for path in paths)
    assert len(paths) > 40


def test_scripts_of_pages_ask_below_the_path() -> None:
    scripts = list((Path(__file__).parents[3] / "jobserver/web/static/js").glob("*.js"))
    assert scripts
    assert not [path.name for path in scripts if re.findall(r"[\"'`]/(?!/)\w", path.read_text())]


def test_forms_and_redirects_go_on_below_the_path(site: Site) -> None:
    with Browser(site, "alice") as alice:
        page = alice.get("/plain/")
        once = re.search(r'name="once" value="([^"]+)"', page.text)
        assert once
        fields: dict[str, str] = {
            "database_name": "full",
            "form": alice.token(page),
            "once": once[1],
            "requested_actions": "generate",
            "backend": "tpp",
        }
        answer = alice.post("/plain/", data=fields, headers={"Origin": site.url.removesuffix(PATH)})
        assert answer.status_code == 303, answer.text
        assert answer.headers["Location"].startswith(f"{PATH}/job-requests/")
        assert alice.get("/status").headers["Location"] == f"{PATH}/status/"
        assert {cookie.path for cookie in alice.cookies.jar} == {f"{PATH}/"}
        refused = alice.post("/plain/", data=fields, headers={"Origin": "https://elsewhere.example"})
        assert refused.status_code == 403


def test_a_log_in_leads_back_to_the_page(site: Site) -> None:
    with Browser(site, None) as browser:
        where = browser.get("/plain/?a=b").headers["Location"]
        assert where == f"{PATH}/login/?next=/plain/%3Fa%3Db"
    with Browser(site, "alice") as alice:
        assert alice.get(where.removeprefix(PATH)).headers["Location"] == f"{PATH}/plain/?a=b"


def test_the_api_names_itself_below_the_path(site: Site, request_id: str) -> None:
    with site.client("alice") as alice:
        body = {"requested_actions": ["run_all"], "backend": "tpp"}
        made = alice.post("/api/v2/workspaces/plain/job-requests/", json=body)
        assert made.headers["Location"].startswith(f"{site.url}/api/v2/")
        assert alice.get(made.headers["Location"]).json()["identifier"] == made.json()["identifier"]
        described = alice.get("/api/v2/openapi.json").json()
        assert described["servers"] == [{"url": site.url}]
    site.ask("generate")
    with site.client("tpp") as tpp:
        listed = tpp.get("/api/v2/job-requests/", params={"limit": 1})
        assert listed.json()["next"].startswith(f"{site.url}/api/v2/job-requests/?")


def test_git_fetches_and_pushes_below_the_path(site: Site, tmp_path: Path) -> None:
    url = site.url.replace("http://", f"http://x:{site.tokens['root']}@") + "/state.git"
    git(tmp_path, "clone", "-q", url, "clone")
    clone = tmp_path / "clone"
    path = clone / "users" / "carol.yaml"
    path.write_text(re.sub("(?m)^name:.*", "name: Carol", path.read_text()))
    git(clone, "commit", "-qam", "carol has a name")
    git(clone, "push", "-q", "origin", "main")
    assert "name: Carol" in site.git("show", "main:users/carol.yaml")


@pytest.mark.parametrize("transport", first(1, ["http", "git"]))
def test_runners_work_below_the_path(site: Site, tmp_path: Path, transport: str) -> None:
    identifier = site.ask("generate", backend="emis")
    options = ("--backend", "emis", "--url", site.url, "--root", str(tmp_path / "runner"), "--transport", transport)
    site.command("runner", *options, "--once", JOB_SERVER_TOKEN=site.tokens["emis"])
    with site.client("emis") as emis:
        assert [one["status"] for one in emis.get(f"/api/v2/job-requests/{identifier}/").json()["jobs"]] != []


def test_a_url_outside_of_the_path_is_told_where_the_server_is(site: Site) -> None:
    host = site.url.removesuffix(PATH)
    for path in ("/", "/status/", "/data/", "/data/jobs2/", "/api/v2/jobs/"):
        answer = httpx.get(f"{host}{path}")
        assert (answer.status_code, answer.text) == (404, f"Not found: this server is at {site.url}/\n")
    assert httpx.get(f"{host}{PATH}").headers["Location"] == f"{PATH}/"


def test_log_in_links_are_below_the_path(site: Site) -> None:
    assert site.run("user", "login-link", "alice").startswith(f"{site.url}/login/link/")


def test_the_health_command_asks_below_the_path(site: Site) -> None:
    assert site.command("health", PORT=str(site.port)).returncode == 0


def test_the_health_command_names_the_address_where_no_server_answers(site: Site) -> None:
    done = site.command("health", PORT="1")
    assert (done.returncode, done.stderr) == (1, f"jobserver: no jobserver answers at http://127.0.0.1:1{PATH}/\n")
