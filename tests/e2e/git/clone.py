"""Working copies by a real git client, and what runners write into theirs."""

import subprocess
from pathlib import Path
from typing import Any

from jobserver.domain.base import layout
from jobserver.domain.job_requests.jobs import Job
from jobserver.store.yaml import codec
from tests.e2e.harness import Site, job


class Clone:
    """A working copy over HTTP, as somebody."""

    def __init__(self, site: Site, folder: Path, who: str, branch: str, *options: str) -> None:
        self.folder, self.branch = folder, branch
        self.site = site
        slug = layout.branch_backend(branch)
        self.email = f"{slug}@backends.127.0.0.1" if slug and who == slug else f"{who}@example.org"
        self.url = f"http://x:{site.tokens[who]}@127.0.0.1:{site.port}/state.git"
        done = run(folder.parent, "clone", "-q", "--branch", branch, *options, self.url, str(folder))
        assert done.returncode == 0, done.stderr

    def git(self, *arguments: str) -> str:
        done = run(self.folder, *arguments, email=self.email)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str = "a change", **files: str | None) -> str:
        for path, text in files.items():
            self.write(path, text)
        self.git("add", "-A")
        self.git("commit", "-qm", message, "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def write(self, path: str, text: str | None) -> None:
        file = self.folder / path
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def push(self, *refspec: str) -> "subprocess.CompletedProcess[str]":
        return run(self.folder, "push", "origin", *(refspec or (f"HEAD:{self.branch}",)))


def run(
    folder: Path, *arguments: str, email: str = "x@example.org", **environment: str
) -> "subprocess.CompletedProcess[str]":
    identity = ("-c", "user.name=x", "-c", f"user.email={email}", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_TERMINAL_PROMPT": "0", "HOME": str(folder), "LC_ALL": "C"}
        | environment,
    )


def document(identifier: str, status: str = "running", at: float = 1, **more: Any) -> str:
    values = {key: value for key, value in job("", identifier, status, at, **more).items() if key != "job_request_id"}
    return codec.write(Job.model_validate_json(__import__("json").dumps(values))).decode()


def active(site: Site, identifier: str) -> str:
    return next(path for path in site.files(identifier) if path.endswith("request.yaml")).removesuffix("/request.yaml")
