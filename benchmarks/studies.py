"""Studies beside the history, requests of their actions by the API of a running server, and a runner's reports."""

import subprocess
from collections.abc import Sequence

import httpx

from benchmarks.common import TOKEN, Site
from jobserver.bootstrap import now
from jobserver.domain.base.values import timestamp


def new_study(made: Site, name: str, project: str) -> None:
    folder = made.settings.study_repos
    assert folder
    (folder / name).mkdir()
    (folder / name / "project.yaml").write_text(project)
    _git(made, name, "init", "-q", "-b", "main")
    commit(made, name, "a study")


def commit(made: Site, name: str, subject: str) -> None:
    """A commit that changes no action."""
    folder = made.settings.study_repos
    assert folder
    (folder / name / "note.txt").write_text(f"{subject}\n")
    _git(made, name, "add", ".")
    _git(made, name, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", subject)


def client(made: Site, who: str) -> httpx.Client:
    headers = {"Authorization": TOKEN.format(who)}
    return httpx.Client(base_url=made.settings.base_url, headers=headers, timeout=60)


def add_workspace(alice: httpx.Client, name: str) -> None:
    """Of the study of that name."""
    alice.post("/api/v2/workspaces/", json={"name": name, "repo": name, "branch": "main"}).raise_for_status()


def ask(alice: httpx.Client, workspace: str, backend: str, actions: Sequence[str] = ("run_all",)) -> str:
    """The new request's id."""
    body = {"requested_actions": actions, "backend": backend, "force_run_dependencies": True}
    answer = alice.post(f"/api/v2/workspaces/{workspace}/job-requests/", json=body)
    answer.raise_for_status()
    return str(answer.json()["identifier"])


def report(request: str, actions: Sequence[str], done: int) -> list[dict[str, object]]:
    """Of the jobs, ``done`` are finished, of which each twentieth failed; ten run, and the others wait."""
    moment = timestamp(now())
    jobs: list[dict[str, object]] = []
    for number, action in enumerate(actions):
        status = ("failed" if number % 20 == 19 else "succeeded") if number < done else "pending"
        if done <= number < done + 10:
            status = "running"
        jobs.append(
            {
                "job_request_id": request,
                "identifier": f"{request}x{number}",
                "action": action,
                "status": status,
                "status_code": {"failed": "nonzero_exit", "succeeded": "succeeded"}.get(status, ""),
                "status_message": "",
                "created_at": moment,
                "updated_at": moment,
                "started_at": None if status == "pending" else moment,
                "completed_at": moment if number < done else None,
            }
        )
    return jobs


def _git(made: Site, name: str, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(made.settings.study_repos), "-C", name, *arguments], check=True)
