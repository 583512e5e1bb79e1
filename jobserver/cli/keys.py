"""The commands about the server's signing keys."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import click

from jobserver import bootstrap
from jobserver.cli.admin import acting, actor_of, connected, via
from jobserver.cli.audit import TimeParam, path_of, repository, signers_, text_of
from jobserver.errors import invalid
from jobserver.service.writes.key_change import change_key
from jobserver.store.keys import key_walk
from jobserver.store.keys.rotation import ended_at
from jobserver.store.keys.signers import Signer, read


@click.group()
def key() -> None:
    """Manage the keys that the server signs with."""


@key.command("list")
@repository
@signers_
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def listed(repo: Path | None, signers: Path | None, as_json: bool) -> None:
    """List the server's keys, oldest first, and when each may sign."""
    for signer in _followed(repo, signers):
        if as_json:
            limits = {"after": signer.after, "before": signer.before}
            times = {name: time and time.isoformat().replace("+00:00", "Z") for name, time in limits.items()}
            click.echo(json.dumps({"fingerprint": signer.fingerprint, **times}))
            continue
        begins = f"from {signer.after:%Y-%m-%d %H:%M:%S} UTC" if signer.after else "from the beginning"
        ends = f"to {signer.before:%Y-%m-%d %H:%M:%S} UTC" if signer.before else "on"
        click.echo(f"{signer.fingerprint}  {begins} {ends}")


@key.command()
@repository
@signers_
def export(repo: Path | None, signers: Path | None) -> None:
    """Print the server's public keys as a file for --signers. Auditors and witnesses keep it elsewhere."""
    for signer in _followed(repo, signers):
        click.echo(signer.line, nl=False)


def _followed(repo: Path | None, signers: Path | None) -> Iterable[Signer]:
    """Raises `Error` (invalid) if main names a key that no earlier key vouches for."""
    walk = key_walk.main_keys(path_of(repo), read(text_of(signers)).values() if signers is not None else None)
    for commit, reason in walk.refused.items():
        raise invalid(
            f"commit {commit[:10]} changes the server's keys, and {reason}. If the keys are right, pass them with"
            " --signers (the server that changed them keeps them in a file beside its SIGNING_KEY)",
            "main:allowed_signers",
        )
    return walk.signers.values()


@key.command()
@acting
def rotate(username: str | None) -> None:
    """Replace the current key. Its signatures stay valid. A running server uses the new key at once."""
    with connected() as app:
        fingerprint = change_key(app.repo, app.gate, bootstrap.now, actor_of(app, username), via())
    click.echo(fingerprint)


@key.command()
@click.argument("fingerprint", metavar="SHA256:...")
@click.option(
    "--at", "as_of", type=TimeParam(), help="Nothing that the key signed after this time counts. [default: now]"
)
@acting
def revoke(fingerprint: str, as_of: datetime | None, username: str | None) -> None:
    """Revoke a key that was stolen or lost. Replaces it if it is the current key. Prints the current fingerprint."""
    with connected(checks_key=False) as app:
        current = change_key(app.repo, app.gate, bootstrap.now, actor_of(app, username), via(), fingerprint, as_of)
        end = ended_at(app.repo, fingerprint)
    click.echo(f"{fingerprint} counts until {end:%Y-%m-%d %H:%M:%S} UTC", err=True)
    if as_of is not None:
        click.echo("`jobserver audit verify` lists the commits that it signed later, also the server's", err=True)
    click.echo(current)
