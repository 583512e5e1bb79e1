"""Runs a command and turns what went wrong into an exit code and one clear line.

0 done; 1 refused or failed; 2 usage; 3 a bug, whose traceback goes to a file that the line names.
"""

import importlib
import os
import sys
import tempfile
import traceback
from pathlib import Path

import click

from jobserver import __version__
from jobserver.errors import Error, printable

# Where each command is. Only the one that is asked for is imported: the server's parts alone take half a second.
COMMANDS = {
    "admin": ("init", "backend", "user", "workspace"),
    "projects": ("org", "project"),
    "jobs": ("request", "cancel", "status", "check"),
    "serve": ("serve",),
    "run": ("runner",),
    "demo": ("demo",),
    "operate": ("index", "maintain", "backup", "sendtestemail", "judge-push"),
    "audit": ("audit",),
    "keys": ("key",),
    "remote": ("remote",),
}
_MODULES = {command: module for module, commands in COMMANDS.items() for command in commands}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        module = importlib.import_module(f"jobserver.cli.{_MODULES[cmd_name]}")
        found: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Jobs for secure environments, recorded as signed commits in a git repository."""


def main() -> None:
    os.umask(os.umask(0o077) | 0o002)  # whatever it was, nobody but us writes the record
    try:
        # A command that ends by click's Exit has its code returned here, as does --help (0).
        code = cli(prog_name="jobserver", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except Error as error:
        lines = list(error.faults) if len(error.faults) > 1 else [error]
        for line in lines:
            click.echo(f"jobserver: {printable(str(line))}", err=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last resort, so that no traceback reaches a user
        with tempfile.NamedTemporaryFile("w", prefix="jobserver-", suffix=".traceback", delete=False) as file:
            traceback.print_exc(file=file)
        click.echo(f"jobserver: a bug, {type(error).__name__}; its traceback is in {Path(file.name)}", err=True)
        sys.exit(3)
