"""The reference runner as its operator starts it, against a real server: with each transport, the same tests."""

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import zygote
from tests.e2e.harness import Site, bare, free_port, until
from tests.samples import only_whole

STUDY = """\
version: "4.0"
actions:
  first: {run: python:latest python first.py}
  breaks: {run: python:latest python -c 'raise SystemExit(3)'}
  after: {needs: [breaks], run: python:latest python first.py}
  slow: {needs: [first], run: "sleep 60"}
  image: {run: "r:latest analysis.R"}
"""


class RunnerProcess:
    def __init__(self, site: Site, transport: str, name: str) -> None:
        self.site, self.transport = site, transport
        self.url = site.url
        self.root = site.folder / name
        self.log = site.folder / f"{name}.log"
        self.env = bare(JOB_SERVER_TOKEN=site.tokens["tpp"], STUDY_REPOS=str(site.folder / "studies"))
        self.process: zygote.Process | None = None

    def arguments(self, *more: str) -> list[str]:
        return [
            *("runner", "--backend", "tpp", "--url", self.url),
            *("--transport", self.transport, "--root", str(self.root), *more),
            *(("--signer", self.site.signer(), "--interval", "0.2") if self.transport == "git" else ()),
        ]

    def once(self, **env: str) -> subprocess.CompletedProcess[str]:
        return zygote.command(self.arguments("--once"), {**self.env, **env}, self.site.folder)

    def start(self, *more: str) -> None:
        with self.log.open("ab") as log:
            self.process = zygote.start(self.arguments(*more), self.env, self.site.folder, log, log)

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process = None
        return code


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.study("hard", {"project.yaml": STUDY, "first.py": "open('out.txt', 'w').write('done')\n"})
    made.start()
    yield made
    made.stop()
    made.check_record()


# Git differs from HTTP only in how it gets requests and sends reports.
http_and_then_git = pytest.mark.parametrize("runner", ["http", pytest.param("git", marks=only_whole)], indirect=True)


@pytest.fixture(params=["http", "git"])
def runner(site: Site, request: pytest.FixtureRequest) -> Iterator[RunnerProcess]:
    made = RunnerProcess(site, request.param, f"runner-{request.param}-{request.node.name.split('[')[0]}")
    name = f"w-{request.param}-{request.node.name.split('[')[0]}".replace("_", "-")[:100]
    site.run("workspace", "add", name, "--repo", "hard", "--branch", "main")
    made.workspace = name  # type: ignore[attr-defined]
    yield made
    if made.process is not None:
        made.end(signal.SIGKILL)


def ask(runner: RunnerProcess, *actions: str) -> str:
    return runner.site.ask(*actions, workspace=runner.workspace)  # type: ignore[attr-defined]


def seen(site: Site, identifier: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(site.run("status", identifier, "--json"))
    return found


def codes(site: Site, identifier: str) -> dict[str, str]:
    return {job["action"]: job["status_code"] for job in seen(site, identifier)["jobs"]}


def test_each_job_ends_with_its_status_code(runner: RunnerProcess) -> None:
    identifier = ask(runner, "first", "after", "image")
    done = runner.once()
    assert done.returncode == 1, done.stderr  # not all succeeded
    assert codes(runner.site, identifier) == {
        "first": "succeeded",
        "breaks": "nonzero_exit",
        "after": "dependency_failed",
        "image": "job_error",
    }
    assert (runner.root / "workspaces" / runner.workspace / "outputs" / "out.txt").read_text() == "done"  # type: ignore[attr-defined]
    assert "Traceback" not in done.stderr
    # The server archives what a push finished after it has answered.
    until(lambda: all(path.startswith("archive/") for path in runner.site.files(identifier)))
    again = ask(runner, "first")
    assert runner.once().returncode == 0
    assert codes(runner.site, again) == {"first": "succeeded"}


@http_and_then_git
def test_a_request_is_cancelled_before_it_was_seen_and_while_it_runs(runner: RunnerProcess) -> None:
    before = ask(runner, "first")
    runner.site.run("cancel", before)
    runner.start()
    until(lambda: codes(runner.site, before) == {"first": "cancelled_by_user"})
    during = ask(runner, "slow")
    until(lambda: codes(runner.site, during).get("slow") == "executing", 60)
    runner.site.run("cancel", during, "slow")
    until(lambda: codes(runner.site, during) == {"first": "succeeded", "slow": "cancelled_by_user"})
    assert runner.end() == 0


@http_and_then_git
def test_a_killed_runner_goes_on_where_it_was(runner: RunnerProcess) -> None:
    identifier = ask(runner, "slow")
    runner.start()
    until(lambda: codes(runner.site, identifier).get("slow") == "executing", 60)
    runner.end(signal.SIGKILL)
    runner.start()
    until(lambda: "killed 1 process" in runner.log.read_text())
    # Its first report says that it waits again, or, if that was faster, that it runs again.
    jobs = seen(runner.site, identifier)["jobs"]
    assert [job["status"] for job in jobs if job["action"] == "first"] == ["succeeded"]
    runner.site.run("cancel", identifier)
    until(lambda: codes(runner.site, identifier).get("slow") == "cancelled_by_user")
    assert runner.end() == 0


@http_and_then_git
def test_reports_that_the_server_did_not_take_are_sent_when_it_is_back(runner: RunnerProcess) -> None:
    site = runner.site
    identifier = ask(runner, "slow")
    runner.start()
    until(lambda: codes(site, identifier).get("slow") == "executing", 60)
    site.stop()
    site.run("cancel", identifier)  # by the command line: it needs no server, and the runner can't know yet
    done = runner.root / "requests" / f"{identifier}.json"
    runner.end()  # a reboot of the machine, while nobody can be told
    assert json.loads(done.read_text())["accepted"] is False
    site.start()
    runner.start()
    until(lambda: codes(site, identifier).get("slow") == "cancelled_by_user")
    assert runner.end() == 0


def test_a_wrong_token_and_none_end_a_runner(runner: RunnerProcess) -> None:
    wrong = runner.once(JOB_SERVER_TOKEN="wrong")
    assert wrong.returncode == 1
    assert "jobserver: " in wrong.stderr.splitlines()[-1]
    missing = zygote.command(runner.arguments("--once"), bare(), runner.site.folder)
    assert missing.returncode == 1
    assert "JOB_SERVER_TOKEN" in missing.stderr


def test_without_a_server_a_runner_says_so_and_goes_on_trying(runner: RunnerProcess) -> None:
    runner.url = f"http://127.0.0.1:{free_port()}"
    runner.start("--once")
    until(lambda: "again in" in runner.log.read_text())
    assert runner.end() == 1
    assert "Traceback" not in runner.log.read_text()


def test_a_runner_without_requests_ends_well(runner: RunnerProcess) -> None:
    done = runner.once()
    assert done.returncode == 0, done.stderr
    assert "0 succeeded, 0 failed" in done.stderr


@http_and_then_git
def test_a_second_runner_in_one_folder_is_refused(runner: RunnerProcess) -> None:
    ask(runner, "slow")
    runner.start()
    until(lambda: (runner.root / "lock").exists())
    until(lambda: any((runner.root / "requests").glob("*.json")))
    second = runner.once()
    assert second.returncode == 1
    assert "another runner is using this folder" in second.stderr
    assert runner.end() == 0
