"""The commands of operators: of the index, maintain, backup, sendtestemail. None of them changes the record."""

import json
import sys
from pathlib import Path

import click

from jobserver import bootstrap
from jobserver.cli.admin import connected
from jobserver.cli.audit import from_, report
from jobserver.cli.progress import counting, reading
from jobserver.config import RepositorySettings, Settings
from jobserver.errors import invalid, printable
from jobserver.service import copies
from jobserver.service.accounts.private_store import check_email
from jobserver.store import proxies


@click.group()
def index() -> None:
    """The index: derived from the branches, and disposable."""


@index.command()
def rebuild() -> None:
    """Make the index anew. A running server goes on with the old one until it is restarted."""
    with reading() as progress:
        count = bootstrap.rebuild_index(Settings.from_env(), progress)
    click.echo(f"the index is new, of {count} backends' branches", err=True)


@index.command()
@click.option("--json", "as_json", is_flag=True)
def status(as_json: bool) -> None:
    """For each backend's branch: its tip, the index's tip, and what the index holds."""
    rows = bootstrap.index_status(Settings.from_env())
    if as_json:
        click.echo(json.dumps([row.as_dict() for row in rows]))
        return
    for row in rows:
        state = "up to date" if row.indexed == row.tip else "behind" if row.indexed else "not indexed"
        click.echo(
            f"{row.branch}  {row.tip[:10]}  {state}  {row.requests} job requests ({row.active} active), {row.jobs} jobs"
        )


@index.command("verify")
def verify_() -> None:
    """Compare every row with the branches. One line for each difference."""
    with reading() as progress:
        found = bootstrap.verify_index(Settings.from_env(), progress)
    for line in found:
        click.echo(printable(line), err=True)
    if found:
        click.echo("`jobserver index rebuild` makes it anew; a running server takes that at its next start", err=True)
        raise click.exceptions.Exit(1)
    click.echo("the index is as the branches are", err=True)


@click.command("judge-push", hidden=True)
def judge_push() -> None:
    """For the repository's pre-receive hook, where no server runs."""
    answer = bootstrap.judge_push(Path.cwd(), sys.stdin.buffer.read())
    click.echo(json.dumps(answer))


@click.command()
def maintain() -> None:
    """Repack, pack refs, write the commit-graph; safe beside a running server."""
    with connected() as app:
        app.repo.maintain()
    click.echo("done", err=True)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@from_
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), help="Copy the signing key to there, too.")
@click.option("--fast", is_flag=True, help="Hash only the objects that are read, not every copy of all.")
def backup(folder: Path, source: str | None, key: Path | None, fast: bool) -> None:
    """Bring all that is new to the backup in DIR, and check it.

    The record goes to DIR/state.git, as `audit witness` does it: a history that was rewritten is refused, and ends the
    command with 1. Without --from, the private store and the released files come too.
    """
    if source is not None and key is not None:
        raise click.UsageError("--key is for this machine's key: with --from, it has to come another way")
    settings = Settings.from_env() if source is None else None
    copy, releases = folder / "state.git", folder / "releases"
    moved = copies.update_copy(source or str(RepositorySettings.from_env().state_repo), copy)
    click.echo(f"{', '.join(moved) or 'nothing'} moved", err=True)
    if settings is None:
        click.echo(
            "the key, the private store and the released files are not in it: they need a backup there", err=True
        )
    else:
        copies.copy_private(settings.private_store, folder / "private.sqlite3")
        if settings.release_storage is not None:
            copies.copy_releases(settings.release_storage, releases, copy)
        if key is not None:
            copies.copy_key(settings.signing_key, key, folder)
        else:
            click.echo(f"the key is not in it: keep a copy of {settings.signing_key} elsewhere (--key)", err=True)
    with counting("commits") as progress:
        verdict = copies.verify_copy(
            copy, fast=fast, releases=releases if releases.is_dir() else None, progress=progress
        )
    report(verdict, fast)


@click.command()
@click.argument("address")
def sendtestemail(address: str) -> None:
    """Send one email, to see whether EMAIL_BACKEND works."""
    from jobserver import serving
    from jobserver.service.notify.mail import Mail

    settings = Settings.from_env()
    proxies.check()
    mailer = serving.make_mailer(settings)
    if mailer is None:
        raise invalid("is not set: no email is sent", "EMAIL_BACKEND")
    body = f"This is a test. {settings.base_url} can send email.\n"
    mailer.send(Mail(check_email(address), "A test from jobserver", body))
    click.echo(f"handed over to {settings.email_backend}", err=True)
