"""The commands init and backend, and what all commands share that change documents."""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import click

from jobserver import bootstrap
from jobserver.cli.calls import changes, client, reads
from jobserver.cli.terminal.output import list_format, show_rows, warn
from jobserver.config.settings import Settings
from jobserver.domain.backends import (
    ActivateBackend,
    AddBackend,
    DeactivateBackend,
    PauseBackend,
    ResumeBackend,
    RevokeBackendToken,
    RotateBackendToken,
)
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.plan import Command
from jobserver.service.accounts.tokens import new_token
from jobserver.store.fs import user_name

acting = click.option(
    "--as", "username", metavar="USERNAME", help="Act as this user. [default: the first of ADMIN_USERS]"
)


@contextmanager
def connected(*, checks_key: bool = True) -> Iterator[bootstrap.App]:
    app = bootstrap.connect(Settings.from_env(), checks_key=checks_key)
    if app.hosted is not None and app.hosted.status.problem:
        warn(f"{app.hosted.status.problem}; showing the branches as they were last seen")
    try:
        yield app
    finally:
        app.close()


def actor_of(app: bootstrap.App, username: str | None) -> Actor:
    return Actor(ActorKind.USER, username) if username else bootstrap.local_actor(app.settings)


def via() -> str:
    """The trailer Via: the account that runs the command. Not from the environment, which anybody can set."""
    return f"cli/{user_name(os.getuid())}"


def submit(username: str | None, command: Command) -> None:
    """Changes STATE_REPO, or calls a server if JOBSERVER_URL is set."""
    if client.is_set():
        changes.submit(username, command)
        return
    with connected() as app:
        app.gate.submit(actor_of(app, username), command, via())


def show_token(secret: str) -> None:
    click.echo("This token is shown only once. The server stores its SHA-256.", err=True)
    click.echo(secret)


def with_roles(roles: Collection[Role], meaning: str) -> Callable[[Any], Any]:
    """Gives a command the option --role, repeatable, which takes these."""
    choice = click.Choice(sorted(role.value for role in roles))
    return click.option("--role", "roles", multiple=True, type=choice, help=meaning)


def as_roles(values: tuple[str, ...]) -> tuple[Role, ...]:
    return tuple(Role(value) for value in values)


@click.command()
def init() -> None:
    """Create STATE_REPO, its signing key and the ADMIN_USERS.

    Judges all settings as `serve` does, so that a mistake shows before the server starts.
    """
    settings = Settings.from_env()
    bootstrap.check_settings(settings)
    bootstrap.create(settings).close()
    bootstrap.check_private_store(settings)
    click.echo(f"{settings.state_repo} is ready, with the signing key {settings.signing_key}")


@click.group()
def backend() -> None:
    """Manage backends (secure environments) and their tokens."""


@backend.command("add")
@click.argument("slug")
@click.option("--name", default="", help="The name that people see.")
@click.option("--database", "databases", multiple=True, metavar="NAME", help="A database that it has. Repeatable.")
@click.option("--parent-directory", default="", metavar="PATH", help="The folder with its outputs, for people there.")
@acting
def backend_add(slug: str, name: str, databases: tuple[str, ...], parent_directory: str, username: str | None) -> None:
    """Add a backend. Prints its token on the last line."""
    secret, digest = new_token()
    submit(username, AddBackend(slug, digest, name, databases, parent_directory))
    show_token(secret)


@backend.command("rotate-token")
@click.argument("slug")
@click.option("--keep-old", is_flag=True, help="Keep the old token valid until `backend revoke-token`.")
@acting
def backend_rotate(slug: str, keep_old: bool, username: str | None) -> None:
    """Replace a backend's token. Prints the new token on the last line. The old one ends at once."""
    secret, digest = new_token()
    submit(username, RotateBackendToken(slug, digest, keep_old))
    show_token(secret)


@backend.command("revoke-token")
@click.argument("slug")
@acting
def backend_revoke(slug: str, username: str | None) -> None:
    """Revoke all tokens of a backend except the newest."""
    submit(username, RevokeBackendToken(slug))


@backend.command("deactivate")
@click.argument("slug")
@acting
def backend_deactivate(slug: str, username: str | None) -> None:
    """Deactivate a backend. It can do nothing, and nobody can request jobs on it."""
    submit(username, DeactivateBackend(slug))


@backend.command("activate")
@click.argument("slug")
@acting
def backend_activate(slug: str, username: str | None) -> None:
    """Activate a backend again. Its tokens work as before."""
    submit(username, ActivateBackend(slug))


@backend.command("pause")
@click.argument("slug")
@acting
def backend_pause(slug: str, username: str | None) -> None:
    """Take no new requests on a backend. Its runner finishes those that it has."""
    submit(username, PauseBackend(slug))


@backend.command("resume")
@click.argument("slug")
@acting
def backend_resume(slug: str, username: str | None) -> None:
    """Take new requests on a backend again."""
    submit(username, ResumeBackend(slug))


@backend.command("list")
@list_format
def backend_list(form: str | None) -> None:
    """List the backends and their databases."""
    rows = reads.backends() if client.is_set() else _backends()
    show_rows(rows, form)


def _backends() -> list[dict[str, Any]]:
    with connected() as app:
        backends = app.repo.writer.read(layout.MAIN, lambda state: list(state.backends()))
    return [
        {
            "slug": backend.slug,
            "active": backend.active,
            "paused": backend.is_paused,
            "databases": list(backend.databases),
            "name": backend.name,
        }
        for backend in backends
    ]
