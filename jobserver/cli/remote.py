"""The commands about STATE_REMOTE: the state of the hosted repository, and commits made on the host itself."""

import json

import click

from jobserver import bootstrap
from jobserver.cli.admin import acting, actor_of, connected
from jobserver.cli.terminal.output import say
from jobserver.errors import invalid
from jobserver.service.push.receiver import Receiver
from jobserver.service.upstream import adoption


@click.group()
def remote() -> None:
    """Inspect the hosted repository (STATE_REMOTE)."""


@remote.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """Show whether it can be reached.

    Also lists the branches that are frozen.
    """
    with connected() as app:
        hosted = app.hosted
    problem = hosted.status.problem if hosted is not None else "STATE_REMOTE is not set"
    frozen = dict(hosted.frozen) if hosted is not None else {}
    if as_json:
        click.echo(json.dumps({"problem": problem, "frozen": frozen}))
        return
    say(problem or "it can be reached")
    for branch, reason in frozen.items():
        say(f"{branch} is frozen: the hosted repository {reason}")


@remote.command()
@click.argument("branch")
@acting
def adopt(branch: str, username: str | None) -> None:
    """Accept the commits on a frozen BRANCH as if you had pushed them.

    Works only if you could have pushed them to a server.
    """
    with connected() as app:
        if app.hosted is None:
            raise invalid("is not set, so there are no commits to adopt", "STATE_REMOTE")
        receiver = Receiver(app.repo, app.gate, bootstrap.now)
        old, new = adoption.adopt(app.hosted, receiver, branch, actor_of(app, username))
    click.echo(f"{branch} went from {old[:10]} to {new[:10]}")
