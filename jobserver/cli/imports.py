"""The command of people who move from OpenSAFELY's job-server: import."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import click

from jobserver import bootstrap
from jobserver.cli.admin import connected
from jobserver.cli.terminal.output import say
from jobserver.cli.terminal.progress import counting
from jobserver.errors import invalid
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.imports.database import OldDatabase
from jobserver.service.imports.importer import Importer, ImportResult
from jobserver.service.imports.notes import ImportNotes


@click.command("import")
@click.argument("database", metavar="DATABASE")
@click.option("--dry-run", is_flag=True, help="List each row that can't be taken as it is. Changes nothing.")
@click.option(
    "--releases",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The old server's RELEASE_STORAGE, or a copy: imports the released files too, to RELEASE_STORAGE.",
)
def import_(database: str, dry_run: bool, releases: Path | None) -> None:
    """Import the database of a job-server into this state repository.

    DATABASE is a SQLite file, or a URL: postgresql://user:password@host/name. The schemas of May 2021 to August 2026
    are known. Stop the server first.

    The repository must be new, with nothing but what `jobserver init` wrote. If the command is interrupted, run it
    again: it goes on. Run it again later to add what is new in the same database.
    """
    with connected() as app, closing(OldDatabase(database)) as old, _phases() as progress:
        store = bootstrap.release_store(app.settings) if releases is not None else None
        if releases is not None and store is None:
            raise invalid("is not set, so released files can't be imported", "RELEASE_STORAGE")
        folders = (releases, store) if releases is not None and store is not None else None
        importer = Importer(app.repo, app.gate, old, bootstrap.now, progress, folders)
        if dry_run:
            notes = importer.dry_run()
        else:
            with closing(PrivateStore(app.settings.private_store)) as private:
                outcome = importer.run(private)
    if dry_run:
        _show(notes)
    else:
        _report(outcome)


def _show(notes: ImportNotes) -> None:
    for note in notes.notes:
        say(str(note))
    for table, count in notes.missing.items():
        say(f"{table}: {count} rows without a counterpart: not taken")
    click.echo(f"{len(notes.notes)} notes; nothing was changed", err=True)


def _report(outcome: ImportResult) -> None:
    for line in outcome.notes.summary():
        click.echo(line, err=True)
    commits = ", ".join(f"{count} {kind}" for kind, count in outcome.commits.items())
    click.echo(f"imported: {commits or 'nothing new'}", err=True)
    if outcome.refused:
        click.echo(f"{outcome.refused} rows break rules and were not taken (see above)", err=True)
        raise click.exceptions.Exit(1)
    if commits:
        click.echo("run `jobserver maintain` next, then start the server", err=True)


@contextmanager
def _phases() -> Iterator[Callable[[str, int, int], None]]:
    """Yields a function to call with (a noun, how many are done, how many there are): a progress bar for each noun."""
    bars: dict[str, Callable[[int, int], None]] = {}
    with ExitStack() as stack:

        def update(noun: str, done: int, total: int) -> None:
            if noun not in bars:
                stack.close()
                bars[noun] = stack.enter_context(counting(noun))
            bars[noun](done, total)

        yield update
