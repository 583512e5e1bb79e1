"""The commands around STATE_REMOTE: what this server knows of the hosted repository, and commits that came past all."""

import json

import click

from jobserver import bootstrap
from jobserver.cli.admin import acting, connected
from jobserver.cli.output import say
from jobserver.config import Settings


@click.group()
def remote() -> None:
    """The hosted repository that is the authority (STATE_REMOTE)."""


@remote.command()
@click.option("--json", "as_json", is_flag=True)
def status(as_json: bool) -> None:
    """Whether it can be reached, and which branches are frozen."""
    with connected() as app:
        hosted = app.hosted
    problem = hosted.status.problem if hosted is not None else "STATE_REMOTE is not set"
    frozen = dict(hosted.frozen) if hosted is not None else {}
    if as_json:
        click.echo(json.dumps({"problem": problem, "frozen": frozen}))
        return
    say(problem or "it can be reached")
    for branch, why in frozen.items():
        say(f"{branch} is frozen: the hosted repository {why}")


@remote.command()
@click.argument("branch")
@acting
def adopt(branch: str, username: str | None) -> None:
    """Take commits that stand on a frozen BRANCH as if you had pushed them, if they are such as could be pushed."""
    with connected() as app:
        by = username or bootstrap.local_actor(Settings.from_env()).name
        old, new = bootstrap.adopt(app, by, branch)
    click.echo(f"{branch} went from {old[:10]} to {new[:10]}")
