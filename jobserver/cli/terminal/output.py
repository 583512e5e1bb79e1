"""Prints text, tables and errors to a terminal. Imports errors and click only, and rich for a table on a terminal."""

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from jobserver.errors import Error, printable


def say(*columns: str) -> None:
    """Prints one line, with a tab between columns and without control characters.

    For every line with text from people or runners: a message may hold a terminal's escape sequences.
    """
    click.echo("\t".join(map(printable, columns)).rstrip())


def list_format(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that print a list, for `show_rows`."""
    as_json = click.option("--json", "form", flag_value="json", help="Print one JSON array.")
    as_csv = click.option("--csv", "form", flag_value="csv", help="Print CSV with a heading.")
    return as_json(as_csv(command))


def show_rows(rows: Sequence[Mapping[str, Any]], form: str | None) -> None:
    """Prints a list of rows with the same keys. ``form`` is ``json``, ``csv``, or None for a table on a terminal, and
    elsewhere one line a row.

    These lines have tabs between the columns and no heading, for scripts.
    """
    if form == "json":
        click.echo(json.dumps(rows))
        return
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows(rows[:1])
        writer.writerows([_plain(value) for value in row.values()] for row in rows)
        return
    lines = [[_cell(key, value) for key, value in row.items()] for row in rows]
    if not sys.stdout.isatty():
        for line in lines:
            say(*line)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="")
    for key in rows[0] if rows else ():
        table.add_column(key.replace("_", " ").upper(), overflow="fold")
    for line in lines:
        table.add_row(*(Text(printable(cell)) for cell in line))
    Console(highlight=False).print(table)


def _plain(value: Any) -> str:
    """A value for another program: one cell, with spaces between the items of a list."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _cell(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return key if value else f"not {key}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def show_error(error: Error) -> None:
    """Prints every fault of the error on stderr, one a line."""
    lines = list(error.faults) if len(error.faults) > 1 else [error]
    for line in lines:
        click.echo(f"jobserver: {printable(str(line))}", err=True)


def warn(message: str) -> None:
    """Prints a line on stderr, which leaves stdout to results."""
    click.echo(f"jobserver: {printable(message)}", err=True)
