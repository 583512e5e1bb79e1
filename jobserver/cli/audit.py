"""The commands of auditors: audit log, verify, witness and checkpoint."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from jobserver import bootstrap
from jobserver.audit.log import LogFilter
from jobserver.audit.log import log as entries
from jobserver.audit.verify import Verdict
from jobserver.audit.verify import verify as judge
from jobserver.cli.output import say
from jobserver.cli.progress import counting
from jobserver.config import RepositorySettings, Settings
from jobserver.errors import invalid
from jobserver.service import copies
from jobserver.store.keys import signers as known_keys


class Moment(click.ParamType[datetime]):
    """``2026-11-24`` or ``2026-11-24T09:30:00Z``; without a zone it is UTC."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):  # the year 1 of another zone is before all of UTC
            self.fail(f"{value!r} is no time such as 2026-11-24 or 2026-11-24T09:30:00Z", param, ctx)


repository = click.option(
    "--repo",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A state repository or a clone of it; by default STATE_REPO. Nothing else is needed.",
)

from_ = click.option(
    "--from",
    "source",
    metavar="URL",
    help="The state repository: a path, ssh://..., or https://x:TOKEN@.../state.git. By default STATE_REPO.",
)


def path_of(repo: Path | None) -> Path:
    return repo if repo is not None else RepositorySettings.from_env().state_repo


@click.group()
def audit() -> None:
    """The record: who did what when, and whether it was changed."""


@audit.command("log")
@repository
@click.option("--backend", default="")
@click.option("--workspace", default="")
@click.option("--request", default="", metavar="ID")
@click.option("--actor", default="", help="alice, user/alice or backend/tpp.")
@click.option("--event", default="", help="job-request.created, or all of a kind: job-request.")
@click.option("--since", type=Moment())
@click.option("--until", type=Moment())
@click.option("--limit", type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@click.option(
    "--signers", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The keys, from elsewhere."
)
def log(
    repo: Path | None,
    backend: str,
    workspace: str,
    request: str,
    actor: str,
    event: str,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    as_json: bool,
    signers: Path | None,
) -> None:
    """Who did what when, newest first. What none of the servers' keys signed is nobody's."""
    wanted = LogFilter(backend, workspace, request, actor, event, since, until)
    trusted = known_keys.read(text_of(signers)).values() if signers is not None else None
    for number, entry in enumerate(entries(path_of(repo), wanted, trusted)):
        if limit is not None and number >= limit:
            break
        if as_json:
            click.echo(json.dumps(entry.as_dict()))
        else:
            who = entry.actor or "nobody that the record names"
            say(f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.commit[:10]}  {entry.branch}  {who}  {entry.subject}")


@audit.command()
@repository
@click.option("--since", default="", metavar="REV", help="Only what came after this commit.")
@click.option(
    "--signers", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The keys, from elsewhere."
)
@click.option("--witness", type=click.Path(path_type=Path, exists=True), help="A copy that somebody fetched before.")
@click.option(
    "--releases",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="RELEASE_STORAGE or a copy: also compare every file in it with the record.",
)
@click.option("--fast", is_flag=True, help="Hash only the objects that are read, not every copy of all.")
def verify(
    repo: Path | None, since: str, signers: Path | None, witness: Path | None, releases: Path | None, fast: bool
) -> None:
    """Check every commit: signature or receipt, line, change, trailers, checkpoints. One line for each fault."""
    if signers is None:
        click.echo("the keys are those that main begins with: --signers believes none that it could name", err=True)
    text = text_of(signers) if signers is not None else None
    with counting("commits") as progress:
        verdict = judge(
            path_of(repo),
            signers=text,
            witness=witness,
            since=since,
            releases=releases,
            fast=fast,
            progress=progress,
        )
    report(verdict, fast)


def report(verdict: Verdict, fast: bool = False) -> None:
    """Ends the command with exit code 1 if there are faults."""
    for key, commit in verdict.followed.items():
        click.echo(f"followed the keys of --signers to {key}, which came with commit {commit[:10]} of main", err=True)
    for problem in verdict.problems:
        click.echo(str(problem), err=True)
    left = " (--fast: objects that were not read were not hashed)" if fast else ""
    if verdict.problems:
        click.echo(f"{verdict.commits} commits, {len(verdict.problems)} faults{left}", err=True)
        raise click.exceptions.Exit(1)
    click.echo(f"{verdict.commits} commits, no fault{left}", err=True)


@audit.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@from_
@click.option(
    "--signers", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The keys, from elsewhere."
)
@click.option("--fast", is_flag=True, help="Hash only the objects that are read, not every copy of all.")
def witness(folder: Path, source: str | None, signers: Path | None, fast: bool) -> None:
    """Bring the record to the copy in DIR, and check what is new.

    Run it again from time to time. A branch that went back, was rewritten or is gone ends it with 1, and the copy stays
    as it was; so does any fault that `audit verify` finds.
    """
    moved = copies.update_copy(source or str(path_of(None)), folder)
    click.echo(f"{', '.join(moved) or 'nothing'} moved", err=True)
    text = text_of(signers) if signers is not None else None
    with counting("commits") as progress:
        verdict = copies.verify_copy(folder, text, fast=fast, progress=progress)
    report(verdict, fast)


def text_of(signers: Path) -> str:
    try:
        return signers.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(
            f"expected keys as in allowed_signers, and {signers} can't be read: {error}", "--signers"
        ) from None


@audit.command()
def checkpoint() -> None:
    """Record, signed, where every branch stands now."""
    settings = Settings.from_env()
    written, strayed = bootstrap.checkpoint(settings)
    for branch in strayed:
        click.echo(f"{branch} is not as a server left it: `jobserver audit verify` says more", err=True)
    click.echo("recorded" if written else "nothing has moved", err=True)
    if strayed:
        raise click.exceptions.Exit(1)
