"""The command user: accounts, their roles and personal access tokens."""

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

import click

from jobserver import bootstrap
from jobserver.cli.admin import acting, as_roles, connected, show_token, submit, with_roles
from jobserver.cli.calls import changes, client, reads
from jobserver.cli.terminal.output import list_format, say, show_rows
from jobserver.config.settings import Settings
from jobserver.domain.accounts import oidc_id
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import GLOBAL_ROLES
from jobserver.domain.base.values import timestamp
from jobserver.domain.members import Member
from jobserver.domain.tokens import Scope
from jobserver.domain.users import (
    AddUser,
    AddUserToken,
    ChangeUser,
    DisableUser,
    EnableUser,
    RevokeUserToken,
    SetUserRoles,
    User,
)
from jobserver.errors import invalid, not_found
from jobserver.service.accounts.private_store import PrivateStore, check_email
from jobserver.service.accounts.tokens import new_token, parse_expiry
from jobserver.store.read.snapshot import Snapshot


@click.group()
def user() -> None:
    """Manage users, their roles and personal access tokens."""


@user.command("add")
@click.argument("name_", metavar="USERNAME")
@click.option("--name", default="", help="Full name.")
@click.option("--email", default="", help="Email address. Stored in PRIVATE_STORE, never in git.")
@click.option("--github-id", type=click.IntRange(1, 2**63 - 1), help="The number of the user's account on GitHub.")
@click.option("--oidc-subject", metavar="SUBJECT", help="The user's `sub` at the OpenID Connect provider, OIDC_ISSUER.")
@with_roles(GLOBAL_ROLES, "A role. Repeatable.")
@acting
def user_add(
    name_: str,
    name: str,
    email: str,
    github_id: int | None,
    oidc_subject: str | None,
    roles: tuple[str, ...],
    username: str | None,
) -> None:
    """Add a user.

    Without --github-id, the account on GitHub that has this username at the first login.
    """
    address = check_email(email) if email else ""
    if client.is_set():
        if email or oidc_subject:
            raise invalid(
                f"can't be used with {client.URL}: add it on the server's machine", "--email or --oidc-subject"
            )
        submit(username, AddUser(name_, name, as_roles(roles), github_id))
        return
    settings = Settings.from_env()
    if oidc_subject and not settings.oidc_issuer:
        raise invalid("required by --oidc-subject but not set", "OIDC_ISSUER")
    identifier = oidc_id(settings.oidc_issuer, oidc_subject) if oidc_subject else None
    submit(username, AddUser(name_, name, as_roles(roles), github_id, identifier))
    place = settings.private_store
    if address or place.exists():
        with closing(PrivateStore(place)) as private:
            private.forget(name_)
            private.set_email(name_, address)


@user.command("email")
@click.argument("name_", metavar="USERNAME")
@click.argument("address")
def user_email(name_: str, address: str) -> None:
    """Set the email ADDRESS of a user; "" removes it. Stored in PRIVATE_STORE, never in git."""
    checked = check_email(address) if address else ""
    if client.is_set():
        changes.set_email(name_, checked)
        return
    with connected() as app:
        if app.repo.writer.read(layout.MAIN, lambda state: state.user(name_)) is None:
            raise not_found(f"user {name_!r} does not exist")
        with closing(PrivateStore(app.settings.private_store)) as private:
            private.set_email(name_, checked)


@user.command("token")
@click.argument("name_", metavar="USERNAME")
@click.option("--label", default="command line", show_default=True, help="The token's name.")
@click.option("--expires", default="", metavar="WHEN", help="After days, such as 90d, or after a day: 2027-03-31.")
@click.option(
    "--scope", type=click.Choice([scope.value for scope in Scope]), help="What it can be used for. [default: admin]"
)
@acting
def user_token(name_: str, label: str, expires: str, scope: str | None, username: str | None) -> None:
    """Create a personal access token. Prints it on the last line.

    With the scope `read`, a token can read. With `request`, it can also request and cancel jobs. With `admin`, it can
    do everything that the user may do.
    """
    secret, digest = new_token()
    expires_at = parse_expiry(expires, bootstrap.now()) if expires else None
    submit(username, AddUserToken(name_, label, digest, expires_at, Scope(scope) if scope else None))
    show_token(secret)


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


@user.command("role")
@click.argument("name_", metavar="USERNAME")
@with_roles(GLOBAL_ROLES, "A role. Repeatable; without any, the user has no role any more.")
@acting
def user_role(name_: str, roles: tuple[str, ...], username: str | None) -> None:
    """Set the roles that a user has everywhere. They replace the roles that the user has now."""
    submit(username, SetUserRoles(name_, as_roles(roles)))


@user.command("edit")
@click.argument("name_", metavar="USERNAME")
@click.option("--backend", "backends", multiple=True, help="A backend that they may use, and no others. Repeatable.")
@click.option("--trained-until", metavar="DAY", help="The last day on which their training counts.")
@acting
def user_edit(name_: str, backends: tuple[str, ...], trained_until: str | None, username: str | None) -> None:
    """Change what a user may use, and until when. "" removes a value: --trained-until "" or --backend ""."""
    values: dict[str, Any] = {"backends": tuple(filter(None, backends)) or None} if backends else {}
    if trained_until is not None:
        values["trained_until"] = trained_until or None
    submit(username, ChangeUser(name_, values))


@user.command("list")
@list_format
def user_list(form: str | None) -> None:
    """List the users and their roles."""
    rows = reads.users() if client.is_set() else _users()
    show_rows(rows, form)


@user.command("show")
@click.argument("name_", metavar="USERNAME")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def user_show(name_: str, as_json: bool) -> None:
    """Show a user: roles, GitHub account, memberships and the labels of their tokens."""

    def read(state: Snapshot) -> tuple[User | None, dict[str, list[str]], dict[str, list[str]]]:
        orgs = {org.slug: _roles_in(org.members, name_) for org in state.orgs()}
        projects = {f"{project.org}/{project.slug}": _roles_in(project.members, name_) for project in state.projects()}
        return state.user(name_), orgs, projects

    if client.is_set():
        _show_user(reads.user(name_), as_json)
        return
    with connected() as app:
        user, orgs, projects = app.repo.writer.read(layout.MAIN, read)
    if user is None:
        raise not_found(f"user {name_!r} does not exist")
    memberships = {
        kind: {name: roles for name, roles in roles_by_name.items() if roles}
        for kind, roles_by_name in (("orgs", orgs), ("projects", projects))
    }
    tokens = [
        {
            "label": token.label,
            "created_at": timestamp(token.created_at),
            "expires_at": timestamp(token.expires_at) if token.expires_at else None,
            "scope": token.scope or Scope.ADMIN,
        }
        for token in user.tokens
    ]
    fields = {
        "username": user.username,
        "name": user.name,
        "active": user.active,
        "roles": [role.value for role in user.roles],
        "github_id": user.github_id,
        "backends": user.backends,
        "trained_until": user.trained_until,
    }
    _show_user({**fields, **memberships, "tokens": tokens}, as_json)


def _show_user(fields: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(fields))
        return
    state = "active" if fields["active"] else "disabled"
    say(fields["username"], state, ", ".join(fields["roles"]), fields["name"])
    if fields.get("github_id") is not None:
        say("github", str(fields["github_id"]))
    if fields.get("backends"):
        say("backends", ", ".join(fields["backends"]))
    if fields.get("trained_until"):
        say("trained until", fields["trained_until"])
    for kind in ("orgs", "projects"):
        for name, roles in fields[kind].items():
            say(kind.removesuffix("s"), name, ", ".join(roles))
    for token in fields.get("tokens", ()):
        expiry = f"expires {token['expires_at']}" if token["expires_at"] else "does not expire"
        say("token", str(token["label"]), f"created {token['created_at']}", expiry, f"scope {token['scope']}")


def _roles_in(members: Iterable[Member], username: str) -> list[str]:
    return [role.value for member in members if member.username == username for role in member.roles]


def _users() -> list[dict[str, Any]]:
    with connected() as app:
        users = app.repo.writer.read(layout.MAIN, lambda state: list(state.users()))
    return [
        {"username": user.username, "active": user.active, "roles": list(user.roles), "name": user.name}
        for user in users
    ]
