"""A study of 150 actions beside the history, with two requests of it: one in the middle of running, one finished."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.common import TOKEN, Site
from jobserver.bootstrap import now
from jobserver.domain.base.values import timestamp

ACTIONS = 150
WORKSPACE = "wide"


@dataclass(frozen=True)
class Wide:
    """Ids of requests."""

    running: str
    finished: str


def add_study(made: Site) -> None:
    """Of 15 groups, each of which needs what the one before it makes."""
    folder = made.settings.study_repos
    assert folder
    study = folder / WORKSPACE
    study.mkdir()
    lines = ["version: '4.0'", "actions:"]
    for number in range(ACTIONS):
        lines += [
            f"  describe_{number}:",
            f"    run: python:latest python analysis/describe.py --part {number}",
            *([f"    needs: [describe_{number - 10}]"] if number >= 10 else []),
            f"    outputs: {{moderately_sensitive: {{table: output/table_{number}.csv}}}}",
        ]
    (study / "project.yaml").write_text("\n".join([*lines, ""]))
    _git(study, "init", "-q", "-b", "main")
    _commit(study, "a study")


def ask_twice(made: Site) -> Wide:
    """By the API of the running server; a commit lies between the two."""
    folder = made.settings.study_repos
    assert folder
    with _client(made, "alice") as alice, _client(made, "tpp") as tpp:
        body = {"name": WORKSPACE, "repo": WORKSPACE, "branch": "main"}
        alice.post("/api/v2/workspaces/", json=body).raise_for_status()
        finished = _ask(alice)
        _report(tpp, finished, ACTIONS)
        (folder / WORKSPACE / "note.txt").write_text("the second\n")
        _commit(folder / WORKSPACE, "another")
        running = _ask(alice)
        _report(tpp, running, 40)
    return Wide(running, finished)


def _ask(alice: httpx.Client) -> str:
    body = {"requested_actions": ["run_all"], "backend": "tpp", "force_run_dependencies": True}
    answer = alice.post(f"/api/v2/workspaces/{WORKSPACE}/job-requests/", json=body)
    answer.raise_for_status()
    return str(answer.json()["identifier"])


def _report(tpp: httpx.Client, request: str, done: int) -> None:
    """Of the jobs, ``done`` are finished, of which each twentieth failed; ten run, and the others wait."""
    moment = timestamp(now())
    jobs = []
    for number in range(ACTIONS):
        status = ("failed" if number % 20 == 19 else "succeeded") if number < done else "pending"
        if done <= number < done + 10:
            status = "running"
        jobs.append(
            {
                "job_request_id": request,
                "identifier": f"{request}x{number}",
                "action": f"describe_{number}",
                "status": status,
                "status_code": {"failed": "nonzero_exit", "succeeded": "succeeded"}.get(status, ""),
                "status_message": "",
                "created_at": moment,
                "updated_at": moment,
                "started_at": None if status == "pending" else moment,
                "completed_at": moment if number < done else None,
            }
        )
    tpp.post("/api/v2/jobs/", json=jobs).raise_for_status()


def _client(made: Site, who: str) -> httpx.Client:
    headers = {"Authorization": TOKEN.format(who)}
    return httpx.Client(base_url=made.settings.base_url, headers=headers, timeout=60)


def _commit(folder: Path, subject: str) -> None:
    _git(folder, "add", ".")
    _git(folder, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", subject)


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)
