"""Runs a command and turns what went wrong into an exit code and one clear line.

0 done; 1 refused or failed; 2 usage; 3 a bug, whose traceback goes to a file that the line names.
"""

import sys
import tempfile
import traceback
from pathlib import Path

import click

from jobserver.cli.admin import backend, init, user, workspace
from jobserver.cli.audit import audit, key
from jobserver.cli.demo import demo
from jobserver.cli.jobs import cancel, check, request, status
from jobserver.cli.operate import index, judge_push, maintain, sendtestemail
from jobserver.cli.projects import org, project
from jobserver.cli.remote import remote
from jobserver.cli.run import runner
from jobserver.cli.serve import serve
from jobserver.errors import Error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jobserver")
def cli() -> None:
    """Jobs for secure environments, recorded as signed commits in a git repository."""


COMMANDS = (
    *(init, backend, user, org, project, workspace),
    *(request, cancel, status, check),
    *(serve, runner, demo, index, maintain, sendtestemail, judge_push),
    *(audit, key, remote),
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    try:
        # A command that ends by click's Exit has its code returned here, as does --help (0).
        code = cli(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except Error as error:
        lines = list(error.faults) if len(error.faults) > 1 else [error]
        for line in lines:
            click.echo(f"jobserver: {line}", err=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last resort, so that no traceback reaches a user
        with tempfile.NamedTemporaryFile("w", prefix="jobserver-", suffix=".traceback", delete=False) as file:
            traceback.print_exc(file=file)
        click.echo(f"jobserver: a bug, {type(error).__name__}; its traceback is in {Path(file.name)}", err=True)
        sys.exit(3)
