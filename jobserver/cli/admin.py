"""The commands of administrators: init, backend, user, workspace. Each goes through the gate."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from jobserver import bootstrap
from jobserver.cli.output import say
from jobserver.config.settings import Settings
from jobserver.domain.backends import (
    ActivateBackend,
    AddBackend,
    DeactivateBackend,
    RevokeBackendToken,
    RotateBackendToken,
)
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import GLOBAL_ROLES, Actor, ActorKind, Role
from jobserver.domain.plan import Command
from jobserver.domain.users import AddUser, AddUserToken, DisableUser, EnableUser, RevokeUserToken
from jobserver.domain.workspaces import AddWorkspace, ConnectWorkspace
from jobserver.service.accounts.private_store import PrivateStore, check_email
from jobserver.service.accounts.tokens import new_token
from jobserver.store.fs import user_name

acting = click.option("--as", "username", metavar="USERNAME", help="Who acts; by default the first of ADMIN_USERS.")


@contextmanager
def connected(*, checks_key: bool = True) -> Iterator[bootstrap.App]:
    app = bootstrap.connect(Settings.from_env(), checks_key=checks_key)
    if app.hosted is not None and app.hosted.status.problem:
        click.echo(f"jobserver: {app.hosted.status.problem}; what is shown was seen there before", err=True)
    try:
        yield app
    finally:
        app.close()


def actor_of(app: bootstrap.App, username: str | None) -> Actor:
    return Actor(ActorKind.USER, username) if username else bootstrap.local_actor(app.settings)


def via() -> str:
    """Who sits here, as the machine says it: not as the environment does, which anybody can set."""
    return f"cli/{user_name(os.getuid())}"


def submit(username: str | None, command: Command) -> None:
    with connected() as app:
        app.gate.submit(actor_of(app, username), command, via())


def _show_token(secret: str) -> None:
    click.echo("This token is shown once; only its SHA-256 is stored.", err=True)
    click.echo(secret)


def as_roles(values: tuple[str, ...]) -> tuple[Role, ...]:
    return tuple(Role(value) for value in values)


@click.command()
def init() -> None:
    """Create STATE_REPO, its signing key, and ADMIN_USERS as SuperUsers."""
    app = bootstrap.create(Settings.from_env())
    app.close()
    click.echo(f"{app.settings.state_repo} is ready; its key is {app.settings.signing_key}")


@click.group()
def backend() -> None:
    """Secure environments and their tokens."""


@backend.command("add")
@click.argument("slug")
@click.option("--name", default="")
@click.option("--database", "databases", multiple=True)
@click.option("--parent-directory", default="")
@acting
def backend_add(slug: str, name: str, databases: tuple[str, ...], parent_directory: str, username: str | None) -> None:
    """Add a backend; prints its token on the last line."""
    secret, digest = new_token()
    submit(username, AddBackend(slug, digest, name, databases, parent_directory))
    _show_token(secret)


@backend.command("rotate-token")
@click.argument("slug")
@click.option("--keep-old", is_flag=True, help="The old token works until `backend revoke-token`.")
@acting
def backend_rotate(slug: str, keep_old: bool, username: str | None) -> None:
    """Give a backend a new token; prints it on the last line. The old one stops at once."""
    secret, digest = new_token()
    submit(username, RotateBackendToken(slug, digest, keep_old))
    _show_token(secret)


@backend.command("revoke-token")
@click.argument("slug")
@acting
def backend_revoke(slug: str, username: str | None) -> None:
    """End every token of a backend but the newest."""
    submit(username, RevokeBackendToken(slug))


@backend.command("deactivate")
@click.argument("slug")
@acting
def backend_deactivate(slug: str, username: str | None) -> None:
    """Switch a backend off: it may do nothing, and no job can be requested on it."""
    submit(username, DeactivateBackend(slug))


@backend.command("activate")
@click.argument("slug")
@acting
def backend_activate(slug: str, username: str | None) -> None:
    """Switch a backend on again, with the tokens it had."""
    submit(username, ActivateBackend(slug))


@backend.command("list")
@click.option("--json", "as_json", is_flag=True)
def backend_list(as_json: bool) -> None:
    """The backends, with the databases that each has."""
    with connected() as app:
        found = app.repo.writer.read(layout.MAIN, lambda state: list(state.backends()))
    if as_json:
        rows = [
            {"slug": one.slug, "name": one.name, "active": one.active, "databases": list(one.databases)}
            for one in found
        ]
        click.echo(json.dumps(rows))
        return
    for one in found:
        say(one.slug, "active" if one.active else "not active", ", ".join(one.databases), one.name)


@click.group()
def user() -> None:
    """People, their roles and personal access tokens."""


@user.command("add")
@click.argument("name_", metavar="USERNAME")
@click.option("--name", default="")
@click.option("--email", default="", help="Kept in PRIVATE_STORE, never in git.")
@click.option("--github-id", type=click.IntRange(1, 2**63 - 1), help="Whose account it is, as GitHub numbers people.")
@click.option("--role", "roles", multiple=True, type=click.Choice(sorted(role.value for role in GLOBAL_ROLES)))
@acting
def user_add(
    name_: str, name: str, email: str, github_id: int | None, roles: tuple[str, ...], username: str | None
) -> None:
    """Add a person. Without --github-id, whoever has that name on GitHub when they first log in from there."""
    address = check_email(email) if email else ""
    submit(username, AddUser(name_, name, as_roles(roles), github_id))
    place = Settings.from_env().private_store
    if address or place.exists():
        with closing(PrivateStore(place)) as private:
            private.set_email(name_, address)  # none: what is kept under this name is of an earlier account


@user.command("token")
@click.argument("name_", metavar="USERNAME")
@click.option("--label", default="command line")
@acting
def user_token(name_: str, label: str, username: str | None) -> None:
    """Make a personal access token; prints it on the last line."""
    secret, digest = new_token()
    submit(username, AddUserToken(name_, label, digest))
    _show_token(secret)


@user.command("login-link")
@click.argument("name_", metavar="USERNAME")
def user_login_link(name_: str) -> None:
    """Print a URL that logs a person in, once, within 15 minutes."""
    from jobserver.cli.login_link import login_path

    settings = Settings.from_env()
    click.echo(settings.base_url + login_path(settings, name_))


@user.command("revoke-token")
@click.argument("name_", metavar="USERNAME")
@click.argument("label")
@acting
def user_revoke(name_: str, label: str, username: str | None) -> None:
    """End the token of this label, at once."""
    submit(username, RevokeUserToken(name_, label))


@user.command("disable")
@click.argument("name_", metavar="USERNAME")
@acting
def user_disable(name_: str, username: str | None) -> None:
    """Switch a person off, at once."""
    submit(username, DisableUser(name_))


@user.command("enable")
@click.argument("name_", metavar="USERNAME")
@acting
def user_enable(name_: str, username: str | None) -> None:
    """Switch a person on again, with the roles and tokens they had."""
    submit(username, EnableUser(name_))


@click.group()
def workspace() -> None:
    """Workspaces."""


@workspace.command("add")
@click.argument("name")
@click.option("--repo", required=True, help="https URL, or a path inside STUDY_REPOS.")
@click.option("--branch", required=True)
@click.option("--db", default="full", show_default=True)
@click.option("--project", "project_", metavar="ORG/PROJECT")
@acting
def workspace_add(name: str, repo: str, branch: str, db: str, project_: str | None, username: str | None) -> None:
    """Add a workspace: a study's repository, a branch of it, and a database."""
    with connected() as app:
        repo = app.studies.check_repo(repo)
    submit(username, AddWorkspace(name, repo, branch, db, project_))


@workspace.command("connect")
@click.argument("name")
@click.argument("project_", metavar="ORG/PROJECT")
@acting
def workspace_connect(name: str, project_: str, username: str | None) -> None:
    """Put a workspace into a project: its members may then run its jobs."""
    submit(username, ConnectWorkspace(name, project_))


@workspace.command("disconnect")
@click.argument("name")
@acting
def workspace_disconnect(name: str, username: str | None) -> None:
    """Take a workspace out of its project."""
    submit(username, ConnectWorkspace(name, None))
