"""The commands of auditors: audit log, verify, witness and checkpoint."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from jobserver.audit.log import LogFilter
from jobserver.audit.log import log as entries
from jobserver.audit.verify import AuditResult
from jobserver.audit.verify import verify as judge
from jobserver.cli.admin import connected
from jobserver.cli.terminal.output import say
from jobserver.cli.terminal.progress import counting
from jobserver.config.settings import RepositorySettings
from jobserver.errors import invalid
from jobserver.service import copies
from jobserver.service.background.checkpointer import Checkpointer
from jobserver.store.keys import signers as known_keys


class TimeParam(click.ParamType[datetime]):
    """``2026-11-24`` or ``2026-11-24T09:30:00Z``; UTC if it names no zone."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):  # the year 1 in another zone can't be expressed in UTC
            self.fail(f"expected a time such as 2026-11-24 or 2026-11-24T09:30:00Z, found {value!r}", param, ctx)


repository = click.option(
    "--repo",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A state repository or a clone of one. [default: STATE_REPO]",
)

from_ = click.option(
    "--from",
    "source",
    metavar="URL",
    help="The state repository: a path, ssh://... or https://x:TOKEN@.../state.git. [default: STATE_REPO]",
)


signers_ = click.option(
    "--signers",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The server's keys, as `key export` printed them. [default: the keys that main begins with]",
)

FAST = "Hash only the objects that are read, not every stored copy of every object."


def path_of(repo: Path | None) -> Path:
    return repo if repo is not None else RepositorySettings.from_env().state_repo


@click.group()
def audit() -> None:
    """Read the record, and check that nobody changed it."""


@audit.command("log")
@repository
@click.option("--backend", default="", metavar="SLUG", help="Only this backend.")
@click.option("--workspace", default="", metavar="NAME", help="Only this workspace.")
@click.option("--request", default="", metavar="ID", help="Only this job request.")
@click.option("--actor", default="", help="Only this actor: alice, user/alice or backend/tpp.")
@click.option("--event", default="", help="Only this event or kind of event: job-request.created, job-request.")
@click.option("--since", type=TimeParam(), help="Only from this time on.")
@click.option("--until", type=TimeParam(), help="Only up to this time.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@signers_
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
    """List who did what and when, newest first.

    A commit counts as somebody's only if one of the server's keys signed it, or a receipt covers it.
    """
    wanted = LogFilter(backend, workspace, request, actor, event, since, until)
    trusted = known_keys.read(text_of(signers)).values() if signers is not None else None
    for number, entry in enumerate(entries(path_of(repo), wanted, trusted)):
        if limit is not None and number >= limit:
            break
        if as_json:
            click.echo(json.dumps(entry.as_dict()))
        else:
            actor = entry.actor or "unknown (not signed)"
            say(f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.commit[:10]}  {entry.branch}  {actor}  {entry.subject}")


@audit.command()
@repository
@click.option("--since", default="", metavar="REV", help="Check only the commits after this one.")
@signers_
@click.option("--witness", type=click.Path(path_type=Path, exists=True), help="Also compare with this earlier copy.")
@click.option(
    "--releases",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Also compare every file in RELEASE_STORAGE, or in a copy of it, with the record.",
)
@click.option("--fast", is_flag=True, help=FAST)
def verify(
    repo: Path | None, since: str, signers: Path | None, witness: Path | None, releases: Path | None, fast: bool
) -> None:
    """Check every commit, and print a line for each fault.

    Checks its signature or receipt, its parent, its change, its trailers, and all checkpoints.
    """
    if signers is None:
        click.echo("trusting the keys that main begins with; use --signers to trust keys from elsewhere", err=True)
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


def report(verdict: AuditResult, fast: bool = False) -> None:
    """Prints the faults. Ends the command with exit code 1 if there are any."""
    for key, commit in verdict.followed.items():
        click.echo(f"also trusting {key}: commit {commit[:10]} of main adds it, signed by a key of --signers", err=True)
    for statement, count in verdict.imported.items():
        click.echo(
            f"{count} commits were imported: {statement}. The signature covers what the server read. "
            "The old database alone says who did it",
            err=True,
        )
    if verdict.released:
        counts = [f"{count} {text}" for text, count in verdict.released.items()]
        click.echo(f"left the backends: {', '.join(counts)}", err=True)
    for problem in verdict.problems:
        click.echo(str(problem), err=True)
    left = " (--fast: only objects that were read were hashed)" if fast else ""
    if verdict.problems:
        click.echo(f"{verdict.commits} commits, {len(verdict.problems)} faults{left}", err=True)
        raise click.exceptions.Exit(1)
    click.echo(f"{verdict.commits} commits, no fault{left}", err=True)


@audit.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@from_
@signers_
@click.option("--fast", is_flag=True, help=FAST)
def witness(folder: Path, source: str | None, signers: Path | None, fast: bool) -> None:
    """Copy the new commits to the clone in DIR, and check them.

    Run this regularly, on another machine. If a branch was rewritten, went back or is missing, the clone stays as it is
    and the exit code is 1. The exit code is also 1 if `audit verify` finds a fault.
    """
    moved = copies.update_copy(source or str(path_of(None)), folder)
    click.echo(f"new commits: {', '.join(moved) or 'none'}", err=True)
    text = text_of(signers) if signers is not None else None
    with counting("commits") as progress:
        verdict = copies.verify_copy(folder, text, fast=fast, progress=progress)
    report(verdict, fast)


def text_of(signers: Path) -> str:
    try:
        return signers.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(f"{signers} can't be read: {error}", "--signers") from None


@audit.command()
def checkpoint() -> None:
    """Record the tips of all branches in a signed commit."""
    with connected() as app:
        checkpointer = Checkpointer(app.repo, app.gate)
        written = checkpointer.checkpoint()
    for branch in checkpointer.strayed:
        click.echo(f"{branch} was changed, but not by a server: run `jobserver audit verify`", err=True)
    click.echo("recorded" if written else "nothing to record: no branch has moved", err=True)
    if checkpointer.strayed:
        raise click.exceptions.Exit(1)
