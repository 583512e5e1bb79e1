"""Releases under governance, on pages: looked at before and after they leave, decided, published and withdrawn."""

import io
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.outputs.documents import CheckedFile
from jobserver.service.releases.checked import CheckedReleaseService, ReleaseName
from jobserver.store.checked_files import CheckedFileStore
from tests.e2e.harness import Site
from tests.e2e.pages.browser import HOSTILE, Browser

TPP = Actor(ActorKind.BACKEND, "tpp")
NEW, OLD = "01J9ZQ4V8N6T3W5X7Y9A1B2C3D", "01J9ZQ4V8N6T3W5X7Y9A1B2C3C"
FILES = {
    "output/table.csv": b'name,"count"\n<b>Leeds</b>,12\nYork,7\n',
    "output/page.html": f"<h1>Report</h1>{HOSTILE}".encode(),
    "output/plot.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "output/notes.txt": b"one\ntwo <b>\nfour\n",
    "output/model.rds": b"\x1f\x8b\x00\xff",
}
BEFORE = {"output/notes.txt": b"one\nthree\nfour\n"}


class Backend:
    """Asks for releases and lets files out, as Airlock does from inside of a backend."""

    def __init__(self, site: Site) -> None:
        names = ("state_repo", "secret_key", "base_url", "admin_users", "study_repos", "release_storage")
        self.app = app = bootstrap.connect(Settings.from_env(**{name: site.env[name.upper()] for name in names}))
        store = CheckedFileStore(Path(site.env["RELEASE_STORAGE"]))
        self.service = CheckedReleaseService(store, app.repo, app.gate, bootstrap.now)

    def ask(self, identifier: str, files: dict[str, bytes], workspace: str = "grouped") -> ReleaseName:
        name = ReleaseName("tpp", workspace, identifier)
        asked = [
            CheckedFile(path=path, size=len(data), sha256=sha256(data).hexdigest()) for path, data in files.items()
        ]
        self.service.request(TPP, name, "bob", asked, "http", "For the paper")
        return name

    def let_out(self, name: ReleaseName, files: dict[str, bytes]) -> None:
        for path, data in files.items():
            self.service.upload_file(TPP, name, path, data, "jane", "http")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("checked") / "site")
    for name, role in (("dave", "OutputChecker"), ("pub", "OutputPublisher")):
        made.run("user", "add", name, "--role", role)
    made.run("project", "member", "datalab/trends", "carol", "--role", "ProjectCollaborator")
    made.start()
    yield made
    made.stop()
    made.check_record()


@pytest.fixture(scope="module")
def backend(site: Site) -> Iterator[Backend]:
    made = Backend(site)
    yield made
    made.app.close()


@pytest.fixture(scope="module")
def released(site: Site, backend: Backend) -> str:
    """The page of a release whose files left, after an older version of one of them."""
    for identifier, files in ((OLD, BEFORE), (NEW, FILES)):
        name = backend.ask(identifier, files)
        for checker in ("jane", "dave"):
            with Browser(site, checker) as browser:
                browser.lead(f"/grouped/releases/{identifier}", what="approve", comment="Counts are rounded")
        backend.let_out(name, files)
    return f"/grouped/releases/{NEW}"


def test_two_checkers_decide_and_the_author_can_not(site: Site, backend: Backend) -> None:
    backend.ask("01J9ZQ4V8N6T3W5X7Y9A1B2C30", {"a.txt": b"a", "b.txt": b"b"})
    address = "/grouped/releases/01J9ZQ4V8N6T3W5X7Y9A1B2C30"
    with Browser(site, "bob") as bob, Browser(site, "jane") as jane, Browser(site, "dave") as dave:
        shown = bob.get(address).text
        assert "Nobody has reviewed this release yet. Each file needs 2 approvals." in shown
        assert "For the paper" in shown
        assert 'value="approve"' not in shown
        assert bob.submit(address, what="approve").status_code == 403
        assert "Your approval is recorded." in jane.lead(address, what="approve", files="a.txt").text
        shown = dave.lead(address, what="reject", files="b.txt", comment="Small numbers").text
        assert "dave rejected b.txt" in shown
        assert "Small numbers" in shown
        assert shown.count("Under review") >= 1
        assert "Rejected" in shown
        assert "a.txt</a>" not in shown  # nobody can look at what did not leave
        assert jane.get(f"{address}/tpp/a.txt").status_code == 404
        assert jane.submit(address, what="withdraw").status_code == 400
        shown = jane.lead(address, what="withdraw", files="b.txt", comment="Not needed").text
        assert "Withdrawn by jane: Not needed" in shown


def test_a_release_is_returned_and_decided_again(site: Site, backend: Backend) -> None:
    backend.ask("01J9ZQ4V8N6T3W5X7Y9A1B2C31", {"a.txt": b"a"})
    address = "/grouped/releases/01J9ZQ4V8N6T3W5X7Y9A1B2C31"
    with Browser(site, "jane") as jane, Browser(site, "dave") as dave:
        assert 'value="return"' not in jane.get(address).text  # nothing was decided yet
        assert 'value="return"' in jane.lead(address, what="approve").text
        shown = dave.lead(address, what="return", comment="Round the counts").text
        assert "dave returned the request to its author" in shown
        assert "Nobody has reviewed this release yet" in shown
        assert 'value="return"' not in shown
        assert "Your approval is recorded." in jane.lead(address, what="approve").text


def test_a_file_is_shown_as_what_it_is_and_never_as_markup(site: Site, released: str) -> None:
    with Browser(site, "jane") as jane:
        shown = {path: jane.get(f"{released}/tpp/{quote(path)}?view") for path in FILES}
        assert all(page.status_code == 200 for page in shown.values())
        assert "<td>&lt;b&gt;Leeds&lt;/b&gt;</td><td>12</td>" in shown["output/table.csv"].text
        assert '<th scope="col">count</th>' in shown["output/table.csv"].text
        assert "two &lt;b&gt;" in shown["output/notes.txt"].text
        assert "can&#39;t be shown here" in shown["output/model.rds"].text or "can't" in shown["output/model.rds"].text
        page = shown["output/page.html"]
        assert f'<iframe src="{released}/tpp/output/page.html?raw" sandbox' in page.text
        assert HOSTILE not in page.text
        assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
        raw = jane.get(f"{released}/tpp/output/page.html?raw")
        assert raw.content == FILES["output/page.html"]
        policy = raw.headers["Content-Security-Policy"]
        assert "sandbox;" in policy
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert raw.headers["X-Content-Type-Options"] == "nosniff"
        assert jane.get(f"{released}/tpp/output/notes.txt?raw").headers["Content-Disposition"].startswith("attachment")


def test_a_file_shows_what_changed_since_its_last_version(site: Site, released: str) -> None:
    with Browser(site, "jane") as jane:
        shown = jane.get(f"{released}/tpp/output/notes.txt?view").text
        assert "Changes since the last version" in shown
        assert "<del>-three</del>" in shown
        assert "<ins>+two &lt;b&gt;</ins>" in shown
        assert f"/grouped/releases/{OLD}/tpp/output/notes.txt?view" in shown
        assert "Changes since" not in jane.get(f"{released}/tpp/output/table.csv?view").text


def test_all_files_come_as_one_zip(site: Site, released: str) -> None:
    with Browser(site, "carol") as carol:  # a collaborator may look
        assert f'href="{released}/zip"' in carol.get(released).text
        answer = carol.get(f"{released}/zip")
        assert answer.headers["Content-Type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert {name: archive.read(name) for name in archive.namelist()} == FILES


def test_releases_and_the_newest_files_of_a_workspace_are_listed(site: Site, released: str) -> None:
    with Browser(site, "carol") as carol:
        listed = carol.get("/grouped/releases/").text
        assert f'href="{released}"' in listed
        assert f'href="/grouped/releases/{OLD}"' in listed
        newest = carol.get("/grouped/releases/files/").text
        assert f"{released}/tpp/output/notes.txt?view" in newest
        assert f"/grouped/releases/{OLD}/" not in newest


def test_strangers_see_nothing_of_it(site: Site, released: str) -> None:
    with Browser(site, "alice") as alice, Browser(site, None) as nobody:
        for page in (released, f"{released}/zip", f"{released}/tpp/output/table.csv", "/grouped/releases/files/"):
            assert alice.get(page).status_code == 403, page
            assert nobody.get(page).headers["Location"].startswith("/login/"), page
        assert nobody.get(f"/grouped/published/{NEW}/").status_code == 404


def test_files_are_published_for_anybody_and_that_ends(site: Site, released: str) -> None:
    public = f"/grouped/published/{NEW}/"
    with Browser(site, "bob") as bob, Browser(site, "pub") as publisher, httpx.Client(base_url=site.url) as anybody:
        shown = bob.lead(released, what="request-publication", files="output/table.csv", comment="Paper is out").text
        assert "bob wants to publish 1 file" in shown.replace("\n", " ")
        assert 'value="publish"' not in shown
        assert anybody.get(public).status_code == 404
        assert "The files are published." in publisher.lead(released, what="publish").text
        page = anybody.get(public)
        assert page.status_code == 200
        assert "output/table.csv" in page.text
        assert "output/notes.txt" not in page.text
        assert anybody.get(f"{public}output/table.csv").content == FILES["output/table.csv"]
        assert anybody.get(f"{public}output/notes.txt").status_code == 404
        assert bob.lead(released, what="request-end", comment="An error").status_code == 200
        assert publisher.submit(released, what="end-publication").status_code == 400
        publisher.lead(released, what="end-publication", comment="An error in the table")
        page = anybody.get(public)
        assert page.status_code == 410
        assert "An error in the table" in page.text
        assert anybody.get(f"{public}output/table.csv").status_code == 404


def test_a_published_release_that_was_withdrawn_is_not_said_to_be_public(site: Site, backend: Backend) -> None:
    files = {"a.txt": b"a", "b.txt": b"b"}
    name = backend.ask("01J9ZQ4V8N6T3W5X7Y9A1B2C32", files)
    address = f"/grouped/releases/{name.identifier}"
    with Browser(site, "bob") as bob, Browser(site, "jane") as jane, Browser(site, "dave") as dave:
        for checker in (jane, dave):
            checker.lead(address, what="approve")
        backend.let_out(name, files)
        assert "wants to publish 2 files" in bob.lead(address, what="request-publication").text
        with Browser(site, "pub") as publisher:
            assert "Anybody can read on its public page why it ended" in publisher.get(address).text
            assert "Anybody can read 2 of its files" in publisher.lead(address, what="publish").text
        assert (
            "Anybody can read 1 of its files"
            in jane.lead(address, what="withdraw", files="a.txt", comment="Small numbers").text
        )
        shown = jane.lead(address, what="withdraw", comment="Small numbers").text
        assert "contents are erased" in shown
        assert "Anybody can read" not in shown
        assert "wants to publish" not in shown
