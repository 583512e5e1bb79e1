"""Runs a command, and turns errors into an exit code and a line on stderr.

Exit codes: 0 for success, 1 if the command was refused or failed, 2 for wrong usage, 3 for a bug, whose traceback is
saved in a file that the line names.
"""

import importlib
import os
import sys
import tempfile
import traceback
from keyword import iskeyword

import click

from jobserver import __version__
from jobserver.cli.terminal.output import show_error, warn
from jobserver.errors import Error

# The module of each command. Only one of them is imported: the server's parts alone take half a second.
COMMANDS = {
    "admin": ("init", "backend"),
    "manage.users": ("user",),
    "manage.workspaces": ("workspace",),
    "manage.releases": ("release",),
    "manage.messages": ("message",),
    "manage.projects": ("org", "project"),
    "manage.controllers": ("rap",),
    "jobs": ("request", "rerun", "cancel", "mark-failed", "status", "check"),
    "calls.watch": ("watch",),
    "calls.log": ("log",),
    "calls.own": ("view", "follow", "unfollow"),
    "serve": ("serve",),
    "run": ("runner", "controller"),
    "demo.command": ("demo",),
    "operate": ("health", "index", "maintain", "backup", "sendtestemail"),
    "push.judge": ("judge-push",),
    "notify.outbox": ("outbox",),
    "notify.webhooks": ("webhook",),
    "audit": ("audit",),
    "keys": ("key",),
    "remote": ("remote",),
    "imports": ("import",),
}
_MODULES = {command: module for module, commands in COMMANDS.items() for command in commands}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        module = importlib.import_module(f"jobserver.cli.{_MODULES[cmd_name]}")
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, f"{name}_" if iskeyword(name) else name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Request jobs in secure environments. Every change is a signed commit in a git repository."""


def main() -> None:
    os.umask(os.umask(0o077) | 0o002)  # nobody else may write the repository
    try:
        # click returns the code of a command that raised Exit, and 0 for --help.
        code = cli(prog_name="jobserver", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except Error as error:
        show_error(error)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - users must never see a traceback
        with tempfile.NamedTemporaryFile("w", prefix="jobserver-", suffix=".traceback", delete=False) as file:
            traceback.print_exc(file=file)
        warn(f"a bug in jobserver ({type(error).__name__}). The traceback is in {file.name}")
        sys.exit(3)
