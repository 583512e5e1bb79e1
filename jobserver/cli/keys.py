"""The server's signing keys: which there are, a new one, and the end of one."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import click

from jobserver import bootstrap
from jobserver.cli.admin import acting, actor_of, connected, via
from jobserver.cli.audit import Moment, path_of, repository, text_of
from jobserver.errors import invalid
from jobserver.store.keys import key_walk
from jobserver.store.keys.rotation import ended_at
from jobserver.store.keys.signers import Signer, read

vouched = click.option(
    "--signers",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Keys to begin with, from elsewhere; by default those that main begins with.",
)


@click.group()
def key() -> None:
    """The key that the server signs with."""


@key.command("list")
@repository
@vouched
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def listed(repo: Path | None, signers: Path | None, as_json: bool) -> None:
    """Which keys are the server's, oldest first, and when each may sign: those that main names, if they may."""
    for one in _followed(repo, signers):
        if as_json:
            times = {"after": one.after, "before": one.before}
            shown = {name: at and at.isoformat().replace("+00:00", "Z") for name, at in times.items()}
            click.echo(json.dumps({"fingerprint": one.fingerprint, **shown}))
            continue
        begins = f"from {one.after:%Y-%m-%d %H:%M:%S} UTC" if one.after else "from the beginning"
        click.echo(f"{one.fingerprint}  {begins} {f'to {one.before:%Y-%m-%d %H:%M:%S} UTC' if one.before else 'on'}")


@key.command()
@repository
@vouched
def export(repo: Path | None, signers: Path | None) -> None:
    """The server's public keys as a file for --signers, for auditors and witnesses to keep elsewhere."""
    for one in _followed(repo, signers):
        click.echo(one.line, nl=False)


def _followed(repo: Path | None, signers: Path | None) -> Iterable[Signer]:
    """Raises `Error` (invalid) where main names a key that nobody vouches for: which are right is for people to say."""
    walk = key_walk.main_keys(path_of(repo), read(text_of(signers)).values() if signers is not None else None)
    for commit, reason in walk.refused.items():
        raise invalid(
            f"commit {commit[:10]} changes the server's keys, and {reason}. If they are right, say so with --signers"
            " (the server that changed them has a file beside its SIGNING_KEY)",
            "main:allowed_signers",
        )
    return walk.signers.values()


@key.command()
@acting
def rotate(username: str | None) -> None:
    """Begin a new key; the old one's signatures stay valid. A running server takes it up by itself."""
    with connected() as app:
        found = bootstrap.change_key(app, actor_of(app, username), via())
    click.echo(found)


@key.command()
@click.argument("fingerprint", metavar="SHA256:...")
@click.option("--at", type=Moment(), help="Nothing counts that it signed after this, whoever did it; by default now.")
@acting
def revoke(fingerprint: str, at: datetime | None, username: str | None) -> None:
    """End a key that was stolen or lost; if it is the current one, begin a new one. Prints the current fingerprint."""
    with connected(checks_key=False) as app:
        found = bootstrap.change_key(app, actor_of(app, username), via(), fingerprint, at)
        end = ended_at(app.repo, fingerprint)
    click.echo(f"{fingerprint} counts until {end:%Y-%m-%d %H:%M:%S} UTC", err=True)
    if at is not None:
        click.echo("`jobserver audit verify` names what it signed after that, also what the server wrote", err=True)
    click.echo(found)
