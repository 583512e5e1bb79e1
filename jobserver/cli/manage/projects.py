"""The commands about organisations and projects, with their members and invitations."""

import json
from typing import Any

import click

from jobserver.cli.admin import acting, as_roles, connected, submit, with_roles
from jobserver.cli.calls import client, reads
from jobserver.cli.terminal.output import list_format, say, show_rows
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import PROJECT_ROLES
from jobserver.domain.governance.analysis_scope import scope_json
from jobserver.domain.governance.project_limits import ChangeProject, ProjectStatus
from jobserver.domain.orgs import AddOrg
from jobserver.domain.projects import (
    AcceptInvitation,
    AddProject,
    CancelInvitation,
    InviteToProject,
    Project,
    RenameProject,
    SetOutputApprovals,
    SetProjectMember,
)
from jobserver.errors import not_found
from jobserver.store.read.snapshot import Snapshot

_STATUSES = [status.value for status in ProjectStatus]
_LIMITS = ("number", "status", "end_date", "backends", "runner_types", "analysis_scope", "requires_training")
_SCOPE = {
    "datasets": "dataset_permissions",
    "populations": "population_permissions",
    "components": "component_access",
}


@click.group()
def org() -> None:
    """Manage organisations."""


@org.command("add")
@click.argument("slug")
@click.option("--name", default="", help="The name that people see.")
@acting
def org_add(slug: str, name: str, username: str | None) -> None:
    """Add an organisation."""
    submit(username, AddOrg(slug, name))


@org.command("list")
@list_format
def org_list(form: str | None) -> None:
    """List the organisations."""
    rows = reads.orgs() if client.is_set() else _orgs()
    show_rows(rows, form)


@click.group()
def project() -> None:
    """Manage projects, their members and invitations."""


@project.command("add")
@click.argument("project_", metavar="ORG/PROJECT")
@click.option("--name", default="", help="The name that people see.")
@acting
def project_add(project_: str, name: str, username: str | None) -> None:
    """Add a project to an organisation."""
    submit(username, AddProject(project_, name))


@project.command("member")
@click.argument("project_", metavar="ORG/PROJECT")
@click.argument("member")
@with_roles(PROJECT_ROLES, "A role in the project. Repeatable; without any, the user is no member any more.")
@acting
def project_member(project_: str, member: str, roles: tuple[str, ...], username: str | None) -> None:
    """Set the roles of a member of a project."""
    submit(username, SetProjectMember(project_, member, as_roles(roles)))


@project.command("rename")
@click.argument("project_", metavar="ORG/PROJECT")
@click.argument("name")
@acting
def project_rename(project_: str, name: str, username: str | None) -> None:
    """Rename a project. Its address stays the same."""
    submit(username, RenameProject(project_, name))


@project.command("edit")
@click.argument("project_", metavar="ORG/PROJECT")
@click.option("--number", help="What the project is called outside.")
@click.option(
    "--status",
    type=click.Choice(_STATUSES),
    help="People can request jobs while it is ongoing.",
)
@click.option("--end-date", metavar="DAY", help="The last day on which people can request jobs, such as 2027-03-31.")
@click.option("--backend", "backends", multiple=True, help="A backend that it may use, and no others. Repeatable.")
@click.option(
    "--runner-type", "runner_types", multiple=True, help="An image that may run its actions, and no others. Repeatable."
)
@click.option("--dataset", "datasets", multiple=True, help="A dataset that it may use beyond the usual. Repeatable.")
@click.option("--population", "populations", multiple=True, help="A population, likewise. Repeatable.")
@click.option("--component", "components", multiple=True, help="A component, likewise. Repeatable.")
@click.option("--training/--no-training", "requires_training", default=None, help="Whether members must be trained.")
@acting
def project_edit(project_: str, username: str | None, **options: Any) -> None:
    """Change what a project may use, and until when. "" removes a value: --end-date "" or --backend "".

    Only people who manage all projects can do this.
    """
    scope = {key: options.pop(option) for option, key in _SCOPE.items()}
    values = {key: value for key, value in options.items() if value not in (None, ())}
    lists = {key: tuple(filter(None, value)) for key, value in scope.items() if value}
    for key in ("backends", "runner_types"):
        if key in values:
            values[key] = tuple(filter(None, values[key]))
    values = {key: value if value not in ("", ()) else None for key, value in values.items()}
    submit(username, ChangeProject(project_, values | ({"analysis_scope": lists} if lists else {})))


@project.command("approvals")
@click.argument("project_", metavar="ORG/PROJECT")
@click.argument("number", type=click.Choice(["1", "2", "3", "default"]))
@acting
def project_approvals(project_: str, number: str, username: str | None) -> None:
    """Set how many people must approve each file that leaves a backend. Needs the role GovernanceReviewer."""
    submit(username, SetOutputApprovals(project_, None if number == "default" else int(number)))


@project.command("invite")
@click.argument("project_", metavar="ORG/PROJECT")
@click.argument("guests", metavar="USERNAME...", nargs=-1, required=True)
@with_roles(PROJECT_ROLES, "A role that they get if they accept. Repeatable; at least one.")
@acting
def project_invite(project_: str, guests: tuple[str, ...], roles: tuple[str, ...], username: str | None) -> None:
    """Invite users to a project."""
    submit(username, InviteToProject(project_, guests, as_roles(roles)))


@project.command("cancel-invitation")
@click.argument("project_", metavar="ORG/PROJECT")
@click.argument("guest", metavar="USERNAME")
@acting
def project_cancel_invitation(project_: str, guest: str, username: str | None) -> None:
    """Cancel an invitation, or decline it with --as the invited user."""
    submit(username, CancelInvitation(project_, guest))


@project.command("accept")
@click.argument("project_", metavar="ORG/PROJECT")
@acting
def project_accept(project_: str, username: str | None) -> None:
    """Accept an invitation, with --as the invited user."""
    submit(username, AcceptInvitation(project_))


@project.command("show")
@click.argument("project_", metavar="ORG/PROJECT")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def project_show(project_: str, as_json: bool) -> None:
    """Show a project's members, pending invitations and workspaces."""
    shown, workspaces = reads.project(project_) if client.is_set() else _project(project_)
    if as_json:
        keys = ("slug", "name", "org", "members", "invitations", *_LIMITS)
        click.echo(json.dumps({**{key: shown[key] for key in keys if key in shown}, "workspaces": workspaces}))
        return
    say(project_, shown["name"])
    for key in _LIMITS:
        if value := shown.get(key):
            say(key, _in_words(value))
    for member in shown["members"]:
        say("member", member["username"], ", ".join(member["roles"]))
    for invitation in shown.get("invitations", ()):
        by = f"by {invitation['invited_by']}"
        say("invited", invitation["username"], ", ".join(invitation["roles"]), by)
    for name in workspaces:
        say("workspace", name)


def _in_words(value: Any) -> str:
    if value is True:
        return "yes"
    if isinstance(value, dict):
        return "; ".join(f"{key} {_in_words(names)}" for key, names in value.items() if names)
    return ", ".join(value) if isinstance(value, list | tuple) else str(value)


def _project(name: str) -> tuple[dict[str, Any], list[str]]:
    def read(state: Snapshot) -> tuple[Project | None, list[str]]:
        paths = state.referrers(layout.Kind.PROJECT, name)
        return state.project(name), [path.split("/")[1].removesuffix(".yaml") for path in paths]

    with connected() as app:
        project, workspaces = app.repo.writer.read(layout.MAIN, read)
    if project is None:
        raise not_found(f"Project {name} does not exist")
    shown = project.model_dump(mode="json")
    shown |= {"status": project.status or ProjectStatus.ONGOING, "requires_training": bool(project.requires_training)}
    return {**shown, "analysis_scope": scope_json(project.analysis_scope)}, workspaces


@project.command("list")
@list_format
def project_list(form: str | None) -> None:
    """List the projects and their members."""
    rows = reads.projects() if client.is_set() else _projects()
    show_rows(rows, form)


def _orgs() -> list[dict[str, Any]]:
    with connected() as app:
        orgs = app.repo.writer.read(layout.MAIN, lambda state: list(state.orgs()))
    return [
        {"slug": org.slug, "members": [member.username for member in org.members], "name": org.name} for org in orgs
    ]


def _projects() -> list[dict[str, Any]]:
    with connected() as app:
        projects = app.repo.writer.read(layout.MAIN, lambda state: list(state.projects()))
    return [
        {
            "project": f"{project.org}/{project.slug}",
            "members": [member.username for member in project.members],
            "name": project.name,
        }
        for project in projects
    ]
