"""What was released, on pages: for those who check output and nobody else, to be saved and never shown."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Site
from tests.e2e.pages.browser import Browser
from tests.zips import MANIFEST, md5_of, zipped

HOSTILE = "<script>alert(1)</script>"
FILES = {MANIFEST: b"{}", "output/page.html": HOSTILE.encode(), 'output/ż "1"&é.csv': b"a,b\n"}
ID = md5_of(FILES)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("releases") / "site")
    made.env["PUBLIC_READ"] = "on"
    made.run("user", "add", "checker", "--role", "OutputChecker")
    made.run("user", "add", "publisher", "--role", "OutputPublisher")
    made.run("user", "add", "auditor", "--role", "Auditor")
    made.start()
    with made.client("tpp", **{"Backend-User": "jane"}) as tpp:
        for workspace in ("plain", "grouped"):
            answer = tpp.put(f"/api/v2/workspaces/{workspace}/releases/{ID}", content=zipped(FILES))
            assert answer.status_code == 201, answer.text
    yield made
    made.stop()
    made.check_record()


PAGES = ["releases/", f"releases/{ID}", f"releases/{ID}/tpp/output/page.html"]
SEES = {"root": {"plain", "grouped"}, "checker": {"plain", "grouped"}, "publisher": {"plain", "grouped"},
        "bob": {"grouped"}, "alice": set(), "carol": set(), "auditor": set()}  # fmt: skip


@pytest.mark.parametrize("who", SEES)
def test_releases_are_shown_and_downloaded_with_the_right_to(site: Site, who: str) -> None:
    """bob is a ProjectDeveloper of grouped's project; alice, a CoreDeveloper, runs jobs and checks no output."""
    with Browser(site, who) as browser:
        for workspace in ("plain", "grouped"):
            expected = 200 if workspace in SEES[who] else 403
            for page in PAGES:
                assert browser.get(f"/{workspace}/{page}").status_code == expected, (workspace, page)
            shown = browser.get(f"/{workspace}/").text
            assert (f'href="/{workspace}/releases/"' in shown) is (expected == 200)


def test_nobody_else_also_where_pages_are_public(site: Site) -> None:
    with Browser(site, None) as nobody:
        assert nobody.get("/plain/").status_code == 200
        assert "releases" not in nobody.get("/plain/").text
        for page in PAGES:
            answer = nobody.get(f"/plain/{page}")
            assert answer.status_code == 303
            assert answer.headers["Location"].startswith("/login/")


def test_technical_support_is_named_before_it_sees_a_file_once_a_day(site: Site) -> None:
    def looks() -> list[str]:
        return site.git("log", "--format=%an %s", "--grep=^Event: release.viewed", "backends/tpp").splitlines()

    site.run("user", "add", "support", "--role", "TechSupport")
    site.tokens["support"] = site.run("user", "token", "support")
    with Browser(site, "support") as support, site.client("support") as caller:
        assert support.get("/grouped/releases/").status_code == 200
        assert looks() == []
        assert support.get(f"/grouped/{PAGES[2]}").status_code == 200
        named = looks()
        assert len(named) == 1
        assert named[0].startswith("support support looked at release")
        assert support.get(f"/grouped/{PAGES[2]}").status_code == 200
        path = f"/api/v2/workspaces/grouped/releases/{ID}/tpp/output/page.html"
        assert caller.get(path).status_code == 200
        assert looks() == named
        assert support.get(f"/plain/{PAGES[2]}").status_code == 200
        assert len(looks()) == 2
        for invented in ("x" * 70 + "/tpp/f", "0" * 32 + "/tpp/f", f"{ID}/emis/output/page.html", f"{ID}/tpp/none"):
            assert support.get(f"/trends/releases/{invented}").status_code == 404
            assert support.get(f"/plain/releases/{invented}").status_code == 404
            assert caller.get(f"/api/v2/workspaces/plain/releases/{invented}").status_code == 404
        assert len(looks()) == 2
    with Browser(site, "checker") as checker:
        checker.get(f"/grouped/{PAGES[2]}")
    assert len(looks()) == 2


def test_the_pages_of_releases_list_the_files(site: Site) -> None:
    with Browser(site, "checker") as checker:
        listed = checker.get("/plain/releases/").text
        assert f'href="/plain/releases/{ID}"' in listed
        assert "jane" in listed
        assert "<b>jane" not in listed
        shown = checker.get(f"/plain/releases/{ID}").text
        assert "output/ż &#34;1&#34;&amp;é.csv" in shown
        assert (
            site.git("log", "--format=%H", "--grep=^Workspace: plain", "--grep=^Event: release.uploaded", "--all-match")
            in shown
        )
        assert "No older releases" in checker.get("/plain/releases/?page=2").text
        assert checker.get("/plain/releases/?page=x").status_code == 200


def test_a_file_is_saved_and_never_shown(site: Site) -> None:
    with Browser(site, "checker") as checker:
        shown = checker.get(f"/plain/releases/{ID}").text
        links = [part.split('"')[0] for part in shown.split('href="')[1:] if part.startswith(f"/plain/releases/{ID}/")]
        assert len(links) == len(FILES)
        got = {}
        for link in links:
            answer = checker.get(link)
            assert answer.status_code == 200
            got[link] = answer.content
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in answer.headers["Content-Security-Policy"]
            assert "script-src" not in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"
        assert sorted(got.values()) == sorted(FILES.values())
        odd = next(link for link in links if "csv" in link)
        assert "filename*=UTF-8''%C5%BC%20%221%22%26%C3%A9.csv" in checker.get(odd).headers["Content-Disposition"]
        head = checker.head(links[0])
        assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "releases/" + "0" * 32, f"releases/{ID.upper()}", f"releases/{ID}/emis/output/page.html",
        f"releases/{ID}/tpp/none", f"releases/{ID}/tpp/../release.json", f"releases/{ID}/tpp/%2e%2e/release.json",
        f"releases/{ID}/tpp/%2e%2e%2frelease.json", f"releases/{ID}/..%2ftpp/output/page.html", "releases/%00",
        f"releases/{ID}/tpp//etc/passwd", f"releases/{ID}/tpp/output", f"releases/{ID}/tpp/%ff",
    ],
)  # fmt: skip
def test_a_release_that_does_not_exist_is_404(site: Site, path: str) -> None:
    with Browser(site, "root") as root:
        assert root.get(f"/plain/{path}").status_code in (400, 404)
        assert root.get("/none/releases/").status_code == 404


def test_a_file_that_was_exchanged_for_a_link_is_not_followed(site: Site, tmp_path: Path) -> None:
    file = site.folder / "releases" / "grouped" / "tpp" / ID / "files" / "output" / "page.html"
    file.unlink()
    file.symlink_to("/etc/passwd")
    with Browser(site, "root") as root:
        answer = root.get(f"/grouped/releases/{ID}/tpp/output/page.html")
    assert answer.status_code == 503
    assert "root:" not in answer.text


def test_without_release_storage_there_are_no_release_pages(tmp_path: Path) -> None:
    made = Site(tmp_path / "site")
    del made.env["RELEASE_STORAGE"]
    made.start()
    with Browser(made, "root") as root:
        assert "releases" not in root.get("/plain/").text
        answer = root.get("/plain/releases/")
    made.stop()
    assert answer.status_code == 404
    assert "RELEASE_STORAGE is not set" in answer.text
