"""Text for a terminal. Imports errors and click only."""

import click

from jobserver.errors import printable


def say(*columns: str) -> None:
    """Prints one line, its columns with a tab between, and nothing in it that a terminal would obey.

    For every line that holds what people or runners wrote: a message may carry a terminal's escape sequences.
    """
    click.echo("\t".join(map(printable, columns)).rstrip())
