"""Workspaces by HTTP: lists in pages, with filters; create, change, archive; who may."""

from typing import Any

import pytest

from tests.e2e.harness import Client, Site, git
from tests.zips import MANIFEST, md5_of, zipped

URL = "/api/v2/workspaces/"
GROUPED = f"{URL}grouped/"


def names(client: Client, **params: Any) -> list[str]:
    answer = client.get(URL, params=params)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["results"]]


@pytest.fixture(scope="module", autouse=True)
def made(site: Site) -> None:
    git(site.folder / "studies" / "study", "branch", "trunk")
    site.run("user", "add", "lead")
    site.run("project", "member", "datalab/trends", "lead", "--role", "ProjectCoordinator")
    site.tokens["lead"] = site.run("user", "token", "lead")
    for number in range(3):
        site.run("workspace", "add", f"many-{number}", "--repo", "study", "--branch", "main", "--as", "alice")


def test_a_list_has_filters_and_is_read_page_by_page(site: Site, alice: Client) -> None:
    whole = names(alice)
    assert whole == sorted(whole)
    assert {"plain", "grouped", "many-0"} <= set(whole)
    seen: list[str] = []
    url: str | None = f"{site.url}{URL}?created_by=alice&limit=2"
    while url:
        page = alice.get(url).json()
        assert set(page) == {"next", "results"}
        assert len(page["results"]) <= 2
        seen += [item["name"] for item in page["results"]]
        url = page["next"]
        assert url is None or url.startswith(f"{site.url}{URL}?created_by=alice&limit=2&after=")
    assert seen == ["many-0", "many-1", "many-2"]
    assert names(alice, project="datalab/trends") == names(alice, org="datalab") == ["grouped"]
    assert names(alice, archived="true") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("project=no/where", "project"),
        ("org=nowhere", "org"),
        ("created_by=%FF", "created_by"),
        ("archived=yes", "archived"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("colour=red", "colour"),
    ],
)
def test_a_filter_that_is_unknown_or_names_nothing_is_refused(alice: Client, query: str, field: str) -> None:
    answer = alice.get(f"{URL}?{query}")
    assert (answer.status_code, list(answer.json())) == (400, [field])


def test_a_workspace_has_its_document(site: Site, alice: Client, tpp: Client) -> None:
    item = alice.get(GROUPED).json()
    assert item.pop("created_at").endswith("Z")
    assert item == {
        "name": "grouped",
        "project": "datalab/trends",
        "repo": "study",
        "branch": "main",
        "db": "full",
        "created_by": "root",
        "archived": False,
        "should_notify": False,
    }
    assert alice.get(f"{URL}nowhere/").status_code == 404
    assert tpp.get(URL).status_code == tpp.get(GROUPED).status_code == 403


def test_a_workspace_is_created_on_a_branch_that_exists(site: Site, alice: Client) -> None:
    body = {"name": "fresh", "repo": "study", "branch": "main"}
    answer = alice.post(URL, json=body, headers={"Idempotency-Key": "fresh"})
    assert (answer.status_code, answer.json()["created_by"]) == (201, "alice")
    assert answer.headers["Location"] == f"{site.url}{URL}fresh/"
    assert answer.headers["X-Commit"] == site.git("rev-parse", "main")
    assert alice.post(URL, json=body, headers={"Idempotency-Key": "fresh"}).status_code == 201
    assert alice.post(URL, json=body).status_code == 409
    assert "Missing branch" in alice.post(URL, json={**body, "name": "x", "branch": "nowhere"}).text
    for wrong in ({**body, "name": "No Name"}, {**body, "name": "jobs"}, {"name": "x"}, {**body, "colour": "red"}):
        assert alice.post(URL, json=wrong).status_code == 400
    with site.client("bob") as bob:
        assert bob.post(URL, json={**body, "name": "x"}).status_code == 403
        # Who may not create one does not learn which branches there are.
        assert bob.post(URL, json={**body, "name": "x", "branch": "nowhere"}).status_code == 403
        assert bob.post(URL, json={**body, "name": "of-bob", "project": "datalab/trends"}).status_code == 201


def test_a_renamed_branch_ends_no_workspace(site: Site, alice: Client) -> None:
    with site.client("lead") as lead, site.client("bob") as bob:
        assert bob.patch(GROUPED, json={"branch": "trunk"}).status_code == 403
        answer = lead.patch(GROUPED, json={"branch": "trunk", "db": "slice"})
        assert (answer.status_code, answer.json()["branch"], answer.json()["db"]) == (200, "trunk", "slice")
        assert answer.headers["X-Commit"] == site.git("rev-parse", "main")
        assert "Missing branch: 'nowhere'" in lead.patch(GROUPED, json={"branch": "nowhere"}).json()["detail"]
        assert lead.patch(GROUPED, json={"repo": "study"}).status_code == 403
        assert lead.patch(GROUPED, json={"branch": "main", "db": "full"}).status_code == 200
        assert lead.patch(f"{URL}nowhere/", json={"branch": "main"}).status_code == 404


def test_a_workspace_is_archived_and_restored(site: Site, alice: Client) -> None:
    with site.client("bob") as bob:
        for is_archived in (True, False):
            answer = bob.patch(GROUPED, json={"archived": is_archived, "should_notify": is_archived})
            assert (answer.json()["archived"], answer.json()["should_notify"]) == (is_archived, is_archived)
            listed = [names(alice, archived=value, project="datalab/trends") for value in ("true", "false")]
            assert listed[0] == (["grouped"] if is_archived else [])
            assert ("grouped" in listed[1]) is not is_archived


def test_a_workspace_moves_into_and_out_of_a_project(site: Site, alice: Client) -> None:
    url = f"{URL}many-0/"
    assert alice.patch(url, json={"project": "datalab/trends"}).json()["project"] == "datalab/trends"
    assert alice.patch(url, json={"project": None, "branch": "main"}).json() == {
        "branch": ["change the project in a call of its own"]
    }
    assert alice.patch(url, json={"project": None}).json()["project"] is None
    assert alice.patch(url, json={"project": "no/where"}).status_code == 404


def released(tpp: Client, text: str) -> str:
    files = {MANIFEST: b"{}", "output.txt": text.encode()}
    headers = {"Content-Disposition": "attachment; filename=x.zip", "Backend-User": "jane"}
    identifier = md5_of(files)
    answer = tpp.put(f"{URL}plain/releases/{identifier}", content=zipped(files), headers=headers)
    assert answer.status_code == 201, answer.text
    return identifier


def test_releases_are_listed_and_downloaded_by_those_who_check_them(site: Site, alice: Client, tpp: Client) -> None:
    url = f"{URL}plain/releases/"
    site.tokens["jane"] = site.run("user", "token", "jane")
    assert alice.get(url).status_code == 403
    with site.client("jane") as jane:
        assert jane.get(url).json() == {"next": None, "results": []}
        made = [released(tpp, text) for text in ("one", "two", "three")]
        first = jane.get(url, params={"limit": 2}).json()
        rest = jane.get(first["next"]).json()
        assert [item["identifier"] for item in first["results"] + rest["results"]] == made[::-1]
        assert rest["next"] is None
        shown = jane.get(f"{url}{made[0]}").json()["results"][0]
        assert (shown["backend"], shown["released_by"]) == ("tpp", "jane")
        assert "output.txt" in [file["path"] for file in shown["files"]]
        file = jane.get(f"{url}{made[0]}/tpp/output.txt")
        assert (file.content, file.headers["Content-Type"]) == (b"one", "application/octet-stream")
        for path in ("0" * 32, f"{made[0]}/emis/output.txt", f"{made[0]}/tpp/other.txt", "x"):
            assert jane.get(url + path).status_code == 404, path
        assert jane.get(url, params={"after": "x"}).status_code == 400
    assert alice.get(f"{url}{made[0]}/tpp/output.txt").status_code == 403
