"""Organisations, projects, people, backends and the site message by HTTP."""

from typing import Any

import pytest

from tests.e2e.harness import Client, Site

PROJECT = "/api/v2/projects/datalab/trends/"


@pytest.fixture(scope="module", autouse=True)
def made(site: Site) -> None:
    for name, role in (("lead", "ProjectCoordinator"), ("dev", "ProjectDeveloper")):
        site.run("user", "add", name)
        site.run("project", "member", "datalab/trends", name, "--role", role)
        site.tokens[name] = site.run("user", "token", name, "--label", "x")


def results(client: Client, path: str, **params: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/api/v2/{path}/", params=params)
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["results"]
    return listed


def test_organisations_and_projects_are_added_by_superusers(site: Site, alice: Client) -> None:
    org, project = {"slug": "fresh", "name": "Fresh air"}, {"project": "fresh/start"}
    assert alice.post("/api/v2/orgs/", json=org).status_code == 403
    assert alice.post("/api/v2/projects/", json={"project": "datalab/other"}).status_code == 403
    with site.client("root") as root:
        answer = root.post("/api/v2/orgs/", json=org)
        assert (answer.status_code, answer.json()) == (201, {**org, "members": []})
        assert root.post("/api/v2/orgs/", json=org).status_code == 409
        answer = root.post("/api/v2/projects/", json=project)
        assert (answer.status_code, answer.json()["name"]) == (201, "start")
        assert answer.headers["Location"] == f"{site.url}/api/v2/projects/fresh/start/"
        assert root.patch("/api/v2/projects/fresh/start/", json={"name": "Start"}).json()["name"] == "Start"
        assert root.post("/api/v2/projects/", json={"project": "none"}).status_code in (400, 404)
        assert root.get("/api/v2/projects/fresh/none/").status_code == 404
        assert root.get("/api/v2/orgs/none/").status_code == 404
    assert alice.get("/api/v2/orgs/fresh/").json() == {**org, "members": []}
    assert [item["slug"] for item in results(alice, "orgs")] == ["datalab", "fresh"]
    assert [item["project"] for item in results(alice, "projects")] == ["datalab/trends", "fresh/start"]
    assert [item["project"] for item in results(alice, "projects", org="fresh")] == ["fresh/start"]
    assert [item["project"] for item in results(alice, "projects", member="bob")] == ["datalab/trends"]
    assert alice.get("/api/v2/projects/", params={"member": "nobody"}).status_code == 400


def test_members_and_invitations(site: Site) -> None:
    def roles(project: dict[str, Any]) -> dict[str, list[str]]:
        return {member["username"]: member["roles"] for member in project["members"]}

    developer = {"roles": ["ProjectDeveloper"]}
    with site.client("lead") as lead, site.client("dev") as dev, site.client("carol") as carol:
        carols = f"{PROJECT}members/carol/"
        assert dev.put(carols, json=developer).status_code == 403
        assert roles(lead.put(carols, json=developer).json())["carol"] == ["ProjectDeveloper"]
        assert "carol" not in roles(lead.delete(carols).json())
        assert lead.put(carols, json={"roles": ["Boss"]}).json()["roles"][0].startswith("'Boss' is not a role")
        assert lead.put(carols, json={}).json() == {"roles": ["required"]}
        assert lead.put(f"{PROJECT}members/nobody/", json=developer).status_code == 404

        body = {"usernames": ["carol"], **developer}
        assert dev.post(f"{PROJECT}invitations/", json=body).status_code == 403
        assert lead.post(f"{PROJECT}invitations/", json={**body, "usernames": []}).status_code == 400
        invited = lead.post(f"{PROJECT}invitations/", json=body).json()["invitations"]
        assert [(one["username"], one["invited_by"]) for one in invited] == [("carol", "lead")]
        assert dev.get(PROJECT).json()["invitations"] == [], "only people who manage the project see them"
        assert [one["username"] for one in carol.get(PROJECT).json()["invitations"]] == ["carol"]
        assert lead.delete(f"{PROJECT}invitations/carol/").json()["invitations"] == []
        lead.post(f"{PROJECT}invitations/", json=body)
        assert carol.delete(f"{PROJECT}invitations/carol/").status_code == 200
        lead.post(f"{PROJECT}invitations/", json=body)
        assert lead.post(f"{PROJECT}invitations/carol/accept/").status_code == 403
        assert roles(carol.post(f"{PROJECT}invitations/carol/accept/").json())["carol"] == ["ProjectDeveloper"]
        assert carol.post(f"{PROJECT}invitations/carol/accept/").status_code == 404


def test_superusers_and_auditors_list_people(site: Site, alice: Client) -> None:
    site.run("user", "add", "ann", "--role", "Auditor")
    site.tokens["ann"] = site.run("user", "token", "ann")
    assert alice.get("/api/v2/users/").status_code == 403
    with site.client("ann") as ann, site.client("root") as root:
        assert "alice" in [item["username"] for item in results(ann, "users")]
        added = root.post("/api/v2/users/", json={"username": "zoe", "name": "Zoe", "roles": ["OutputChecker"]})
        zoe = {"username": "zoe", "name": "Zoe", "active": True, "roles": ["OutputChecker"]}
        zoe |= {"backends": None, "trained_until": None}
        assert (added.status_code, added.json()) == (201, zoe)
        assert ann.patch("/api/v2/users/zoe/", json={"active": False}).status_code == 403
        assert root.patch("/api/v2/users/zoe/", json={"active": False}).json() == {**zoe, "active": False}
        assert [item["username"] for item in results(root, "users", active="false")] == ["zoe"]
        assert root.patch("/api/v2/users/zoe/", json={"roles": [], "active": True}).json() == {**zoe, "roles": []}
        assert root.patch("/api/v2/users/zoe/", json={}).status_code == 400
        assert root.patch("/api/v2/users/nobody/", json={"active": True}).status_code == 404


def test_everybody_has_settings(site: Site, tpp: Client) -> None:
    with site.client("dev") as dev:
        own = dev.get("/api/v2/settings/").json()
        assert (own["username"], own["email"], own["tokens"][0]["label"]) == ("dev", None, "x")
        assert "sha256" not in own["tokens"][0]
        assert dev.patch("/api/v2/settings/", json={"email": "dev@example.org"}).json()["email"] == "dev@example.org"
        assert dev.patch("/api/v2/settings/", json={"email": "nonsense"}).status_code == 400
        for wrong in ({"pinned": ["nowhere"]}, {"views": {"Mine": "colour:red"}}):  # then nothing is changed
            assert dev.patch("/api/v2/settings/", json={"email": "other@example.org", **wrong}).status_code == 400
        assert dev.patch("/api/v2/settings/", json={}).json()["email"] == "dev@example.org"
        assert dev.patch("/api/v2/settings/", json={"email": None}).json()["email"] is None
        site.run("user", "token", "dev", "--label", "my laptop")
        left = dev.delete("/api/v2/settings/tokens/my laptop/").json()["tokens"]
        assert [token["label"] for token in left] == ["x"]
        assert dev.delete("/api/v2/settings/tokens/nothing/").status_code == 404
    assert tpp.get("/api/v2/settings/").status_code == 403


def test_people_follow_requests_and_workspaces(site: Site, tpp: Client) -> None:
    identifier = site.ask()
    with site.client("dev") as dev:
        request, workspace = f"/api/v2/job-requests/{identifier}/follow/", "/api/v2/workspaces/plain/follow/"
        assert dev.put(request).json()["following"] == [f"request/{identifier}"]
        assert set(dev.put(workspace).json()["following"]) == {f"request/{identifier}", "workspace/plain"}
        assert dev.delete(request).json()["following"] == ["workspace/plain"]
        assert dev.delete(workspace).json()["following"] == []
        assert dev.put("/api/v2/workspaces/none/follow/").status_code == 404
        assert dev.put("/api/v2/job-requests/2222222222222222/follow/").status_code == 404
        assert dev.patch("/api/v2/settings/", json={"email_when": "failed"}).json()["email_when"] == "failed"
        assert list(dev.patch("/api/v2/settings/", json={"email_when": "never"}).json()) == ["email_when"]
    assert tpp.put(workspace).status_code == 403


def test_backends_are_shown_to_people_and_changed_by_superusers(site: Site, alice: Client, tpp: Client) -> None:
    tpp.listed()
    identifier = site.ask()
    tpp_item, emis = alice.get("/api/v2/backends/tpp/").json(), results(alice, "backends")[0]
    assert (tpp_item["is_online"], tpp_item["accepts_requests"], tpp_item["databases"]) == (True, True, ["full"])
    assert tpp_item["active_requests"] >= 1, identifier
    assert (emis["slug"], emis["last_seen"]) == ("emis", None)
    assert alice.get("/api/v2/backends/none/").status_code == 404
    assert alice.patch("/api/v2/backends/emis/", json={"active": False}).status_code == 403
    with site.client("root") as root:
        for field in ("accepts_requests", "active"):
            for is_on in (False, True):
                assert root.patch("/api/v2/backends/emis/", json={field: is_on}).json()[field] is is_on
        both = {"accepts_requests": True, "active": True}
        assert list(root.patch("/api/v2/backends/emis/", json=both).json()) == ["accepts_requests"]
        assert root.patch("/api/v2/backends/emis/", json={}).status_code == 400
        assert root.delete("/api/v2/backends/emis/old-tokens/").status_code == 200


def test_superusers_set_what_every_page_shows(site: Site, alice: Client) -> None:
    message = {"text": "TPP is down on Friday.", "level": "warning"}
    assert alice.put("/api/v2/site-message/", json=message).status_code == 403
    with site.client("root") as root:
        assert root.put("/api/v2/site-message/", json=message).json() == message
        assert alice.get("/api/v2/site-message/").json() == message
        assert root.put("/api/v2/site-message/", json={**message, "level": "loud"}).status_code == 400
        assert root.delete("/api/v2/site-message/").json()["text"] == ""
