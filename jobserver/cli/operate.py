"""The commands of operators: health, index, maintain, backup and sendtestemail. None of them changes the record."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import click

from jobserver import bootstrap
from jobserver.cli.admin import connected
from jobserver.cli.audit import FAST, from_, report
from jobserver.cli.terminal.progress import counting, reading
from jobserver.config.settings import RepositorySettings, Settings
from jobserver.errors import invalid, printable, unavailable
from jobserver.index.sqlite.build import rebuild as rebuild_index
from jobserver.index.sqlite.schema import usable
from jobserver.index.sqlite.status import branch_statuses
from jobserver.index.sqlite.verify import differences
from jobserver.service import copies
from jobserver.service.accounts.private_store import check_email
from jobserver.store import proxies

_HEALTH_SECONDS = 5.0


@click.command()
def health() -> None:
    """Ask the server on this machine whether it can read state. Prints its problems; ends with 1 if it can't read."""
    import httpx  # takes long to import, and the other commands here do without

    settings = Settings.from_env()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    origin = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    path = urlsplit(settings.base_url).path
    try:
        answer = httpx.get(f"{origin}{path}/health-check/read/", timeout=_HEALTH_SECONDS, trust_env=False)
        problems = answer.json()["problems"]
    except (httpx.HTTPError, ValueError, KeyError):
        raise unavailable(f"no jobserver answers at {origin}{path}/") from None
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise click.exceptions.Exit(1)


@click.group()
def index() -> None:
    """Rebuild, inspect or verify the index.

    The index is derived from the branches, so it can always be rebuilt.
    """


@index.command()
def rebuild() -> None:
    """Rebuild the index. A running server keeps the old one until you restart it."""
    with connected() as app, reading() as progress:
        count = rebuild_index(app.settings.state_repo, app.repo.writer.refs, app.settings.index, progress)
    click.echo(f"rebuilt the index of {count} branches of backends", err=True)


@index.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def status(as_json: bool) -> None:
    """Show each backend's branch: its tip, whether the index is up to date, and how much is in it."""
    with connected() as app:
        rows = branch_statuses(app.repo.writer.refs, app.settings.index)
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
    """Compare the index with the branches. Prints a line for each difference."""
    with connected() as app, reading() as progress:
        path = app.settings.index
        if not usable(path):
            raise invalid("no index of this version is here: run `jobserver index rebuild`", str(path))
        problems = differences(app.settings.state_repo, path, progress)
    for problem in problems:
        click.echo(printable(problem), err=True)
    if problems:
        click.echo("run `jobserver index rebuild`, then restart the server", err=True)
        raise click.exceptions.Exit(1)
    click.echo("the index matches the branches", err=True)


@click.command()
def maintain() -> None:
    """Repack the repository.

    Also packs its refs and writes the commit-graph. A server may run meanwhile.
    """
    with connected() as app:
        app.repo.maintain()
    click.echo("done", err=True)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@from_
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), help="Also copy the signing key, to this file.")
@click.option("--fast", is_flag=True, help=FAST)
def backup(folder: Path, source: str | None, key: Path | None, fast: bool) -> None:
    """Update the backup in DIR, and check it.

    Copies everything that is new. The record goes to DIR/state.git. If a branch was rewritten, went back or is missing,
    the backup stays as it is and the exit code is 1, as with `audit witness`. Without --from, the private store and the
    released files are copied too.
    """
    if source is not None and key is not None:
        raise click.UsageError("--key copies the key of this machine, so it can't be used with --from")
    settings = Settings.from_env() if source is None else None
    copy, releases = folder / "state.git", folder / "releases"
    moved = copies.update_copy(source or str(RepositorySettings.from_env().state_repo), copy)
    click.echo(f"new commits: {', '.join(moved) or 'none'}", err=True)
    if settings is None:
        click.echo(
            "the backup does not hold the key, the private store and the released files: back them up on the server",
            err=True,
        )
    else:
        copies.copy_private(settings.private_store, folder / "private.sqlite3")
        if settings.release_storage is not None:
            copies.copy_releases(settings.release_storage, releases, copy)
        if key is not None:
            copies.copy_key(settings.signing_key, key, folder)
        else:
            click.echo(f"the backup does not hold the key: copy {settings.signing_key} elsewhere (--key)", err=True)
    with counting("commits") as progress:
        verdict = copies.verify_copy(
            copy, fast=fast, releases=releases if releases.is_dir() else None, progress=progress
        )
    report(verdict, fast)


@click.command()
@click.argument("address")
def sendtestemail(address: str) -> None:
    """Send a test email to ADDRESS.

    Shows whether EMAIL_BACKEND works.
    """
    from jobserver.service.notify.email.mail import Mail

    settings = Settings.from_env()
    proxies.check()
    mailer = bootstrap.make_mailer(settings)
    if mailer is None:
        raise invalid("is not set, so no email can be sent", "EMAIL_BACKEND")
    body = f"This is a test. {settings.base_url} can send email.\n"
    mailer.send(check_email(address), Mail("A test from jobserver", body))
    click.echo(f"sent by {settings.email_backend}", err=True)
