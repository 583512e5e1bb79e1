"""`jobserver demo`: runs a server, a runner and a sample study in one folder, and requests its jobs.

The server and the runner are the real commands, in processes of their own. Everything that happens is in the folder's
state repository afterwards.
"""

import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import httpx

from jobserver import bootstrap
from jobserver.cli.login_link import login_path
from jobserver.cli.terminal.output import say
from jobserver.config.settings import Settings
from jobserver.domain.backends import AddBackend, RotateBackendToken
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.job_requests.lifecycle import FINISHED
from jobserver.domain.users import AddUser, AddUserToken
from jobserver.domain.workspaces import AddWorkspace
from jobserver.errors import Error, unavailable
from jobserver.service.accounts.tokens import new_token
from jobserver.store.fs import disk_errors, home
from jobserver.store.git.command import git
from jobserver.store.proxies import none_for

STUDY = Path(__file__).parent / "demo_study"
_BACKEND, _PERSON, _WORKSPACE = "demo", "ada", "admissions"
_PATIENCE_SECONDS = 120.0


@click.command()
@click.option("--once", is_flag=True, help="Stop when the jobs have ended. The exit code is 0 if all succeeded.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="For all files."
)
@click.option("--port", type=click.IntRange(1, 65535), help="[default: 8000, or a free port]")
def demo(once: bool, folder: Path, port: int | None) -> None:
    """Try a server, a runner and a sample study.

    Everything is in one folder, which you can delete afterwards.
    """
    folder = home(folder).resolve()
    port = port or _free_port()
    url = f"http://127.0.0.1:{port}"
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, lambda number, _: sys.exit(128 + number)
        )  # so that the blocks below stop the other processes
    environment = _environment(folder, url)
    with disk_errors():
        Path(environment["STUDY_REPOS"]).mkdir(parents=True, exist_ok=True)
    settings = Settings.from_env(_env_file=None, **{key.lower(): value for key, value in environment.items()})
    backend_token, person_token = _prepare(settings, folder)
    with ExitStack() as stack:
        stack.enter_context(_process(folder / "server.log", environment, "serve", "--port", str(port)))
        authorization = {"Authorization": f"Bearer {person_token}"}
        api = stack.enter_context(httpx.Client(base_url=url, headers=authorization, trust_env=False))  # without a proxy
        _wait_for_server(api, folder / "server.log")
        arguments = ("runner", "--backend", _BACKEND, "--url", url, "--root", str(folder / "runner"))
        stack.enter_context(
            _process(folder / "runner.log", {**environment, "JOB_SERVER_TOKEN": backend_token}, *arguments)
        )
        click.echo(f"The server is at {url} and keeps its files in {folder}. {_PERSON} requests run_all:\n")
        succeeded = _follow(api, _request(api))
        click.echo(f"\nThe record, in {settings.state_repo}, branch backends/{_BACKEND}:\n")
        click.echo(git(settings.state_repo, "log", "--graph", "--format=%h %an: %s", f"backends/{_BACKEND}").rstrip())
        if once:
            raise click.exceptions.Exit(0 if succeeded else 1)
        link = url + login_path(settings, _PERSON)
        _stay(link, url, folder, backend_token, person_token)


def _free_port() -> int:
    for wanted in (8000, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise unavailable("no port is free")


def _environment(folder: Path, url: str) -> dict[str, str]:
    """The settings of the demo. Those of the environment are for other servers, and are unset."""
    return dict.fromkeys(map(str.upper, Settings.model_fields), "") | {
        "SECRET_KEY": secrets.token_urlsafe(32),
        "BASE_URL": url,
        "STATE_REPO": str(folder / "state.git"),
        "ADMIN_USERS": "admin",
        "STUDY_REPOS": str(folder / "studies"),
    }


def _prepare(settings: Settings, folder: Path) -> tuple[str, str]:
    """Creates or completes the demo's repository. Returns new tokens: the backend's and the person's."""
    assert settings.study_repos is not None
    study = settings.study_repos / "hospital-admissions"
    if not study.exists():
        _make_study(study)
    app = bootstrap.create(settings)
    try:
        admin = Actor(ActorKind.USER, "admin")
        (backend_token, backend_digest), (person_token, person_digest) = new_token(), new_token()
        label = f"demo {time.time_ns()}"
        if (settings.state_repo / "refs" / "heads" / "backends").is_dir():
            app.gate.submit(admin, RotateBackendToken(_BACKEND, backend_digest), "demo")
        else:
            for command in (
                AddBackend(_BACKEND, backend_digest, "A backend for trying things out", ("full",)),
                AddUser(_PERSON, "Ada", (Role.CORE_DEVELOPER,)),
                AddWorkspace(_WORKSPACE, study.name, "main"),
            ):
                try:
                    app.gate.submit(admin, command, "demo")
                except Error as error:  # an earlier demo was interrupted
                    if error.code != "conflict":
                        raise
        app.gate.submit(admin, AddUserToken(_PERSON, label, person_digest), "demo")
    finally:
        app.close()
    return backend_token, person_token


def _make_study(folder: Path) -> None:
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(STUDY, partial, ignore=shutil.ignore_patterns("__pycache__"))
    for copied in (partial, *partial.rglob("*")):  # an installation may be read-only
        copied.chmod(copied.stat().st_mode | stat.S_IWUSR)
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@users.localhost", "-c", "commit.gpgsign=false")
    git(partial, "init", "--quiet", "--initial-branch=main")
    git(partial, "add", "--all")
    git(partial, *identity, "commit", "--quiet", "--message=Admissions by week")
    partial.rename(folder)


@contextmanager
def _process(log: Path, environment: Mapping[str, str], *arguments: str) -> Iterator[None]:
    """Runs a command of jobserver until the block ends."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobserver", *arguments],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **none_for("127.0.0.1"), **environment},
            start_new_session=True,  # Ctrl-C reaches only this process, which then stops the others in order
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _wait_for_server(api: httpx.Client, log: Path) -> None:
    ends = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < ends:
        try:
            if api.get("/health-check/").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise unavailable(f"the server did not start; see {log}")


def _request(api: httpx.Client) -> str:
    body = {"requested_actions": ["run_all"], "backend": _BACKEND, "force_run_dependencies": True}
    answer = api.post(f"/api/v2/workspaces/{_WORKSPACE}/job-requests/", json=body)
    if answer.status_code != 201:
        raise unavailable(f"the server refused the request: {answer.text}")
    identifier: str = answer.json()["identifier"]
    return identifier


def _follow(api: httpx.Client, identifier: str) -> bool:
    """Prints each change of a job until all have finished. Returns whether all succeeded."""
    shown: dict[str, str] = {}
    began = time.monotonic()
    while time.monotonic() - began < _PATIENCE_SECONDS:
        item: dict[str, Any] = api.get(f"/api/v2/job-requests/{identifier}/").json()
        for job in item["jobs"]:
            state = f"{job['status']:<10} {job['status_message']}"
            if shown.get(job["action"]) != state:
                shown[job["action"]] = state
                say(f"  {time.monotonic() - began:5.1f} s  {job['action']:<20} {state}")
        if item["status"] in FINISHED and item["completed_at"]:
            click.echo(f"\nJob request {identifier}: {item['status']}")
            return bool(item["status"] == "succeeded")
        time.sleep(0.1)
    raise unavailable(f"job request {identifier} did not finish within {_PATIENCE_SECONDS:.0f} s")


def _stay(link: str, url: str, folder: Path, backend_token: str, person_token: str) -> None:
    click.echo(
        f"""
The server and the runner keep running until you press Ctrl-C.
  Open this to log in  {link}   (works once, for 15 minutes)
  URL                  {url}/
  {_PERSON}'s token          {person_token}
  the backend's token  {backend_token}
  the results          {folder}/runner/workspaces/{_WORKSPACE}/outputs

To request the jobs again:
  curl -H 'Authorization: {person_token}' -d '{{"requested_actions": ["run_all"], "backend": "{_BACKEND}"}}' \\
    {url}/api/v2/workspaces/{_WORKSPACE}/job-requests/"""
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        click.echo("", err=True)
