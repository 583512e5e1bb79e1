"""`jobserver judge-push`: the answer to a push while no server runs."""

import json
import sys
from pathlib import Path

import click

from jobserver import bootstrap


@click.command("judge-push", hidden=True)
def judge_push() -> None:
    """Answer the pre-receive hook of the repository while no server runs."""
    answer = bootstrap.judge_push(Path.cwd(), sys.stdin.buffer.read())
    click.echo(json.dumps(answer))
