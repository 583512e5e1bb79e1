"""Makes what an installed version of jobserver leaves on the disk, as an archive for `test_upgrades.py`.

    git worktree add --detach /tmp/old <commit of the release>
    python tests/upgrades/make.py /tmp/old tests/upgrades/0.2.0.tar.xz

Runs the old code with this Python's libraries. The archives are kept: old libraries may not run with new ones.
"""

import contextlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

PROJECT = """\
version: "3.0"
expectations:
  population_size: 10
actions:
  first:
    run: python:latest python a.py
    outputs: {moderately_sensitive: {a: a.txt}}
  second:
    needs: [first]
    run: python:latest python b.py
    outputs: {moderately_sensitive: {b: b.txt}}
"""
REQUEST = ("--backend", "tpp", "--as", "alice")


class Installation:
    """One folder with everything that a server keeps. ``code``: a checkout of the version."""

    def __init__(self, code: Path, folder: Path, port: int = 8397) -> None:
        self.folder, self.state, self.url = folder, folder / "state.git", f"http://127.0.0.1:{port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(code),
            "SECRET_KEY": "not-a-secret-but-long",
            "BASE_URL": self.url,
            "PORT": str(port),
            "STATE_REPO": str(self.state),
            "STUDY_REPOS": str(folder / "studies"),
            "ADMIN_USERS": "admin",
        }

    def run(self, *arguments: str) -> str:
        """Runs a command of jobserver. Returns the last line that it prints."""
        done = self.command(*arguments)
        if done.returncode:
            raise SystemExit(f"{arguments}: {done.stderr}")
        return (done.stdout.splitlines() or [""])[-1]

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "jobserver", *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def start(self) -> Any:
        """The server's process."""
        return subprocess.Popen([sys.executable, "-m", "jobserver", "serve"], cwd=self.folder, env=self.environment)

    @contextlib.contextmanager
    def serving(self) -> Any:
        process = self.start()
        try:
            while True:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{self.url}/health-check/").close()
                    break
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait()


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=admin", "-c", "user.email=admin@users.127.0.0.1")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def report(url: str, token: str, request: str, action: str, status: str) -> None:
    finished = "2026-05-01T10:02:00Z" if status == "succeeded" else None
    job = {
        "job_request_id": request,
        "identifier": f"{action}-{request[:6]}",
        "action": action,
        "status": status,
        "status_code": "",
        "status_message": f"{action} {status}",
        "created_at": "2026-05-01T10:00:00Z",
        "started_at": "2026-05-01T10:01:00Z",
        "updated_at": "2026-05-01T10:02:00Z",
        "completed_at": finished,
    }
    call = urllib.request.Request(f"{url}/api/v2/jobs/", json.dumps([job]).encode(), {"Authorization": token})
    urllib.request.urlopen(call).close()


def fill(made: Installation) -> None:
    """A bit of everything that a version records."""
    study = made.folder / "studies" / "trends"
    study.mkdir(parents=True)
    (study / "project.yaml").write_text(PROJECT)
    for arguments in (["init", "-q", "-b", "main", "."], ["add", "."], ["commit", "-qm", "study"]):
        git(study, *arguments)
    made.run("init")
    token = made.run("backend", "add", "tpp", "--database", "full")
    made.run("user", "add", "alice", "--role", "CoreDeveloper", "--email", "alice@example.org")
    personal = made.run("user", "token", "alice")
    made.run("org", "add", "lab")
    made.run("project", "add", "lab/p")
    made.run("project", "member", "lab/p", "alice", "--role", "ProjectDeveloper")
    made.run("workspace", "add", "trends", "--repo", "trends", "--branch", "main", "--as", "alice")
    made.run("workspace", "add", "schemas", "--repo", "trends", "--branch", "main", "--as", "alice")
    finished = made.run("request", "trends", "first", *REQUEST)
    running = made.run("request", "trends", "run_all", *REQUEST)
    with made.serving():
        report(made.url, token, finished, "first", "succeeded")
        report(made.url, token, running, "first", "running")
        clone = made.folder / "clone"
        git(made.folder, "clone", "-q", str(made.state), str(clone))
        (clone / "orgs" / "pushed.yaml").write_text("version: 1\nslug: pushed\nname: Pushed\n")
        git(clone, "add", ".")
        git(clone, "commit", "-qm", "An org from a clone")
        git(clone, "push", "-q", "origin", "main")
    made.run("key", "rotate")
    made.run("cancel", running, "second", "--as", "alice")
    facts = {"token": token, "personal": personal, "finished": finished, "running": running}
    (made.folder / "facts.json").write_text(json.dumps(facts))


def main(code: Path, archive: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        made = Installation(code.resolve(), Path(name))
        fill(made)
        kept = [
            path for path in sorted(made.folder.iterdir()) if path.name.startswith(("state.git", "studies", "facts"))
        ]
        with tarfile.open(archive, "w:xz") as tar:
            for path in kept:
                tar.add(path, path.name, filter=lambda info: None if info.name.endswith((".sample", ".sock")) else info)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
