"""`jobserver runner` and `jobserver controller`: the reference runner, which calls the server or is called by it.

It runs on another machine and does not read the server's settings.
"""

import logging
import threading
from pathlib import Path
from typing import Literal

import click

from jobserver.errors import invalid
from jobserver.runner.config import RunnerConfig
from jobserver.runner.controller.server import client_tokens_of, run_controller
from jobserver.runner.loop import RunSummary, run
from jobserver.runner.process import take_secret
from jobserver.store import proxies
from jobserver.store.fs import home
from jobserver.worker import on_stop_signal

_study_repos = click.option(
    "--study-repos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="STUDY_REPOS",
    help="Folder of the study repositories that are not URLs.",
)


@click.command()
@click.option("--backend", required=True, metavar="SLUG", help="The backend whose jobs to run.")
@click.option("--url", required=True, help="The server's URL, such as https://jobs.example.org.")
@click.option(
    "--transport",
    type=click.Choice(["http", "git"]),
    default="http",
    show_default=True,
    help="How to reach the server.",
)
@click.option(
    "--signer", default="", metavar="SHA256:...", help="With git: run only requests that this key of the server signed."
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.01),
    default=5.0,
    show_default=True,
    help="With git: seconds between fetches.",
)
@click.option("--once", is_flag=True, help="Run the current requests, report them, then stop.")
@click.option("--root", type=click.Path(path_type=Path), help="The runner's folder. [default: ./runner-SLUG]")
@_study_repos
@click.option(
    "--max-jobs", type=click.IntRange(1, 1000), default=2, show_default=True, help="Jobs to run at the same time."
)
@click.option("--job-timeout", type=click.FloatRange(min=0, min_open=True), help="Kill a job after this many seconds.")
def runner(
    backend: str,
    url: str,
    transport: Literal["http", "git"],
    signer: str,
    interval: float,
    once: bool,
    root: Path | None,
    study_repos: Path | None,
    max_jobs: int,
    job_timeout: float | None,
) -> None:
    """Run a backend's jobs. NOT A SANDBOX: only for trying jobserver out.

    The commands of studies run as you, on this machine. Reads the backend's token from JOB_SERVER_TOKEN.
    """
    token = take_secret("JOB_SERVER_TOKEN")
    if not token and url.startswith(("http://", "https://")):
        raise invalid("required but not set: the token of the backend", "JOB_SERVER_TOKEN")
    if signer and not signer.startswith("SHA256:"):
        raise invalid(
            "expected a fingerprint such as `jobserver key list` prints on the server: SHA256:...", "--signer"
        )
    proxies.check()
    stop = _until_stopped()
    config = RunnerConfig(
        backend,
        url,
        token,
        home(root) if root else Path(f"runner-{backend}"),
        study_repos,
        once,
        transport,
        signer,
        max_jobs,
        interval=interval,
        job_timeout=job_timeout,
    )
    summary = run(config, stop=stop)
    _report(summary, once)


@click.command()
@click.option("--backend", "backends", required=True, multiple=True, metavar="SLUG", help="A backend. Repeatable.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option("--root", type=click.Path(path_type=Path), default=Path("controller"), show_default=True)
@_study_repos
@click.option(
    "--max-jobs", type=click.IntRange(1, 1000), default=2, show_default=True, help="Jobs of a backend at the same time."
)
def controller(
    backends: tuple[str, ...], host: str, port: int, root: Path, study_repos: Path | None, max_jobs: int
) -> None:
    """Run backends' jobs as a controller that the server calls. NOT A SANDBOX: only for trying jobserver out.

    The tokens for a backend are in its own variable, separated by commas: TPP_CLIENT_TOKENS for tpp.
    """
    tokens = {slug: _client_tokens(slug) for slug in backends}
    proxies.check()
    stop = _until_stopped()
    config = RunnerConfig("", "", "", home(root), study_repos, max_jobs=max_jobs, wait=5.0)
    run_controller(config, tokens, (host, port), stop)


def _client_tokens(slug: str) -> list[str]:
    name = client_tokens_of(slug)
    tokens = [part.strip() for part in take_secret(name).split(",") if part.strip()]
    if not tokens:
        raise invalid(f"required but not set: the token of those who may call for backend {slug}", name)
    return tokens


def _until_stopped() -> threading.Event:
    """Logs from now on. The event is set once somebody wants the command to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    on_stop_signal(stop.set)
    return stop


def _report(summary: RunSummary, once: bool) -> None:
    """Ends the command with exit code 1 if a job failed, was not reported, or its request was refused."""
    if once:
        click.echo(f"{summary.succeeded} succeeded, {summary.failed} failed", err=True)
        if summary.failed or not summary.all_reported:
            raise click.exceptions.Exit(1)
    if summary.refused:
        click.echo(
            f"{summary.refused} requests not run: no key that --signer leads to signed them (see the log)", err=True
        )
        raise click.exceptions.Exit(1)
