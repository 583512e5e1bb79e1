"""Job requests and jobs of all times by HTTP: the query language, pages, what a backend sees."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.harness import Client, Site, job

REQUESTS, JOBS = "/api/v2/job-requests/", "/api/v2/jobs/"


@pytest.fixture(scope="module")
def ids(site: Site) -> dict[str, str]:
    """One request of each kind, the newest last."""
    with site.client("tpp") as tpp, site.client("alice") as alice:
        failed = site.ask("generate")
        tpp.report(job(failed, "j1", "failed", 60, status_code="nonzero_exit"))
        done = site.ask("analyse", workspace="grouped")
        tpp.report(job(done, "j2", "succeeded", 60), job(done, "j3", "succeeded", 60, action="analyse"))
        cancelled = site.ask("generate")
        alice.post(f"{REQUESTS}{cancelled}/cancel/")
        tpp.report(job(cancelled, "j4", "failed", 60, status_code="cancelled_by_user"))
        elsewhere = site.ask("generate", backend="emis")
        waiting = site.ask("generate")
    return {"failed": failed, "done": done, "cancelled": cancelled, "elsewhere": elsewhere, "waiting": waiting}


def pages(client: Client, path: str, **params: Any) -> Iterator[dict[str, Any]]:
    answer = client.get(path, params=params)
    while True:
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["results"]) <= params.get("limit", 100)
        yield from answer.json()["results"]
        if (url := answer.json()["next"]) is None:
            return
        answer = client.get(url)


def test_a_search_finds_finished_requests_too(site: Site, alice: Client, ids: dict[str, str]) -> None:
    def search(query: str, **more: Any) -> list[str]:
        items = pages(alice, REQUESTS, q=query, limit=2, **more)
        names = {identifier: name for name, identifier in ids.items()}
        return [names[item["identifier"]] for item in items]

    assert search("") == ["waiting", "elsewhere", "cancelled", "done", "failed"]
    assert search("", backend="emis") == search("backend:emis") == ["elsewhere"]
    assert search("status:failed,cancelled by:me") == ["cancelled", "failed"]
    assert search("workspace:grouped action:analyse") == ["done"]
    assert search("code:nonzero_exit") == ["failed"]
    item = next(pages(alice, REQUESTS, q="status:cancelled"))
    assert (item["status"], item["outcome"], item["cancelled_by"]) == ("failed", "cancelled", ["alice"])
    assert (item["job_count"], item["succeeded_count"], item["sha"]) == (1, 0, site.sha)
    assert item["completed_at"] is not None
    assert "jobs" not in item


def test_a_backend_searches_its_own_requests_only(tpp: Client, ids: dict[str, str]) -> None:
    assert ids["elsewhere"] not in [item["identifier"] for item in pages(tpp, REQUESTS, q="")]
    assert tpp.get(REQUESTS, params={"q": "", "backend": "emis"}).status_code == 403
    assert [job["identifier"] for job in pages(tpp, JOBS, q="", limit=1)] == ["j4", "j2", "j3", "j1"]
    assert list(tpp.get(REQUESTS, params={"q": "by:me"}).json()) == ["by"]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        (REQUESTS, "q=colour:red", "q"),
        (REQUESTS, "q=status:lost", "status"),
        (REQUESTS, "q=workspace:nowhere", "workspace"),
        (REQUESTS, "q=&limit=0", "limit"),
        (REQUESTS, "q=&offset=1", "offset"),
        (REQUESTS, "after=1.x", "after"),
        (REQUESTS, "q=&after=x", "after"),
        (JOBS, "after=1.x", "after"),
        (JOBS, "outcome=lost", "outcome"),
        (JOBS, "status=failed", "status"),
    ],
)
def test_what_can_not_be_searched_for_is_named(alice: Client, path: str, query: str, field: str) -> None:
    answer = alice.get(f"{path}?{query}")
    assert (answer.status_code, list(answer.json())) == (400, [field])


def test_jobs_are_listed_with_their_requests(alice: Client, ids: dict[str, str]) -> None:
    for size in (1, 2, 3, 100):
        jobs = list(pages(alice, JOBS, limit=size))
        assert [job["identifier"] for job in jobs] == ["j4", "j2", "j3", "j1"]
    assert (jobs[0]["job_request"], jobs[0]["workspace"], jobs[0]["backend"]) == (ids["cancelled"], "plain", "tpp")
    assert (jobs[0]["status"], jobs[0]["outcome"]) == ("failed", "cancelled")
    assert [job["identifier"] for job in pages(alice, JOBS, outcome="failed")] == ["j1"]
    assert [job["identifier"] for job in pages(alice, JOBS, q="workspace:grouped", limit=1)] == ["j2", "j3"]


def test_administrators_mark_a_job_as_failed_that_its_runner_lost(
    site: Site, alice: Client, tpp: Client, ids: dict[str, str]
) -> None:
    tpp.report(job(ids["waiting"], "j5"))
    url = f"{REQUESTS}{ids['waiting']}/jobs/j5/fail/"
    assert alice.post(url).status_code == 403
    with site.client("root") as root:
        answer = root.post(url)
        assert (answer.status_code, answer.json()["jobs"][0]["status"]) == (200, "failed")
        assert answer.headers["X-Commit"] == site.git("rev-parse", "backends/tpp")
        assert root.post(f"{REQUESTS}{ids['waiting']}/jobs/none/fail/").status_code == 404
