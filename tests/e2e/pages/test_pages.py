"""What holds for every page over plain HTTP: who may see it, its headers, its text and its files."""

import re

import pytest

from tests.e2e.harness import Site, job
from tests.e2e.pages.browser import HOSTILE, Browser
from tests.samples import size

PAGES = ["/", "/jobs/", "/status/", "/orgs/", "/orgs/datalab/", "/orgs/datalab/trends/", "/settings/", "/plain/",
         "/workspaces/new/", "/plain/audit/", "/backends/tpp/audit/", "/invitations/",
         "/orgs/datalab/trends/settings/", "/orgs/datalab/trends/audit/"]  # fmt: skip
ADMIN_PAGES = ["/backends/", "/backends/tpp/", "/users/", "/users/alice/", "/orgs/new/", "/orgs/datalab/new-project/"]


def test_every_page_needs_a_log_in_and_has_its_headers(site: Site, alice: Browser, root: Browser) -> None:
    with Browser(site, None) as nobody:
        for path in (*PAGES, *ADMIN_PAGES):
            answer = nobody.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["Location"].startswith("/login/?next="), path
        for path in PAGES:
            answer = alice.get(path)
            assert answer.status_code == 200, (path, answer.text)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "style=" not in answer.text
        for path in ADMIN_PAGES:
            assert alice.get(path).status_code == 403, path
            assert root.get(path).status_code == 200, path
        assert nobody.get("/login/").status_code == 200
        assert alice.get("/nothing-here/").status_code == 404
        assert alice.get("/job-requests/aaaaaaaaaaaaaaaa/").status_code == 404
        assert alice.get("/plain").headers["Location"] == "/plain/"
        assert alice.get("/job-requests/").headers["Location"] == "/jobs/"


def test_static_files_are_kept_for_ever(site: Site, alice: Browser) -> None:
    for path in static_files(alice.get("/plain/").text):
        answer = alice.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert re.search(r"\.[0-9a-f]{10}\.", path)
    assert alice.get("/static/..%2Fapp.py").status_code == 404
    assert alice.get("/static/nothing.css").status_code == 404


def test_a_first_visit_is_small_whichever_page_it_is_to(site: Site, alice: Browser) -> None:
    """Bytes as they are sent: packed. A study of 150 actions is as large as most get."""
    lines = [f"  describe_region_{n}:\n    run: python:latest describe.py {n}\n    outputs:"
             f"\n      moderately_sensitive: {{table: table_{n}.csv}}\n" for n in range(150)]  # fmt: skip
    site.study("many", {"project.yaml": "version: '4.0'\nactions:\n" + "".join(lines)})
    site.run("workspace", "add", "many", "--repo", "many", "--branch", "main", "--as", "alice")
    request = f"/job-requests/{site.ask('run_all', workspace='many')}/"
    for path in (
        *PAGES[: size(4, len(PAGES))],
        "/many/",
        request,
        "/workspaces/",
        "/plain/trends/",
        "/backends/tpp/history/",
        "/api/",
    ):
        page = alice.get(path, headers={"Accept-Encoding": "gzip"})
        assert page.status_code == 200, path
        sizes = {file: packed_size(alice, file) for file in static_files(page.text)}
        assert packed_size(alice, path) + sum(sizes.values()) < 100_000, (path, sizes)
        assert sum(size for file, size in sizes.items() if file.endswith(".js")) < 20_000, (path, sizes)


def static_files(page: str) -> list[str]:
    return sorted(set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page)))


def packed_size(browser: Browser, path: str) -> int:
    answer = browser.get(path, headers={"Accept-Encoding": "gzip"})
    assert answer.headers.get("Content-Encoding") == "gzip" or path.endswith(".svg"), path
    return int(answer.headers["Content-Length"])


def test_hostile_text_is_text_everywhere(site: Site, alice: Browser) -> None:
    identifier = site.ask("generate")
    with site.client("tpp") as tpp:
        bad = job(
            identifier, f"h{identifier}", "failed", 1, status_message=HOSTILE, status_code=HOSTILE, run_command=HOSTILE
        )
        tpp.report(bad).raise_for_status()
    own = f"/job-requests/{identifier}/"
    for path in (own, f"{own}audit/", f"/jobs/h{identifier}/", f"/jobs/h{identifier}/audit/", "/plain/",
                 "/plain/logs/", f"/jobs/?q={HOSTILE}", "/login/?next=" + HOSTILE, "/%3Cscript%3E/"):  # fmt: skip
        answer = alice.get(path)
        assert HOSTILE not in answer.text, path
        assert answer.status_code in (200, 303, 404), path


def test_public_read_lets_everybody_look_and_nobody_act(tmp_path_factory: pytest.TempPathFactory) -> None:
    own = Site(tmp_path_factory.mktemp("public"))
    own.env["PUBLIC_READ"] = "on"
    own.start()
    try:
        identifier = own.ask("generate")
        with Browser(own, None) as nobody:
            for path in ("/", "/jobs/", f"/job-requests/{identifier}/", "/plain/", "/status/", "/orgs/datalab/"):
                answer = nobody.get(path)
                assert answer.status_code == 200, path
                assert "Log in" in answer.text, path
            for path in ("/settings/", "/users/", "/backends/", "/workspaces/new/"):
                assert nobody.get(path).status_code in (303, 401, 403), path
            before = own.count()
            for path in (f"/job-requests/{identifier}/cancel/", "/plain/", "/settings/", "/backends/"):
                assert nobody.post(path, data={}).status_code in (303, 403), path
            assert own.count() == before
            assert nobody.get("/api/v2/job-requests/").status_code == 403
    finally:
        own.stop()
    own.check_record()


@pytest.mark.parametrize("path", ["/%00", "/%0d%0aSet-Cookie:%20x=y", "/nowhere", "//evil.example", "/a%2f%2fb"])
def test_a_missing_slash_leads_to_ourselves(site: Site, alice: Browser, path: str) -> None:
    answer = alice.get(f"{site.url}{path}")
    assert answer.status_code in (301, 400, 404)
    if answer.status_code == 301:
        assert re.fullmatch(r"/[^/\s].*/", answer.headers["Location"])
        assert "x" not in answer.cookies
        assert alice.get(f"{site.url}{answer.headers['Location']}").status_code in (400, 404)
