"""The commands that call a server by HTTP, as a researcher's script does on another machine."""

import csv
import io
import json
import subprocess
import threading
from collections.abc import Callable

import httpx
import pytest

from tests.e2e import zygote
from tests.e2e.harness import Client, Site, bare, job, until

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(site: Site) -> Run:
    """A command as alice, without the server's settings."""

    def run(*arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        known = {"JOBSERVER_URL": site.url, "JOBSERVER_TOKEN": site.tokens["alice"]}
        done = zygote.command(arguments, bare(**{**known, **env}), site.folder)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return run


def watching(site: Site) -> None:
    until(lambda: "jobserver_held_polls 1.0" in httpx.get(f"{site.url}/metrics").text)


def test_watch_follows_a_request_to_its_end(site: Site, tpp: Client, run: Run) -> None:
    identifier = site.ask("analyse")
    done: list[subprocess.CompletedProcess[str]] = []
    thread = threading.Thread(target=lambda: done.append(run("watch", identifier)))
    thread.start()
    watching(site)
    tpp.report(job(identifier, "a", at=1))
    watching(site)
    tpp.report(job(identifier, "a", "succeeded", at=2), job(identifier, "b", "succeeded", at=3, action="analyse"))
    thread.join()
    lines = done[0].stdout.splitlines()
    assert lines[0] == f"{identifier}: analyse on plain on tpp, by alice"
    assert [line[10:] for line in lines if line[10:].startswith(("running", "succeeded"))] == [
        "running    generate",
        "succeeded  generate",
        "succeeded  analyse",
    ]
    assert lines[-1] == "succeeded: 2 of 2 jobs succeeded"


@pytest.mark.parametrize(
    ("status", "status_code", "code", "end"),
    [
        ("succeeded", "", 0, "succeeded: 1 of 1 jobs succeeded"),
        ("failed", "nonzero_exit", 1, "failed: 0 of 1 jobs succeeded"),
        ("failed", "cancelled_by_user", 4, "cancelled by alice: 0 of 1 jobs succeeded"),
    ],
)
def test_the_exit_code_of_watch_tells_how_it_ended(
    site: Site, tpp: Client, alice: Client, run: Run, status: str, status_code: str, code: int, end: str
) -> None:
    identifier = site.ask("generate")
    if code == 4:
        alice.post(f"/api/v2/job-requests/{identifier}/cancel/")
    tpp.report(job(identifier, f"{identifier}a", status, at=1, status_code=status_code))
    assert run("watch", identifier, code=code).stdout.splitlines()[-1] == end
    assert run("watch", identifier, "--quiet", code=code).stdout.splitlines() == [end]
    assert json.loads(run("watch", identifier, "--json", code=code).stdout)["identifier"] == identifier


@pytest.mark.parametrize(
    ("arguments", "env", "code", "message"),
    [
        (["watch", "2222222222222222"], {}, 5, "Job request 2222222222222222 does not exist"),
        (["watch", "x"], {"JOBSERVER_TOKEN": "nonsense"}, 5, "Invalid token"),
        (["watch", "x"], {"JOBSERVER_TOKEN": ""}, 5, "JOBSERVER_TOKEN: required but not set"),
        (["watch", "x"], {"JOBSERVER_URL": "http://127.0.0.1:1"}, 5, "http://127.0.0.1:1 does not answer"),
        (["watch"], {}, 2, "Missing argument 'ID'"),
        (["log", "colour:red"], {}, 1, "'colour' is not a filter; the filters are status, by,"),
        (["log", "status:lost"], {}, 1, "status 'lost' does not exist"),
        (["log"], {"JOBSERVER_URL": "ftp://x"}, 1, "JOBSERVER_URL: expected a URL such as https://"),
        (["log", "--limit", "0"], {}, 2, "--limit"),
    ],
)
def test_a_refusal_is_one_clear_line(
    run: Run, arguments: list[str], env: dict[str, str], code: int, message: str
) -> None:
    done = run(*arguments, code=code, **env)
    assert message in done.stderr
    assert done.stdout == ""


def test_log_lists_requests_and_jobs_of_all_times(site: Site, tpp: Client, run: Run) -> None:
    identifier = site.ask("generate", workspace="grouped")
    tpp.report(job(identifier, f"{identifier}a", "failed", at=1, status_code="nonzero_exit"))
    for _ in range(3):
        site.ask("generate", backend="emis")
    row = json.loads(run("log", "workspace:grouped", "status:failed", "--json").stdout)[0]
    assert (row["identifier"], row["outcome"], row["succeeded"], row["jobs"]) == (identifier, "failed", 0, 1)
    assert len(json.loads(run("log", "backend:emis", "--limit", "2", "--json").stdout)) == 2
    rows = list(csv.DictReader(io.StringIO(run("log", "workspace:grouped", "--csv").stdout)))
    assert (rows[0]["identifier"], rows[0]["requested_actions"]) == (identifier, "generate")
    jobs = list(csv.DictReader(io.StringIO(run("log", "workspace:grouped", "--jobs", "--csv").stdout)))
    assert (jobs[0]["job_request"], jobs[0]["status_code"]) == (identifier, "nonzero_exit")
    assert run("log", "workspace:grouped").stdout.split("\t")[0] == identifier
    assert run("log", "workspace:slashed").stdout == run("log", "workspace:slashed", "--csv").stdout == ""
