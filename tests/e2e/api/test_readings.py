"""What runners report of jobs between events: shown at once everywhere, and not a commit."""

import threading
from typing import Any

from tests.e2e.harness import Client, Site, job, stamp, until


def running(identifier: str, at: float, done: int) -> dict[str, Any]:
    values = {"status_message": f"{done} of 9 files are done", "metrics": {"cpu_now": done / 10}}
    return job(identifier, f"{identifier}a", "running", at, **values)


def first_job(client: Client, identifier: str) -> dict[str, Any]:
    shown: dict[str, Any] = client.get(f"/api/v2/job-requests/{identifier}/").json()["jobs"][0]
    return shown


def test_readings_are_shown_at_once_and_make_no_commit(site: Site, tpp: Client, alice: Client) -> None:
    identifier = site.ask("generate")
    known = tpp.report(running(identifier, 1, 1)).headers["X-Commit"]
    for at in range(2, 6):
        answer = tpp.report(running(identifier, at, at))
        assert (answer.status_code, answer.json()) == (200, {"status": "success"})
        assert answer.headers["X-Commit"] == known == site.git("rev-parse", "backends/tpp")
        shown = first_job(alice, identifier)
        assert (shown["status_message"], shown["metrics"]) == (f"{at} of 9 files are done", {"cpu_now": at / 10})
        assert shown["updated_at"] == stamp(at)[:-1] + ".000000Z"
    (found,) = alice.get("/api/v2/jobs/", params={"q": f"id:{identifier}"}).json()["results"]
    assert {key: found[key] for key in shown} == shown
    tpp.report(job(identifier, f"{identifier}a", "succeeded", 9, metrics={"cpu_peak": 0.9}))
    (path,) = (path for path in site.files(identifier) if path.endswith("a.yaml"))
    assert "cpu_peak: 0.9" in site.git("show", f"backends/tpp:{path}")
    assert site.git("rev-list", "--count", f"{known}..backends/tpp") == "1"


def test_a_call_that_waits_gets_readings(site: Site, tpp: Client, alice: Client) -> None:
    identifier = site.ask("generate")
    tpp.report(running(identifier, 1, 1))
    path = f"/api/v2/job-requests/{identifier}/"
    tag = alice.get(path).headers["ETag"]
    answers: list[Any] = []
    waiting = threading.Thread(
        target=lambda: answers.append(alice.get(path, headers={"If-None-Match": tag, "Prefer": "wait=30"}))
    )
    waiting.start()
    for at in range(2, 300):
        tpp.report(running(identifier, at, 2))
        waiting.join(0.1)
        if not waiting.is_alive():
            break
    (answer,) = answers
    assert answer.json()["jobs"][0]["status_message"] == "2 of 9 files are done"


def test_an_end_that_a_runner_repeats_at_every_poll_makes_no_commit(site: Site, tpp: Client) -> None:
    """As 2025's does with a cancelled job, while another one runs."""
    identifier = site.ask()
    cancelled = {"status_code": "cancelled_by_user", "status_message": "Cancelled by user"}

    def poll(at: float) -> None:
        ended = job(identifier, f"{identifier}a", "failed", at, **cancelled)
        other = job(identifier, f"{identifier}b", "running", at, action="analyse", metrics={"cpu_now": at})
        assert tpp.report(ended, other).json() == {"status": "success"}

    poll(1)
    before = site.count()
    for at in range(2, 10):
        poll(at)
    assert site.count() == before
    assert first_job(tpp, identifier)["completed_at"] == stamp(1)[:-1] + ".000000Z"


def test_readings_outlive_a_restart_and_the_command_shows_them(tmp_path_factory: Any) -> None:
    site = Site(tmp_path_factory.mktemp("own"))
    site.start()
    identifier = site.ask("generate")
    with site.client("tpp") as tpp:
        tpp.report(running(identifier, 1, 1))
        tpp.report(running(identifier, 2, 5))
    site.stop()
    assert "5 of 9 files are done" in site.command("status", identifier).stdout
    site.start()
    with site.client("alice") as alice:
        assert first_job(alice, identifier)["status_message"] == "5 of 9 files are done"
    until(lambda: "5 of 9 files are done" in site.command("status", identifier).stdout)
    site.stop()
    site.check_record()


def test_a_lost_job_that_is_marked_as_failed_keeps_its_last_readings(site: Site, tpp: Client) -> None:
    identifier = site.ask("generate")
    tpp.report(running(identifier, 1, 1))
    tpp.report(running(identifier, 2, 7))
    with site.client("root") as root:
        root.post(f"/api/v2/job-requests/{identifier}/jobs/{identifier}a/fail/", json={}).raise_for_status()
    (path,) = (path for path in site.files(identifier) if path.endswith("a.yaml"))
    assert "cpu_now: 0.7" in site.git("show", f"backends/tpp:{path}")
