"""OpenSAFELY's own runner against a server of ours.

It believes that its study is on GitHub: git's own settings lead it to a folder.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.workspaces import AddWorkspace
from tests.e2e.harness import Site, git, serving, until
from tests.e2e.pages.browser import Browser
from tests.e2e.real.environment import ENVIRONMENT, FOLDER, make_environment

REPOSITORY = "https://github.com/opensafely/study"
STUDY = """\
version: '3.0'
expectations: {population_size: 10}
actions:
  extract:
    run: cohortextractor:latest generate_cohort
    outputs: {highly_sensitive: {cohort: output/input.csv}}
  generate:
    run: python:latest python generate.py
    outputs: {moderately_sensitive: {numbers: numbers.csv}}
  analyse:
    needs: [generate]
    run: python:latest python analyse.py
    outputs: {moderately_sensitive: {sum: sum.csv}}
  report:
    needs: [analyse]
    run: python:latest python report.py
    outputs: {moderately_sensitive: {report: report.csv}}
"""
NEEDS = {"extract": (), "generate": (), "analyse": ("generate",), "report": ("analyse",)}
PIPELINE = {name: PipelineAction(needs=needs, run="python:latest python a.py") for name, needs in NEEDS.items()}
ALICE = Actor(ActorKind.USER, "alice")
TEXT = dict[str, tuple[str, str, str]]


@pytest.fixture(scope="session")
def environment() -> Path:
    if problem := make_environment():
        pytest.skip(f"opensafely-jobrunner can't be installed: {problem}")
    return ENVIRONMENT


class Real:
    """The runner of tpp, and what a test does with it: `ask`, `end` a job, and read what the server has of it."""

    def __init__(self, site: Site, environment: Path) -> None:
        self.site, self._python = site, str(environment / "bin" / "python")
        self.folder = site.folder / "runner"
        self._control = self.folder / "control"
        self._control.mkdir(parents=True)
        self.sha = git(site.study("real", {"project.yaml": STUDY}), "rev-parse", "main")
        self._numbers, self._asked = count(1), dict[str, int]()
        self._process: subprocess.Popen[bytes] | None = None
        names = ("secret_key", "base_url", "state_repo", "admin_users", "study_repos", "release_storage")
        self._settings = Settings.from_env(**{name: site.env[name.upper()] for name in names})

    def start(self) -> None:
        config = self.folder / "gitconfig"
        there = f"file://{self.site.folder}/studies/real"
        config.write_text(f'[url "{there}"]\n\tinsteadOf = https://github-proxy.opensafely.org/opensafely/study\n')
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(FOLDER),
            "PYTHONWARNINGS": "ignore",
            "GIT_CONFIG_GLOBAL": str(config),
            "CONTROL": str(self._control),
            "EXECUTOR": "executor:Executor",
            "WORKDIR": str(self.folder / "work"),
            "BACKEND": "tpp",
            "FULL_DATABASE_URL": "mssql://nowhere",
            "JOB_SERVER_ENDPOINT": f"{self.site.url}/api/v2/",
            "JOB_SERVER_TOKEN": self.site.tokens["tpp"],
            "POLL_INTERVAL": "0.1",
            "JOB_LOOP_INTERVAL": "0.05",
        }
        self._environment = environment
        with (self.folder / "log").open("ab") as log:
            command = [self._python, "-m", "jobrunner.service"]
            self._process = subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)

    def stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def set_flag(self, flag: str) -> None:
        command = [self._python, "-m", "jobrunner.cli.flags", "set", flag]
        subprocess.run(command, env=self._environment, cwd=self.folder, check=True, capture_output=True)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def workspace(self, repo: str = REPOSITORY) -> str:
        """A new one: the runner remembers what has run in a workspace."""
        name = f"real-{next(self._numbers)}"
        app = bootstrap.connect(self._settings)
        app.gate.submit(ALICE, AddWorkspace(name, repo, "main"), "test")
        app.close()
        return name

    def ask(self, workspace: str, *actions: str, **options: Any) -> str:
        """As the server does once it has read the study on GitHub. The new request's id.

        In a later second than the last one: the runner's times have seconds, and it goes by the newest job.
        """
        until(lambda: int(time.time()) > self._asked.get(workspace, 0))
        self._asked[workspace] = int(time.time()) + 1
        app = bootstrap.connect(self._settings)
        command = RequestJobs(workspace, "tpp", actions, self.sha, PIPELINE, **options)
        identifier: str = app.gate.submit(ALICE, command, "test").changes.result["identifier"]
        app.close()
        return identifier

    def end(self, workspace: str, action: str, **told: Any) -> None:
        """What becomes of the action, now or as soon as it runs."""
        hidden = self._control / f".{workspace}.{action}"
        hidden.write_text(json.dumps(told))
        hidden.rename(self._control / f"{workspace}.{action}")

    def item(self, identifier: str) -> dict[str, Any]:
        with self.site.client("alice") as alice:
            shown: dict[str, Any] = alice.get(f"/api/v2/job-requests/{identifier}/").json()
            return shown

    def jobs(self, identifier: str) -> TEXT:
        """action -> (status, code, message)."""
        jobs = self.item(identifier)["jobs"]
        return {job["action"]: (job["status"], job["status_code"], job["status_message"]) for job in jobs}

    def wait(self, identifier: str, **wanted: str) -> TEXT:
        """The jobs, once these actions have these statuses."""

        def is_there() -> bool:
            jobs = self.jobs(identifier)
            return all(action in jobs and jobs[action][0] == status for action, status in wanted.items())

        until(is_there)
        return self.jobs(identifier)

    def page(self, path: str) -> str:
        with Browser(self.site, "alice") as alice:
            return alice.get(path).text

    def let_it_report(self, times: int) -> None:
        """Waits until the server has so many reports more."""
        report = "POST /api/v2/jobs/ 200"
        wanted = self.site.log().count(report) + times
        until(lambda: self.site.log().count(report) >= wanted)

    def cancel(self, identifier: str, *actions: str) -> None:
        with self.site.client("alice") as alice:
            alice.post(f"/api/v2/job-requests/{identifier}/cancel/", json={"actions": actions}).raise_for_status()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, environment: Path) -> Iterator[Real]:
    site = Site(tmp_path_factory.mktemp("real"))
    with serving(site):
        runner = Real(site, environment)
        runner.start()
        yield runner
        runner.stop()
    refused = [line for line in runner.log.splitlines() if "Client Error" in line or "Server Error" in line]
    assert (refused, "Internal error" in runner.log) == ([], False)
