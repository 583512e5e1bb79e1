"""LIMIT_READING: what a person may not read does not exist for them, on pages, in the API, in lists, searches, numbers
and live pages. Those above, and backends, see what they always did."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.harness import Site, job, serving
from tests.e2e.pages.browser import Browser

HIDDEN = "hushed"  # in the names of all that the reader may not see


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.env |= {"LIMIT_READING": "on", "PUBLIC_READ": "on"}
    made.run("org", "add", "wing")
    made.run("project", "add", f"wing/{HIDDEN}", "--name", f"The {HIDDEN} project")
    made.run("project", "member", f"wing/{HIDDEN}", "carol", "--role", "ProjectCollaborator")
    made.run(
        "workspace", "add", f"{HIDDEN}-space", "--repo", "study", "--branch", "main", "--project", f"wing/{HIDDEN}"
    )
    made.run("user", "add", "support", "--role", "TechSupport")
    made.tokens["support"] = made.run("user", "token", "support")
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def asked(site: Site) -> dict[str, str]:
    """workspace -> its request: the hidden one is first in the queue."""
    asked = {name: site.ask("generate", workspace=name) for name in (f"{HIDDEN}-space", "grouped")}
    with site.client("tpp") as tpp:
        tpp.report(job(asked[f"{HIDDEN}-space"], f"{HIDDEN}-job", "failed", at=1, status_code=f"{HIDDEN}_code"))
    again = site.ask("analyse", workspace=f"{HIDDEN}-space")
    return {**asked, "waits": again, "late": site.ask("analyse", workspace="grouped")}


@pytest.fixture(scope="module")
def readers(site: Site) -> Iterator[tuple[Browser, Browser]]:
    """Somebody who is in one project, and somebody who has not logged in."""
    with Browser(site, "bob") as bob, Browser(site, None) as anybody:
        yield bob, anybody


API = (
    "workspaces/",
    "projects/",
    "orgs/",
    "job-requests/",
    "job-requests/?q=generate",
    "job-requests/?q=workspace:grouped",
    "job-requests/?q=hushed",
    "jobs/?q=generate",
    "jobs/?q=status:failed",
    "users/carol/",
    "backends/",
    "settings/",
    "workspaces/grouped/statuses/",
)
PAGES = (
    "/",
    "/workspaces/",
    "/jobs/",
    "/jobs/?q=generate",
    "/jobs/?q=action:generate",
    "/jobs/?status=failed",
    "/jobs/?backend=tpp",
    "/jobs/?format=csv",
    "/orgs/",
    "/orgs/wing/",
    "/orgs/datalab/trends/",
    "/status/",
    "/backends/tpp/history/",
    "/grouped/",
    "/grouped/logs/",
    "/grouped/trends/",
    "/live/go/?q=hush",
    "/live/go/?q=wing",
)


@pytest.mark.parametrize("path", API)
def test_the_api_tells_a_reader_nothing_of_other_projects(site: Site, asked: dict[str, str], path: str) -> None:
    with site.client("bob") as bob, site.client("support") as support:
        answer = bob.get(f"/api/v2/{path}")
        assert answer.status_code in (200, 404), answer.text
        for hidden in (HIDDEN, asked[f"{HIDDEN}-space"], asked["waits"]):
            assert hidden not in answer.text
        assert support.get(f"/api/v2/{path}").status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_pages_tell_a_reader_nothing_of_other_projects(
    readers: tuple[Browser, Browser], asked: dict[str, str], path: str
) -> None:
    for reader, codes in zip(readers, ({200}, {200, 303, 404}), strict=True):
        reply = reader.get(path)
        assert reply.status_code in codes, reply.text
        for hidden in (HIDDEN, asked[f"{HIDDEN}-space"], asked["waits"]):
            assert hidden not in reply.text


def test_what_a_reader_may_not_see_does_not_exist(
    site: Site, readers: tuple[Browser, Browser], asked: dict[str, str]
) -> None:
    identifier, space = asked[f"{HIDDEN}-space"], f"{HIDDEN}-space"
    pages = (
        f"/{space}/",
        f"/{space}/logs/",
        f"/{space}/trends/",
        f"/{space}/audit/",
        f"/{space}/settings/",
        f"/{space}/releases/",
        f"/{space}/actions/generate/",
        f"/orgs/wing/{HIDDEN}/",
        f"/orgs/wing/{HIDDEN}/audit/",
        f"/orgs/wing/{HIDDEN}/{space}/",
        f"/job-requests/{identifier}/",
        f"/job-requests/{identifier}/audit/",
        f"/job-requests/{identifier}/jobs/{HIDDEN}-job/",
        f"/jobs/{HIDDEN}-job/",
    )
    calls = (
        f"workspaces/{space}/",
        f"workspaces/{space}/statuses/",
        f"workspaces/{space}/releases/",
        f"projects/wing/{HIDDEN}/",
        f"job-requests/{identifier}/",
    )
    bob = readers[0]
    with site.client("bob") as caller, site.client("carol") as carol:
        for page in pages:
            assert bob.get(page).status_code == 404, page
        for call in calls:
            assert caller.get(f"/api/v2/{call}").status_code == 404, call
        body = {"requested_actions": ["nonsense"], "backend": "tpp"}
        assert caller.post(f"/api/v2/workspaces/{space}/job-requests/", json=body).status_code == 404
        assert caller.put(f"/api/v2/workspaces/{space}/follow/").status_code == 404
        assert caller.put(f"/api/v2/job-requests/{identifier}/follow/").status_code == 404
        assert caller.get("/api/v2/job-requests/", params={"q": f"workspace:{space}"}).status_code == 400
        assert bob.get(f"/live/?topic=request/{identifier}").status_code == 204
        assert bob.get("/backends/tpp/audit/").status_code == 403
        assert caller.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403
        # a member sees it, whatever their role
        for call in calls[:2]:
            assert carol.get(f"/api/v2/{call}").status_code == 200, call
        assert [item["name"] for item in carol.get("/api/v2/workspaces/").json()["results"]] == [space]


def test_those_above_and_backends_see_everything(site: Site, asked: dict[str, str]) -> None:
    with site.client("alice") as alice, site.client("support") as support, site.client("tpp") as tpp:
        for client in (alice, support):
            assert client.get(f"/api/v2/workspaces/{HIDDEN}-space/").status_code == 200
            assert client.get(f"/api/v2/job-requests/{asked[f'{HIDDEN}-space']}/").status_code == 200
        listed = [item["identifier"] for item in tpp.get("/api/v2/job-requests/").json()["results"]]
        assert asked["waits"] in listed
    with Browser(site, "alice") as browser:
        assert HIDDEN in browser.get("/workspaces/").text
        assert browser.get("/backends/tpp/audit/").status_code == 200


def test_the_place_in_a_queue_counts_everybody(site: Site, asked: dict[str, str]) -> None:
    with site.client("bob") as bob, site.client("alice") as alice:
        seen, known = (who.get(f"/api/v2/job-requests/{asked['late']}/").json()["waiting"] for who in (bob, alice))
        assert seen["position"] == known["position"] > 1
        assert asked["waits"] in json.dumps(known["behind"])
        assert asked["waits"] not in json.dumps(seen)


def test_a_poll_waits_for_what_its_reader_sees(site: Site, asked: dict[str, str]) -> None:
    with site.client("bob") as bob:
        first = bob.get("/api/v2/job-requests/")
        prefer = {"If-None-Match": first.headers["ETag"], "Prefer": "wait=1"}
        site.ask("report", workspace=f"{HIDDEN}-space")
        assert bob.get("/api/v2/job-requests/", headers=prefer).status_code == 304
        mine = site.ask("report", workspace="grouped")
        later = bob.get("/api/v2/job-requests/", headers=prefer)
        assert mine in later.text
        assert HIDDEN not in later.text


def test_an_invited_person_knows_what_they_are_invited_to(site: Site, readers: tuple[Browser, Browser]) -> None:
    site.run("project", "invite", f"wing/{HIDDEN}", "jane", "--role", "ProjectDeveloper")
    site.run("project", "invite", f"wing/{HIDDEN}", "bob", "--role", "ProjectDeveloper")
    with site.client("bob") as bob:
        assert bob.get(f"/api/v2/projects/wing/{HIDDEN}/").status_code == 200
        assert bob.get(f"/api/v2/workspaces/{HIDDEN}-space/").status_code == 404
    assert HIDDEN in readers[0].get("/invitations/").text
    site.run("project", "cancel-invitation", f"wing/{HIDDEN}", "bob")
