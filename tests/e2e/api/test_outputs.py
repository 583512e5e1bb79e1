"""Releases that people approve, by HTTP, by command and by push: what works, and ten attempts to break the rules."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.git.clone import Clone
from tests.e2e.harness import Client, Site, until
from tests.samples import only_whole

URL = "/api/v2/workspaces/grouped/outputs/"
TABLE = {"path": "output/table.csv", "size": 3, "sha256": sha256(b"a,b").hexdigest()}
CHART = {"path": "output/chart.svg", "size": 6, "sha256": sha256(b"<svg/>").hexdigest()}
PROJECT = "/api/v2/projects/datalab/trends/"


@pytest.fixture(scope="module", autouse=True)
def people(site: Site) -> None:
    roles = {"dave": "OutputChecker", "erin": "OutputChecker", "greta": "GovernanceReviewer", "pam": "OutputPublisher"}
    for name, role in roles.items():
        site.run("user", "add", name, "--role", role)
        site.tokens[name] = site.run("user", "token", name)


@pytest.fixture
def bob(site: Site) -> Iterator[Client]:
    """Develops in the project of the workspace."""
    with site.client("bob") as client:
        yield client


def asked(bob: Client, *files: dict[str, Any]) -> str:
    answer = bob.post(URL, json={"backend": "tpp", "files": list(files) or [TABLE, CHART], "comment": "For the paper"})
    assert answer.status_code == 201, answer.text
    identifier: str = answer.json()["identifier"]
    assert answer.headers["Location"].endswith(f"{URL}tpp/{identifier}/")
    return identifier


def post(site: Site, who: str, identifier: str, call: str, **fields: Any) -> httpx.Response:
    with site.client(who) as client:
        return client.post(f"{URL}tpp/{identifier}/{call}/", json=fields)


def text_of(answer: httpx.Response) -> str:
    return str(answer.json())


def test_a_release_is_asked_for_reviewed_and_withdrawn(site: Site, bob: Client) -> None:
    identifier = asked(bob)
    shown = bob.get(f"{URL}tpp/{identifier}/").json()
    assert (shown["state"], shown["author"], shown["required_approvals"]) == ("requested", "bob", 2)
    answer = post(site, "dave", identifier, "reviews", decision="approved", comment="No small numbers")
    assert answer.status_code == 200, answer.text
    assert site.git("rev-parse", "backends/tpp") == answer.headers["X-Commit"]
    assert answer.json()["state"] == "under review"
    answer = post(site, "erin", identifier, "reviews", decision="approved", files=[TABLE["path"]])
    assert [file["state"] for file in answer.json()["files"]] == ["approved", "under review"]
    answer = post(site, "erin", identifier, "reviews", decision="rejected", files=[CHART["path"]])
    assert [(file["state"], file["rejected_by"]) for file in answer.json()["files"]] == [
        ("approved", []),
        ("rejected", ["erin"]),
    ]
    listed = bob.get(URL, params={"state": "approved"}).json()["results"]
    assert [release["identifier"] for release in listed] == [identifier]
    assert bob.get(URL, params={"state": "published"}).json()["results"] == []
    assert bob.get(URL, params={"state": "lost"}).status_code == 400
    assert bob.get(f"{URL}files/").json()["results"] == []
    assert bob.get(f"{URL}tpp/{identifier}/files/{TABLE['path']}").status_code == 404
    answer = post(site, "bob", identifier, "withdraw", reason="Not needed")
    assert (answer.json()["state"], answer.json()["withdrawn"]["by"]) == ("withdrawn", "bob")
    assert post(site, "bob", identifier, "withdraw", reason="Again").status_code == 409


def test_who_may_look(site: Site, bob: Client) -> None:
    identifier = asked(bob)
    paths = (URL, f"{URL}files/", f"{URL}tpp/{identifier}/", f"{URL}tpp/{identifier}/files/{TABLE['path']}")
    for who, status in (("carol", 403), ("tpp", 403), (None, 403)):
        with site.client(who) as client:
            assert [client.get(path).status_code for path in paths] == [status] * 4
    for path in (f"{URL}emis/{identifier}/", f"{URL}none/{identifier}/", f"{URL}tpp/..%2f..%2fx/", f"{URL}tpp/x/"):
        assert bob.get(path).status_code == 404
    site.run("project", "member", "datalab/trends", "carol", "--role", "ProjectCollaborator")
    with site.client("carol") as carol:
        assert carol.get(f"{URL}tpp/{identifier}/").status_code == 200
        assert carol.post(f"{URL}tpp/{identifier}/withdraw/", json={"reason": "x"}).status_code == 403
    site.run("project", "member", "datalab/trends", "carol")


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({}, {"backend", "files"}),
        ({"backend": "tpp", "files": []}, {"files"}),
        ({"backend": "tpp", "files": ["x"]}, {"files.0"}),
        ({"backend": "tpp", "files": [{**TABLE, "size": -1}, {"path": "x"}]}, {"files.0.size", "files.1.size"}),
        ({"backend": "tpp", "files": [{**TABLE, "uploaded": {}}]}, {"files.0"}),
        ({"backend": "none", "files": [TABLE]}, {"backend"}),
        ({"backend": "tpp", "files": [TABLE], "author": "carol"}, {"author"}),
        ({"backend": "tpp", "files": [{**TABLE, "path": "../../etc/passwd"}]}, {"files"}),
        ({"backend": "tpp", "files": [TABLE, {**TABLE, "path": "OUTPUT/TABLE.csv"}]}, {"files"}),
        ({"backend": "tpp", "files": [TABLE, TABLE]}, {"files"}),
    ],
)
def test_a_request_that_can_not_be(bob: Client, fields: dict[str, Any], faults: set[str]) -> None:
    answer = bob.post(URL, json=fields)
    assert answer.status_code == 400, answer.text
    assert faults <= answer.json().keys()


def test_attempts_by_http(site: Site, bob: Client) -> None:
    site.run("user", "role", "bob", "--role", "OutputChecker")
    identifier = asked(bob)
    attempts = [
        ("bob", "reviews", {"decision": "approved"}, 403, "bob review their own release"),
        ("root", "reviews", {"decision": "approved"}, 403, "needs the role OutputChecker"),
        ("alice", "reviews", {"decision": "approved"}, 403, "can't view the releases"),
        ("pam", "reviews", {"decision": "approved"}, 403, "needs the role OutputChecker"),
        ("dave", "reviews", {"decision": "approved", "by": "erin"}, 400, "unknown field"),
        ("dave", "reviews", {"decision": "maybe"}, 400, "expected approved, rejected, returned"),
        ("dave", "reviews", {"decision": "approved", "files": ["../x"]}, 400, "has no file ../x"),
        ("tpp", "reviews", {"decision": "approved"}, 403, "needs a person's token"),
        ("pam", "withdraw", {"reason": "x"}, 403, "let pam withdraw files"),
        ("dave", "withdraw", {}, 400, "required"),
        ("bob", "request-publication", {}, 409, "no files that could be published"),
        ("pam", "publish", {}, 409, "nothing of release"),
    ]
    for who, call, fields, status, words in attempts:
        answer = post(site, who, identifier, call, **fields)
        assert (answer.status_code, words in text_of(answer)) == (status, True), (who, call, answer.text)
    assert post(site, "dave", identifier, "reviews", decision="approved").status_code == 200
    answer = post(site, "dave", identifier, "reviews", decision="approved")
    assert (answer.status_code, "counts once" in text_of(answer)) == (409, True)
    with site.client("root") as root:
        answer = root.patch(PROJECT, json={"output_approvals": 1})
        assert (answer.status_code, "GovernanceReviewer" in text_of(answer)) == (403, True)
        assert root.patch(PROJECT, json={"output_approvals": 4}).status_code == 400
    site.run("user", "role", "bob")


def test_governance_says_how_many_approvals_it_takes(site: Site, bob: Client) -> None:
    with site.client("greta") as greta:
        answer = greta.patch(PROJECT, json={"output_approvals": 1})
        assert (answer.status_code, answer.json()["output_approvals"]) == (200, 1), answer.text
        identifier = asked(bob)
        assert post(site, "dave", identifier, "reviews", decision="approved").json()["state"] == "approved"
        assert greta.patch(PROJECT, json={"output_approvals": None}).json()["output_approvals"] == 2
    assert bob.get(f"{URL}tpp/{identifier}/").json()["state"] == "under review"


@pytest.mark.parametrize("is_remote", [pytest.param(False, marks=only_whole), True])
def test_attempts_by_command(site: Site, bob: Client, is_remote: bool) -> None:
    identifier = asked(bob)
    name = f"grouped/tpp/{identifier}"

    def refused(who: str, words: str, *arguments: str) -> None:
        done = run(who, *arguments)
        assert done[0] == 1, (arguments, done)
        assert words in done[1], done

    def run(who: str, *arguments: str) -> tuple[int, str]:
        if is_remote:
            done = site.command(*arguments, JOBSERVER_URL=site.url, JOBSERVER_TOKEN=site.tokens[who])
        else:
            done = site.command(*arguments, "--as", who)
        return done.returncode, done.stdout + done.stderr

    refused("root", "needs the role OutputChecker", "release", "review", name, "approve")
    refused("bob", "bob review their own release", "release", "review", name, "approve")
    assert run("dave", "release", "review", name, "approve", "--comment", "fine") == (0, "")
    refused("dave", "counts once", "release", "review", name, "approve")
    refused("dave", "has no file ../x", "release", "review", name, "reject", "--file", "../x")
    refused("root", "GovernanceReviewer", "project", "approvals", "datalab/trends", "1")
    refused("bob", "does not exist", "release", "review", f"grouped/emis/{identifier}", "approve")
    refused("pam", "let pam withdraw", "release", "withdraw", name, "--reason", "x")
    refused("bob", "no files that could be published", "release", "request-publication", name)
    refused("pam", "nothing of release", "release", "publish", name)
    assert run("dave", "release", "withdraw", name, "--reason", "small numbers") == (0, "")
    url = {"JOBSERVER_URL": site.url, "JOBSERVER_TOKEN": site.tokens["bob"]} if is_remote else {}
    shown = site.command("release", "show", name, **url).stdout
    assert shown.startswith("withdrawn: 2 files of grouped, asked for by bob")
    assert "dave approved all files: fine" in shown
    listed = site.command("release", "list", "grouped", **url).stdout
    assert any(identifier in line and line.endswith("withdrawn") for line in listed.splitlines()), listed


def test_attempts_by_push(site: Site, bob: Client, tmp_path: Path) -> None:
    """A SuperUser may push to a backend's branch, and is judged like everybody."""
    identifier = asked(bob)
    post(site, "dave", identifier, "reviews", decision="approved").raise_for_status()
    post(site, "erin", identifier, "withdraw", reason="small numbers", files=[CHART["path"]]).raise_for_status()
    path = f"releases/grouped/{identifier}.yaml"
    root = Clone(site, tmp_path / "root", "root", "backends/tpp")
    text = (root.folder / path).read_text()
    later = "2099-01-01T00:00:00.000000Z"
    review = f"- by: {{}}\n  at: {later}\n  decision: approved\n{{}}"
    uploaded = f"  uploaded:\n    by: dave\n    at: {later}\n"
    stone = text[text.index("  withdrawn:") : text.index("reviews:")]
    table = text[text.index("- path") : text.index("- path", text.index("- path") + 1)]
    chart = text[text.index("- path", text.index("- path") + 1) : text.index("reviews:")]
    attempts: list[tuple[str, str | None]] = [
        ("review a release as erin", text + review.format("erin", "")),
        ("review a release as erin", text + review.format("erin", "  vouched_by: tpp\n")),
        ("review a release as bob", text + review.format("bob", "")),
        ("needs the role OutputChecker", text + review.format("root", "")),
        ("only the backend can", text.replace(table, table + uploaded)),
        ("delete a release: withdraw it", None),
        ("can't change in withdrawn", text.replace(stone, "")),
        ("can't change in sha256", text.replace(str(TABLE["sha256"]), "0" * 64)),
        ("reviews can only be added", text[: text.index("reviews:")]),
        ("can't change after the release", text.replace("author: bob", "author: carol")),
        ("no file can be removed", text.replace(chart, "")),
        ("withdraw files as erin", text.replace(table, table + stone)),
    ]
    for words, after in attempts:
        root.commit(**{path: after})
        done = root.push()
        assert done.returncode != 0, words
        assert words in done.stderr, done.stderr
        root.git("reset", "-q", "--hard", "HEAD~1")
    main = Clone(site, tmp_path / "main", "root", "main")
    project = "projects/datalab/trends.yaml"
    main.commit(**{project: (main.folder / project).read_text() + "output_approvals: 1\n"})
    done = main.push()
    assert done.returncode != 0
    assert "GovernanceReviewer" in done.stderr
    runner = Clone(site, tmp_path / "tpp", "tpp", "backends/tpp")
    runner.commit(**{path: text + review.format("erin", "  vouched_by: tpp\n")})
    assert "a runner can change only jobs/*.yaml" in runner.push().stderr


def upload(site: Site, who: str, identifier: str, body: bytes = b"a,b", path: Any = TABLE["path"]) -> httpx.Response:
    headers = {"OS-User": "jane", "Content-Disposition": f'attachment; filename="{path}"'}
    headers["Content-Type"] = "application/octet-stream"
    with site.client(who) as client:
        return client.post(f"/api/v2/releases/release/{identifier}", content=body, headers=headers)


def test_bytes_leave_only_with_approvals_and_are_erased_after_a_push(site: Site, bob: Client, tmp_path: Path) -> None:
    identifier = asked(bob)
    place = site.folder / "releases" / ".checked" / "grouped" / "tpp" / identifier / str(TABLE["path"])
    assert "0 of 2 approvals" in upload(site, "tpp", identifier).text
    post(site, "dave", identifier, "reviews", decision="approved").raise_for_status()
    assert "1 of 2 approvals (dave)" in upload(site, "tpp", identifier).text
    post(site, "erin", identifier, "reviews", decision="approved").raise_for_status()
    site.run("user", "role", "erin")
    assert "erin may not approve outputs here now" in upload(site, "tpp", identifier).text
    site.run("user", "role", "erin", "--role", "OutputChecker")
    for who, body, path in (
        ("emis", b"a,b", TABLE["path"]),
        ("bob", b"a,b", TABLE["path"]),
        ("tpp", b"a,c", TABLE["path"]),
        ("tpp", b"a,b,c", TABLE["path"]),
        ("tpp", b"a,b", "../../x"),
        ("tpp", b"a,b", "output/other.csv"),
    ):
        assert upload(site, who, identifier, body, path).status_code in (400, 403, 404)
    assert not place.exists()
    assert upload(site, "tpp", identifier).status_code == 201
    url = f"{URL}tpp/{identifier}/files/{TABLE['path']}"
    answer = bob.get(url)
    assert (answer.content, answer.headers["Content-Type"]) == (b"a,b", "application/octet-stream")
    assert [file["release"] for file in bob.get(f"{URL}files/").json()["results"]] == [identifier]
    assert post(site, "bob", identifier, "request-publication", comment="For the paper").status_code == 200
    assert post(site, "bob", identifier, "publish").status_code == 403
    assert post(site, "pam", identifier, "publish").json()["state"] == "published"
    assert [file["path"] for file in bob.get(f"{URL}files/?published=true").json()["results"]] == [TABLE["path"]]
    root = Clone(site, tmp_path / "root", "root", "backends/tpp")
    document = f"releases/grouped/{identifier}.yaml"
    text = (root.folder / document).read_text()
    stone = f"withdrawn:\n  by: root\n  at: {datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}\n  reason: A number is below 7\n"
    root.commit(**{document: text + stone})
    done = root.push()
    assert done.returncode == 0, done.stderr
    assert bob.get(url).status_code == 404
    until(lambda: not place.exists())
    assert bob.get(f"{URL}files/").json()["results"] == []
    done = site.command("audit", "verify", "--releases", str(site.folder / "releases"))
    assert done.returncode == 0, done.stderr
    assert "left the backends: 1 files with the approvals of people, 1 of them withdrawn" in done.stderr
