"""Prints text and errors to a terminal. Imports errors and click only."""

import click

from jobserver.errors import Error, printable


def say(*columns: str) -> None:
    """Prints one line, with a tab between columns and without control characters.

    For every line with text from people or runners: a message may hold a terminal's escape sequences.
    """
    click.echo("\t".join(map(printable, columns)).rstrip())


def show_error(error: Error) -> None:
    """Prints every fault of the error on stderr, one a line."""
    lines = list(error.faults) if len(error.faults) > 1 else [error]
    for line in lines:
        click.echo(f"jobserver: {printable(str(line))}", err=True)


def warn(message: str) -> None:
    """Prints a line on stderr, which leaves stdout to results."""
    click.echo(f"jobserver: {printable(message)}", err=True)
