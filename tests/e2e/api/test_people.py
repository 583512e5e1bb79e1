"""What people do by HTTP: ask, cancel, look; idempotency keys; who may what; tokens that stop at once."""

import re
import threading
from typing import Any

import httpx
import pytest

from tests.e2e.harness import Client, Site, job

ASK = "/api/v2/workspaces/plain/job-requests/"
BODY = {"requested_actions": ["analyse"], "backend": "tpp"}


def cancel_url(identifier: str) -> str:
    return f"/api/v2/job-requests/{identifier}/cancel/"


def test_asking_answers_with_the_item_and_its_commit(site: Site, alice: Client) -> None:
    body = {**BODY, "force_run_dependencies": True, "will_notify": True, "database_name": "full"}
    answer = alice.post(ASK, json=body)
    item = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{site.url}/api/v2/job-requests/{item['identifier']}/"
    assert answer.headers["X-Commit"] == site.git("rev-parse", "backends/tpp")
    assert (item["sha"], item["requested_actions"], item["force_run_dependencies"]) == (site.sha, ["analyse"], True)
    assert (item["status"], item["jobs"]) == ("unknown", [])
    text = "".join(site.git("show", f"backends/tpp:{path}") for path in site.files(item["identifier"]))
    assert "will_notify: true" in text
    assert "python:latest python generate.py" in text
    subject = site.git("log", "-1", "--format=%an: %s", answer.headers["X-Commit"])
    assert subject == "alice: alice requested analyse on plain"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"backend": "tpp"}, "requested_actions"),
        ({"requested_actions": [], "backend": "tpp"}, "requested_actions"),
        ({"requested_actions": "analyse", "backend": "tpp"}, "requested_actions"),
        ({"requested_actions": [1], "backend": "tpp"}, "requested_actions"),
        ({"requested_actions": ["nothing"], "backend": "tpp"}, "requested_actions"),
        ({"requested_actions": ["x" * 50] * 5000, "backend": "tpp"}, "requested_actions"),
        ({"requested_actions": ["analyse"]}, "backend"),
        ({"requested_actions": ["analyse"], "backend": "nowhere"}, "backend"),
        ({"requested_actions": ["analyse"], "backend": {}}, "backend"),
        ({**BODY, "force_run_dependencies": "yes"}, "force_run_dependencies"),
        ({**BODY, "will_notify": 1}, "will_notify"),
        ({**BODY, "database_name": "other"}, "database_name"),
        ({**BODY, "database_name": 1}, "database_name"),
        ({**BODY, "colour": "red"}, "colour"),
        ([], "non_field_errors"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_written(site: Site, alice: Client, body: Any, field: str) -> None:
    before = site.count()
    answer = alice.post(ASK, json=body)
    assert answer.status_code == 400
    assert field in answer.json()
    assert site.count() == before


def test_members_of_the_project_may_request_jobs(site: Site, alice: Client, tpp: Client) -> None:
    assert tpp.post(ASK, json=BODY).status_code == 403
    assert alice.post("/api/v2/workspaces/nowhere/job-requests/", json=BODY).status_code == 404
    with site.client("bob") as bob, site.client("root") as root:
        assert bob.post(ASK, json=BODY).status_code == 403
        assert bob.post("/api/v2/workspaces/grouped/job-requests/", json=BODY).status_code == 201
        assert root.post(ASK, json=BODY).status_code == 201


def test_a_cancel_is_durable_before_the_runner_has_seen_the_request(site: Site, alice: Client, tpp: Client) -> None:
    identifier = site.ask("run_all")
    etag = tpp.get("/api/v2/job-requests/").headers["ETag"]
    answer = alice.post(cancel_url(identifier), json={"actions": ["analyse"]})
    assert (answer.status_code, answer.json()["cancelled_actions"]) == (200, ["analyse"])
    assert answer.headers["X-Commit"] == site.git("rev-parse", "backends/tpp")
    changed = tpp.get("/api/v2/job-requests/", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    everything = alice.post(cancel_url(identifier)).json()["cancelled_actions"]
    assert set(everything) == {"analyse", "generate", "report"}
    before = site.count()
    assert alice.post(cancel_url(identifier), json={}).status_code == 200
    assert site.count() == before


def test_a_cancel_leaves_finished_actions_alone(site: Site, alice: Client, tpp: Client) -> None:
    identifier = site.ask("analyse")
    tpp.report(job(identifier, f"{identifier}a", "succeeded"), job(identifier, f"{identifier}b", action="analyse"))
    assert alice.post(cancel_url(identifier)).json()["cancelled_actions"] == ["analyse"]


@pytest.mark.parametrize("body", [{"actions": ["nothing"]}, {"actions": "analyse"}, {"action": []}, [], "x"])
def test_a_cancel_of_nonsense_is_400(site: Site, alice: Client, body: Any) -> None:
    assert alice.post(cancel_url(site.ask("analyse")), json=body).status_code == 400


def test_those_who_may_request_jobs_may_cancel_them(site: Site, alice: Client, tpp: Client) -> None:
    identifier = site.ask()
    assert tpp.post(cancel_url(identifier)).status_code == 403
    assert alice.post(cancel_url("2222222222222222")).status_code == 404
    with site.client("bob") as bob:
        assert bob.post(cancel_url(identifier)).status_code == 403
        assert alice.post(cancel_url(identifier)).status_code == 200
        assert bob.post(cancel_url(identifier)).status_code == 403, "also where nothing is left to cancel"
        own = bob.post("/api/v2/workspaces/grouped/job-requests/", json=BODY).json()["identifier"]
        assert bob.post(cancel_url(own)).status_code == 200


def test_the_same_key_is_the_same_request(site: Site, alice: Client) -> None:
    headers = {"Idempotency-Key": "once"}
    before = site.count()
    first = alice.post(ASK, json=BODY, headers=headers)
    site.ask()
    again = alice.post(ASK, json=BODY, headers=headers)
    assert site.count() == before + 2
    for answer in (first, again):
        assert answer.status_code == 201
    assert again.content == first.content
    assert again.headers["X-Commit"] == first.headers["X-Commit"]
    assert alice.post(ASK, json={**BODY, "will_notify": True}, headers=headers).status_code == 409
    assert alice.post(ASK, json={**BODY, "backend": "emis"}, headers=headers).status_code == 409
    with site.client("root") as root:
        assert root.post(ASK, json=BODY, headers=headers).json() != first.json()


def test_a_key_holds_for_reports_and_cancels_too(site: Site, alice: Client, tpp: Client) -> None:
    identifier = site.ask("analyse")
    payload = [job(identifier, f"{identifier}a", at=1), job("x", "y")]
    first = tpp.report(*payload, **{"Idempotency-Key": "report"})
    tpp.report(job(identifier, f"{identifier}a", "failed", at=2))
    again = tpp.report(*payload, **{"Idempotency-Key": "report"})
    assert again.json() == first.json() == {"status": "success", "ignored": ["x"]}
    assert again.headers["X-Commit"] == first.headers["X-Commit"]
    other = site.ask("analyse")
    headers = {"Idempotency-Key": "cancel"}
    first = alice.post(cancel_url(other), json={"actions": ["analyse"]}, headers=headers)
    alice.post(cancel_url(other))
    again = alice.post(cancel_url(other), json={"actions": ["analyse"]}, headers=headers)
    assert again.content == first.content


def test_a_used_key_with_another_body_is_409_whatever_that_body_is(site: Site, alice: Client, tpp: Client) -> None:
    """Found: a body that could not be read was told so first, as if the key were free."""
    identifier = site.ask("analyse")
    headers = {"Idempotency-Key": "taken"}
    assert tpp.report(job(identifier, f"{identifier}a", at=1), **headers).status_code == 200
    assert alice.post(ASK, json=BODY, headers=headers).status_code == 201
    assert alice.post(cancel_url(identifier), json={"actions": ["analyse"]}, headers=headers).status_code == 200
    assert tpp.report({"no": "job"}, **headers).status_code == 409
    assert alice.post(ASK, json={**BODY, "backend": 5}, headers=headers).status_code == 409
    assert alice.post(cancel_url(identifier), content=b"{", headers=headers).status_code == 409


def test_many_at_once_with_one_key_make_one_commit(site: Site) -> None:
    before = site.count()
    answers: list[httpx.Response] = []

    def post() -> None:
        with site.client("alice") as client:
            answers.append(client.post(ASK, json=BODY, headers={"Idempotency-Key": "crowd"}))

    threads = [threading.Thread(target=post) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert site.count() == before + 1


@pytest.mark.parametrize("key", ["", "x" * 256, "ü"])
def test_a_key_that_can_be_none_is_400(alice: Client, key: str) -> None:
    answer = alice.post(ASK, json=BODY, headers=[(b"Idempotency-Key", key.encode())])
    assert answer.status_code == 400


def test_a_users_roles_and_permissions(alice: Client) -> None:
    assert alice.get("/api/v2/users/bob/").json() == {
        "permissions": {
            "global": [],
            "orgs": [],
            "projects": [
                {"slug": "trends", "org": "datalab", "permissions": ["cancel_job", "check_output", "run_job"]}
            ],
        },
        "roles": {
            "global": [],
            "orgs": [],
            "projects": [{"slug": "trends", "org": "datalab", "roles": ["ProjectDeveloper"]}],
        },
        "username": "bob",
        "name": "",
        "active": True,  # ours
    }
    assert alice.get("/api/v2/users/alice/").json()["roles"]["global"] == ["CoreDeveloper"]
    assert alice.get("/api/v2/users/nobody/").status_code == 404


def test_projects_of_one_slug_are_all_listed(site: Site, alice: Client) -> None:
    site.run("user", "add", "erin")
    for org, role in (("zebra", "ProjectCoordinator"), ("aardvark", "ProjectDeveloper")):
        site.run("org", "add", org)
        site.run("project", "add", f"{org}/shared")
        site.run("project", "member", f"{org}/shared", "erin", "--role", role)
    found = alice.get("/api/v2/users/erin/").json()
    assert found["roles"]["projects"] == [
        {"slug": "shared", "org": "aardvark", "roles": ["ProjectDeveloper"]},
        {"slug": "shared", "org": "zebra", "roles": ["ProjectCoordinator"]},
    ]
    assert [len(one["permissions"]) for one in found["permissions"]["projects"]] == [3, 3]


def test_access_that_the_command_line_ends_ends_at_once(site: Site) -> None:
    with site.client("carol") as carol:
        assert carol.get("/api/v2/job-requests/").status_code == 200
        site.run("user", "disable", "carol")
        assert carol.get("/api/v2/job-requests/").json() == {"detail": "Invalid token"}
    token = site.run("user", "token", "bob", "--label", "short")
    headers = {"Authorization": token}
    assert site.get("/api/v2/job-requests/", headers=headers).status_code == 200
    site.run("user", "revoke-token", "bob", "short")
    assert site.get("/api/v2/job-requests/", headers=headers).status_code == 403
    old = site.run("backend", "add", "third")
    new = site.run("backend", "rotate-token", "third", "--keep-old")
    for token, status in ((old, 200), (new, 200)):
        answer = site.get("/api/v2/job-requests/", headers={"Authorization": token})
        assert answer.status_code == status
    site.run("backend", "revoke-token", "third")
    for token, status in ((old, 403), (new, 200)):
        answer = site.get("/api/v2/job-requests/", headers={"Authorization": token})
        assert answer.status_code == status
    site.run("backend", "deactivate", "third")
    assert site.get("/api/v2/job-requests/", headers={"Authorization": new}).status_code == 403


def test_the_command_line_and_the_server_see_each_other_at_once(site: Site, alice: Client) -> None:
    identifier = site.run("request", "plain", "run_all", "--backend", "tpp", "--as", "alice")
    assert alice.get(f"/api/v2/job-requests/{identifier}/").status_code == 200
    alice.post(cancel_url(identifier))
    assert "generate" in site.run("status", identifier, "--json")


def test_openapi_lists_the_answers_of_every_operation(site: Site) -> None:
    described = site.get("/api/v2/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    named = {"identifier": "2" * 16, "username": "root", "name": "plain", "hash": "0" * 32, "org": "o", "project": "p"}
    named |= {"workspace": "plain", "backend": "tpp", "path": "x", "number": "9"}
    with site.client("root") as root:
        for path, operations in described["paths"].items():
            url = re.sub(r"{(\w+)}", lambda part: named.get(part[1], "none"), path)
            for method in operations.keys() - {"parameters"}:
                answer = root.request(method, url)
                assert str(answer.status_code) in operations[method]["responses"], (method, path)


def test_metrics_are_for_this_machine_and_for_superusers(site: Site) -> None:
    assert "jobserver_requests_total" in site.get("/metrics").text
    for who, status in ((None, 403), ("alice", 403), ("tpp", 403), ("root", 200)):
        with site.client(who) as client:
            assert client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == status
            assert client.get("/metrics", headers={"Via": "1.1 proxy"}).status_code == status
