"""`jobserver demo`: requests the jobs of a sample study, and follows them.

The server and the runners are the real commands. Everything that happens is in the folder's state repository
afterwards.
"""

import secrets
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import httpx

from jobserver.cli.demo import contents
from jobserver.cli.demo.contents import ADA, ADMISSIONS, BEN, CALLED, DRAFT, POLLS, PULLS, DemoTokens
from jobserver.cli.demo.processes import PATIENCE_SECONDS, environment_of, free_port, process, wait_for_server
from jobserver.cli.login_link import login_path
from jobserver.cli.terminal.output import say
from jobserver.config.settings import Settings
from jobserver.domain.job_requests.lifecycle import FINISHED
from jobserver.errors import unavailable
from jobserver.runner.controller.server import client_tokens_of
from jobserver.runner.controller.spec import BASE
from jobserver.store.fs import disk_errors, home
from jobserver.store.git.command import git


@click.command()
@click.option("--once", is_flag=True, help="Stop when the jobs have ended. The exit code is 0 if all succeeded.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="For all files."
)
@click.option("--port", type=click.IntRange(1, 65535), help="[default: 8000, or a free port]")
def demo(once: bool, folder: Path, port: int | None) -> None:
    """Try a server, two runners and a sample study.

    Everything is in one folder, which you can delete afterwards.
    """
    folder = home(folder).resolve()
    port, called_port = port or free_port(8000), free_port()
    url, token = f"http://127.0.0.1:{port}", secrets.token_urlsafe(20)
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that the blocks below stop the other processes
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    environment = environment_of(folder, url) | {"RAP_TOKENS": f"{CALLED}={token}"}
    with disk_errors():
        Path(environment["STUDY_REPOS"]).mkdir(parents=True, exist_ok=True)
    settings = Settings.from_env(_env_file=None, **{key.lower(): value for key, value in environment.items()})
    tokens = contents.prepare(settings, f"http://127.0.0.1:{called_port}{BASE}")

    with ExitStack() as stack:

        def start_runner(backend: str, root: str, *options: str) -> None:
            arguments = ("runner", "--backend", backend, "--url", url, "--root", str(folder / root), *options)
            token = {"JOB_SERVER_TOKEN": tokens.backends[backend]}
            stack.enter_context(process(folder / f"{root}.log", {**environment, **token}, *arguments))

        stack.enter_context(process(folder / "server.log", environment, "serve", "--port", str(port)))
        api = stack.enter_context(httpx.Client(base_url=url, trust_env=False))  # without a proxy
        wait_for_server(api, folder / "server.log")
        start_runner(POLLS, "runner")
        click.echo(f"The server is at {url} and keeps its files in {folder}. {ADA} requests run_all:\n")
        succeeded = _follow(api, _request(api, tokens.people[ADA], ADMISSIONS, POLLS, "run_all"), tokens.people[ADA])
        click.echo(f"\nThe record, in {settings.state_repo}, branch backends/{POLLS}:\n")
        click.echo(git(settings.state_repo, "log", "--graph", "--format=%h %an: %s", f"backends/{POLLS}").rstrip())
        if once:
            raise click.exceptions.Exit(0 if succeeded else 1)
        start_runner(PULLS, "runner-git", "--transport", "git", "--max-jobs", "1")
        called = {**environment, client_tokens_of(CALLED): token}
        place = ("--port", str(called_port), "--root", str(folder / "controller"))
        stack.enter_context(process(folder / "controller.log", called, "controller", "--backend", CALLED, *place))
        _request_more(api, tokens)
        _show_summary(url, folder, tokens)
        _stay(lambda: url + login_path(settings, ADA))


def _request(api: httpx.Client, token: str, workspace: str, backend: str, *actions: str) -> str:
    body = {"requested_actions": actions, "backend": backend, "force_run_dependencies": True}
    headers = {"Authorization": f"Bearer {token}"}
    answer = api.post(f"/api/v2/workspaces/{workspace}/job-requests/", json=body, headers=headers)
    if answer.status_code != 201:
        raise unavailable(f"the server refused the request: {answer.text}")
    identifier: str = answer.json()["identifier"]
    return identifier


def _follow(api: httpx.Client, identifier: str, token: str) -> bool:
    """Prints each change of a job until all have finished. Returns whether all succeeded."""
    shown: dict[str, str] = {}
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE_SECONDS:
        answer = api.get(f"/api/v2/job-requests/{identifier}/", headers={"Authorization": f"Bearer {token}"})
        item: dict[str, Any] = answer.json()
        for job in item["jobs"]:
            state = f"{job['outcome']:<10} {job['status_message']}"
            if shown.get(job["action"]) != state:
                shown[job["action"]] = state
                say(f"  {time.monotonic() - began:5.1f} s  {job['action']:<20} {state}")
        if item["status"] in FINISHED and item["completed_at"]:
            click.echo(f"\nJob request {identifier}: {item['outcome']}")
            return bool(item["status"] == "succeeded")
        time.sleep(0.1)
    raise unavailable(f"job request {identifier} did not finish within {PATIENCE_SECONDS:.0f} s")


def _request_more(api: httpx.Client, tokens: DemoTokens) -> None:
    """A failure, and a queue: the second backend runs one job at a time."""
    click.echo(f"\n{BEN} requests a draft with a mistake, which will fail:\n")
    _follow(api, _request(api, tokens.people[BEN], DRAFT, POLLS, "chart"), tokens.people[BEN])
    _request(api, tokens.people[BEN], DRAFT, PULLS, "confidence_interval")
    _request(api, tokens.people[ADA], ADMISSIONS, PULLS, "run_all")
    _request(api, tokens.people[BEN], DRAFT, PULLS, "weekly_counts")
    _request(api, tokens.people[ADA], ADMISSIONS, CALLED, "run_all")
    click.echo(f"\nThe second backend, {PULLS}, runs one job at a time: three requests are in its queue.")
    click.echo(f"The third, {CALLED}, has a controller: the server calls it, and it never calls the server.")


def _show_summary(url: str, folder: Path, tokens: DemoTokens) -> None:
    click.echo(
        f"""
  URL                  {url}/
  {ADA}'s token          {tokens.people[ADA]}
  the backend's token  {tokens.backends[POLLS]}
  the results          {folder}/runner/workspaces/{ADMISSIONS}/outputs

To request the jobs again:
  curl -H 'Authorization: {tokens.people[ADA]}' -d '{{"requested_actions": ["run_all"], "backend": "{POLLS}"}}' \\
    {url}/api/v2/workspaces/{ADMISSIONS}/job-requests/

The server and the runners keep running until you press Ctrl-C."""
    )


def _stay(new_link: Callable[[], str]) -> None:
    """Prints a login link, and another one each time somebody presses Enter in a terminal."""
    try:
        while True:
            click.echo(f"  Open this to log in  {new_link()}   (works once, for 15 minutes)")
            if not sys.stdin.isatty():
                signal.pause()
            click.echo("  Press Enter for another link.")
            input()
    except (EOFError, KeyboardInterrupt):
        click.echo("", err=True)
