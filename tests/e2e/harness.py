"""A real site: a state repository, study repositories, and a server process on a loopback port."""

import atexit
import fcntl
import functools
import json
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from jobserver.cli.login_link import login_path
from jobserver.config.settings import Settings
from jobserver.store.keys.signing import SigningKey
from tests.e2e import zygote

STUDY = """\
version: "4.0"
actions:
  generate:
    run: python:latest python generate.py
  analyse:
    needs: [generate]
    run: python:latest python analyse.py
  report:
    needs: [analyse]
    run: python:latest python report.py
"""
START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
shared: Path | None = None  # the folder of all workers of a run; conftest.py sets it
TLS = ssl.create_default_context()  # one for all clients: to read the system's authorities takes 20 ms


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    options = (*identity, "-c", "maintenance.auto=false")  # which starts two more processes for many a command
    done = subprocess.run(["git", "-C", folder, *options, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


MEASURED = Path(__file__).parents[1] / "measured"  # what Python imports at its start under `make coverage`


def bare(**more: str) -> dict[str, str]:
    """The environment of a process that finds nothing of ours in it; it is still measured by `make coverage`."""
    measured = {key: value for key, value in os.environ.items() if key.startswith("COVERAGE_")}
    if measured:
        measured["PYTHONPATH"] = str(MEASURED)
    return {"PATH": os.environ["PATH"], **measured, **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stamp(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def job(request: str, identifier: str, status: str = "running", at: float = 0, **more: Any) -> dict[str, Any]:
    """A job as the 2021 runner reports it."""
    done = status in ("failed", "succeeded")
    return {
        "job_request_id": request,
        "identifier": identifier,
        "action": "generate",
        "status": status,
        "status_code": "",
        "status_message": "",
        "created_at": stamp(0),
        "updated_at": stamp(at),
        "started_at": stamp(0) if status != "pending" else None,
        "completed_at": stamp(at) if done else None,
    } | more


class Site:
    def __init__(self, folder: Path, is_template: bool = False) -> None:
        self.folder = folder
        self.repo = folder / "state.git"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("COV_")} | {
            "SECRET_KEY": "0123456789abcdef",
            "BASE_URL": self.url,
            "STATE_REPO": str(self.repo),
            "ADMIN_USERS": "root",
            "STUDY_REPOS": str(folder / "studies"),
            "RELEASE_STORAGE": str(folder / "releases"),
        }
        self.server: zygote.Process | None = None
        self.verify = TLS  # of clients, where a proxy with a certificate is in front
        self.tokens: dict[str, str] = {}
        self.sha = ""
        if not is_template:
            self._copy(_template())

    def _copy(self, made: "Site") -> None:
        """A command takes half a second, and every site begins the same."""
        self.folder.mkdir(exist_ok=True)
        shutil.copytree(made.folder, self.folder, dirs_exist_ok=True, symlinks=True)
        known = self.repo / "jobserver.json"
        known.write_text(known.read_text().replace(str(made.folder), str(self.folder)))
        self.tokens, self.sha = dict(made.tokens), made.sha

    def make(self) -> None:
        study = self.study(
            "study",
            {
                "project.yaml": STUDY,
                "generate.py": "open('numbers.txt', 'w').write('1 2 3')\n",
                "analyse.py": "open('sum.txt', 'w').write(str(sum(map(int, open('numbers.txt').read().split()))))\n",
                "report.py": "print('the sum is', open('sum.txt').read())\n",
            },
        )
        git(study, "branch", "feature/slashes")
        self.sha = git(study, "rev-parse", "main")
        self.run("init")
        self.tokens = {slug: self.run("backend", "add", slug, "--database", "full") for slug in ("tpp", "emis")}
        self.run("user", "add", "alice", "--role", "CoreDeveloper")
        for name in ("bob", "carol"):
            self.run("user", "add", name)
        self.run("user", "add", "jane", "--role", "OutputChecker")
        self.run("org", "add", "datalab")
        self.run("project", "add", "datalab/trends")
        self.run("project", "member", "datalab/trends", "bob", "--role", "ProjectDeveloper")
        for name in ("alice", "bob", "carol", "root"):
            self.tokens[name] = self.run("user", "token", name)
        self.run("workspace", "add", "plain", "--repo", "study", "--branch", "main")
        self.run("workspace", "add", "slashed", "--repo", "study", "--branch", "feature/slashes")
        self.run("workspace", "add", "grouped", "--repo", "study", "--branch", "main", "--project", "datalab/trends")
        self.git("repack", "-adq")  # every process that reads a copy would open fifty packs

    def study(self, name: str, files: dict[str, str]) -> Path:
        """A new study repository with these files on its branch main."""
        study = self.folder / "studies" / name
        study.mkdir(parents=True)
        for path, text in files.items():
            (study / path).parent.mkdir(parents=True, exist_ok=True)
            (study / path).write_text(text)
        git(study, "init", "-q", "-b", "main")
        git(study, "add", ".")
        git(study, "commit", "-qm", "a study")
        return study

    def command(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return zygote.command(arguments, {**self.env, **env}, self.folder)

    def run(self, *arguments: str, **env: str) -> str:
        """The last line that the command prints."""
        done = self.command(*arguments, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""

    def login_link(self, who: str) -> str:
        """What `jobserver user login-link` prints, without a process: each browser begins with one."""
        settings = Settings.from_env(**{key.lower(): value for key, value in self.env.items()})
        return settings.base_url + login_path(settings, who)

    def start(self, log: str = "server.log", healthy: int = 200) -> None:
        with (self.folder / log).open("ab") as file:
            self.server = zygote.start(["serve", "--port", str(self.port)], self.env, self.folder, file, file)
        self.wait(healthy)

    def wait(self, healthy: int = 200, seconds: float = 90) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            assert self.server is None or self.server.poll() is None, self.log()
            try:
                if httpx.get(f"{self.url}/health-check/", timeout=10, verify=TLS).status_code == healthy:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"no answer\n{self.log()}")

    def stop(self) -> None:
        """As a service manager does; nothing must be left to say."""
        assert self.server is not None
        self.server.terminate()
        assert self.server.wait(30) == 0
        self.server = None
        assert "Traceback" not in self.log(), self.log()

    def processes(self) -> list[int]:
        """The process that was started, and the one that serves."""
        assert self.server is not None
        pid = self.server.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def kill(self) -> None:
        """At once, and until both are gone: their locks end with them."""
        assert self.server is not None
        watched = {pid: os.pidfd_open(pid) for pid in self.processes()}
        for pid in watched:
            os.kill(pid, signal.SIGKILL)
        for descriptor in watched.values():
            assert select.select([descriptor], [], [], 30)[0]
            os.close(descriptor)
        self.server.wait()
        self.server = None

    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def client(self, who: str | None, **headers: str) -> "Client":
        return Client(self.url, self.tokens[who] if who else None, headers, self.verify)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=60, verify=self.verify, **more)

    def ask(self, *actions: str, backend: str = "tpp", workspace: str = "plain") -> str:
        """A new job request's id."""
        body = {"requested_actions": actions or ["run_all"], "backend": backend}
        with self.client("alice") as alice:
            answer = alice.post(f"/api/v2/workspaces/{workspace}/job-requests/", json=body)
        assert answer.status_code == 201, answer.text
        identifier: str = answer.json()["identifier"]
        return identifier

    def git(self, *arguments: str) -> str:
        return git(self.repo, *arguments)

    def check_record(self) -> None:
        """Whatever a test did: the repository is sound, and every commit stands up to an auditor."""
        assert self.git("fsck", "--full", "--strict", "--no-dangling") == ""
        done = self.command("audit", "verify")
        assert done.returncode == 0, done.stderr

    def signer(self) -> str:
        """The fingerprint of the server's key."""
        return SigningKey.load(Path(f"{self.repo}.key"), "jobserver").fingerprint

    def count(self, branch: str = "backends/tpp") -> int:
        """Commits; 0 before there is such a branch."""
        return int(self.git("rev-list", "--count", branch)) if self.git("branch", "--list", branch) else 0

    def files(self, identifier: str, branch: str = "backends/tpp") -> list[str]:
        paths = self.git("ls-tree", "-r", "--name-only", branch).splitlines()
        return [path for path in paths if identifier in path]


@functools.cache
def _template() -> Site:
    """Of all workers of a run, the first makes it."""
    folder = shared or Path(tempfile.mkdtemp(prefix="jobserver-site-"))
    if shared is None:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made, known = Site(folder / "site", is_template=True), folder / "known.json"
    with (folder / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if known.exists():
            made.tokens, made.sha = json.loads(known.read_text())
        else:
            shutil.rmtree(made.folder, ignore_errors=True)  # of a worker that was killed
            made.folder.mkdir()
            made.make()
            known.write_text(json.dumps([made.tokens, made.sha]))
    return made


class Client(httpx.Client):
    def __init__(self, url: str, token: str | None, headers: dict[str, str], verify: ssl.SSLContext = TLS) -> None:
        authorization = {"Authorization": token} if token else {}
        super().__init__(base_url=url, headers={**authorization, **headers}, timeout=60, verify=verify)

    def report(self, *jobs: dict[str, Any], **headers: str) -> httpx.Response:
        return self.post("/api/v2/jobs/", json=list(jobs), headers=headers)

    def listed(self, **params: Any) -> list[str]:
        answer = self.get("/api/v2/job-requests/", params=params)
        assert answer.status_code == 200, answer.text
        return [item["identifier"] for item in answer.json()["results"]]


def dumps(data: Any) -> bytes:
    return json.dumps(data).encode()


@contextmanager
def serving(site: Site) -> Iterator[None]:
    """Runs its server, and in the end git and the auditor have to find nothing."""
    site.start()
    yield
    if site.server is not None:
        site.stop()
    site.check_record()


def until(what: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for something that happens in another process."""
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.01)


def only(values: Sequence[Any], *wanted: Any) -> list[Any]:
    """Of ``values`` those that are wanted, in their order: other tests share the server."""
    return [value for value in values if value in wanted]


def connect(stack: ExitStack, site: Site, data: bytes) -> socket.socket:
    """A connection that has sent ``data``, and ends with ``stack``."""
    made = stack.enter_context(socket.create_connection(("127.0.0.1", site.port), 30))
    made.sendall(data)
    return made
