"""`jobserver runner`: the reference runner. It knows nothing of the server's settings, and runs elsewhere."""

import logging
import signal
import threading
from pathlib import Path
from typing import Literal

import click

from jobserver.errors import invalid
from jobserver.runner import RunnerConfig, run
from jobserver.runner.process import take_secret
from jobserver.store import proxies
from jobserver.store.fs import home


@click.command()
@click.option("--backend", required=True, metavar="SLUG")
@click.option("--url", required=True, help="The server, such as https://jobs.example.org.")
@click.option("--transport", type=click.Choice(["http", "git"]), default="http", show_default=True)
@click.option(
    "--signer", default="", metavar="SHA256:...", help="git: the server's key, that requests must be signed by."
)
@click.option(
    "--interval", type=click.FloatRange(min=0.01), default=5.0, show_default=True, help="git: seconds to wait."
)
@click.option("--once", is_flag=True, help="Take what there is, run it to its end, report, end.")
@click.option("--root", type=click.Path(path_type=Path), help="Its folder; by default ./runner-SLUG.")
@click.option(
    "--study-repos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="STUDY_REPOS",
    help="Where workspaces' repositories that are no URLs are.",
)
@click.option("--max-jobs", type=click.IntRange(1, 1000), default=2, show_default=True, help="Jobs at a time.")
@click.option("--job-timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds that a job may take.")
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
    """Run a backend's jobs: for trying things out. It is NO SANDBOX.

    The backend's token is read from JOB_SERVER_TOKEN. A study's commands run as you, on this machine.
    """
    token = take_secret("JOB_SERVER_TOKEN")
    if not token and url.startswith(("http://", "https://")):
        raise invalid("required but not set: the token of the backend", "JOB_SERVER_TOKEN")
    if signer and not signer.startswith("SHA256:"):
        raise invalid(
            "expected a fingerprint such as `jobserver key list` prints on the server: SHA256:...", "--signer"
        )
    proxies.check()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
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
    if once:
        click.echo(f"{summary.succeeded} succeeded, {summary.failed} failed", err=True)
        if summary.failed or not summary.all_reported:
            raise click.exceptions.Exit(1)
    if summary.refused:
        click.echo(f"{summary.refused} left alone: no key that --signer leads to signed them (see the log)", err=True)
        raise click.exceptions.Exit(1)
