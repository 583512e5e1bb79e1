"""The commands of administrators: init, backend, user and workspace."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from jobserver import bootstrap
from jobserver.cli.terminal.output import say, warn
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
    with connected() as app:
        app.gate.submit(actor_of(app, username), command, via())


def _show_token(secret: str) -> None:
    click.echo("This token is shown only once. The server stores its SHA-256.", err=True)
    click.echo(secret)


def as_roles(values: tuple[str, ...]) -> tuple[Role, ...]:
    return tuple(Role(value) for value in values)


@click.command()
def init() -> None:
    """Create STATE_REPO, its signing key and the ADMIN_USERS."""
    app = bootstrap.create(Settings.from_env())
    app.close()
    click.echo(f"created {app.settings.state_repo} with the signing key {app.settings.signing_key}")


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
    _show_token(secret)


@backend.command("rotate-token")
@click.argument("slug")
@click.option("--keep-old", is_flag=True, help="Keep the old token valid until `backend revoke-token`.")
@acting
def backend_rotate(slug: str, keep_old: bool, username: str | None) -> None:
    """Replace a backend's token. Prints the new token on the last line. The old one ends at once."""
    secret, digest = new_token()
    submit(username, RotateBackendToken(slug, digest, keep_old))
    _show_token(secret)


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


@backend.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def backend_list(as_json: bool) -> None:
    """List the backends and their databases."""
    with connected() as app:
        backends = app.repo.writer.read(layout.MAIN, lambda state: list(state.backends()))
    if as_json:
        rows = [
            {
                "slug": backend.slug,
                "name": backend.name,
                "active": backend.active,
                "databases": list(backend.databases),
            }
            for backend in backends
        ]
        click.echo(json.dumps(rows))
        return
    for backend in backends:
        say(backend.slug, "active" if backend.active else "not active", ", ".join(backend.databases), backend.name)


@click.group()
def user() -> None:
    """Manage users, their roles and personal access tokens."""


@user.command("add")
@click.argument("name_", metavar="USERNAME")
@click.option("--name", default="", help="Full name.")
@click.option("--email", default="", help="Email address. Stored in PRIVATE_STORE, never in git.")
@click.option("--github-id", type=click.IntRange(1, 2**63 - 1), help="The number of the user's account on GitHub.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(sorted(role.value for role in GLOBAL_ROLES)),
    help="A role. Repeatable.",
)
@acting
def user_add(
    name_: str, name: str, email: str, github_id: int | None, roles: tuple[str, ...], username: str | None
) -> None:
    """Add a user.

    Without --github-id, the account on GitHub that has this username at the first login.
    """
    address = check_email(email) if email else ""
    submit(username, AddUser(name_, name, as_roles(roles), github_id))
    place = Settings.from_env().private_store
    if address or place.exists():
        with closing(PrivateStore(place)) as private:
            private.set_email(name_, address)  # if empty, removes the address of an earlier user with this name


@user.command("token")
@click.argument("name_", metavar="USERNAME")
@click.option("--label", default="command line", show_default=True, help="The token's name.")
@acting
def user_token(name_: str, label: str, username: str | None) -> None:
    """Create a personal access token. Prints it on the last line."""
    secret, digest = new_token()
    submit(username, AddUserToken(name_, label, digest))
    _show_token(secret)


@user.command("login-link")
@click.argument("name_", metavar="USERNAME")
def user_login_link(name_: str) -> None:
    """Print a link that logs a user in. It works once, for 15 minutes."""
    from jobserver.cli.login_link import login_path

    settings = Settings.from_env()
    click.echo(settings.base_url + login_path(settings, name_))


@user.command("revoke-token")
@click.argument("name_", metavar="USERNAME")
@click.argument("label")
@acting
def user_revoke(name_: str, label: str, username: str | None) -> None:
    """Revoke the token with this LABEL."""
    submit(username, RevokeUserToken(name_, label))


@user.command("disable")
@click.argument("name_", metavar="USERNAME")
@acting
def user_disable(name_: str, username: str | None) -> None:
    """Disable a user at once."""
    submit(username, DisableUser(name_))


@user.command("enable")
@click.argument("name_", metavar="USERNAME")
@acting
def user_enable(name_: str, username: str | None) -> None:
    """Enable a user again. Their roles and tokens work as before."""
    submit(username, EnableUser(name_))


@click.group()
def workspace() -> None:
    """Manage workspaces."""


@workspace.command("add")
@click.argument("name")
@click.option("--repo", required=True, help="The study's repository: an https URL, or a path inside STUDY_REPOS.")
@click.option("--branch", required=True, help="A branch of the repository.")
@click.option("--db", default="full", show_default=True, help="The database to run on.")
@click.option("--project", "project_", metavar="ORG/PROJECT", help="The project to connect it to.")
@acting
def workspace_add(name: str, repo: str, branch: str, db: str, project_: str | None, username: str | None) -> None:
    """Add a workspace."""
    with connected() as app:
        repo = app.studies.check_repo(repo)
    submit(username, AddWorkspace(name, repo, branch, db, project_))


@workspace.command("connect")
@click.argument("name")
@click.argument("project_", metavar="ORG/PROJECT")
@acting
def workspace_connect(name: str, project_: str, username: str | None) -> None:
    """Connect a workspace to a project. The project's members can then run its jobs."""
    submit(username, ConnectWorkspace(name, project_))


@workspace.command("disconnect")
@click.argument("name")
@acting
def workspace_disconnect(name: str, username: str | None) -> None:
    """Disconnect a workspace from its project."""
    submit(username, ConnectWorkspace(name, None))
