"""The command workspace."""

from typing import Any

import click

from jobserver.cli.admin import acting, actor_of, connected, submit, via
from jobserver.cli.calls import client, own, reads
from jobserver.cli.terminal.output import list_format, show_rows
from jobserver.domain.base import layout
from jobserver.domain.workspaces import AddWorkspace, ChangeWorkspace, ConnectWorkspace
from jobserver.errors import not_found
from jobserver.service.writes.workspaces import WorkspaceService


def _submit(username: str | None, command: AddWorkspace | ChangeWorkspace) -> None:
    """As `submit`; on the server's machine it also looks up the repository and the branch, as the server does."""
    if client.is_set():
        submit(username, command)
        return
    with connected() as app:
        service, actor = WorkspaceService(app.repo, app.gate, app.studies), actor_of(app, username)
        if isinstance(command, AddWorkspace):
            service.add(actor, command, via())
        else:
            service.change(actor, command, via())


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
    _submit(username, AddWorkspace(name, repo, branch, db, project_))


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


@workspace.command("edit")
@click.argument("name")
@click.option("--repo", help="The study's repository: an https URL, or a path inside STUDY_REPOS.")
@click.option("--branch", help="A branch of the repository.")
@click.option("--db", help="The database to run on.")
@click.option("--notify/--no-notify", default=None, help="Whether new job requests send an email when they end.")
@acting
def workspace_edit(
    name: str, repo: str | None, branch: str | None, db: str | None, notify: bool | None, username: str | None
) -> None:
    """Change a workspace. Job requests that exist keep the values of their time.

    Only administrators may change the repository.
    """
    if (repo, branch, db, notify) == (None, None, None, None):
        raise click.UsageError("name what to change: --repo, --branch, --db, --notify or --no-notify")
    _submit(username, ChangeWorkspace(name, should_notify=notify, repo=repo, branch=branch, db=db))


@workspace.command("archive")
@click.argument("name")
@acting
def workspace_archive(name: str, username: str | None) -> None:
    """Archive a workspace. Nobody can request jobs on it."""
    submit(username, ChangeWorkspace(name, archived=True))


@workspace.command("unarchive")
@click.argument("name")
@acting
def workspace_unarchive(name: str, username: str | None) -> None:
    """Unarchive a workspace."""
    submit(username, ChangeWorkspace(name, archived=False))


@workspace.command("pin")
@click.argument("name")
def workspace_pin(name: str) -> None:
    """Pin a workspace: your lists begin with it. Calls the server JOBSERVER_URL with JOBSERVER_TOKEN."""
    own.pin(name, True)


@workspace.command("unpin")
@click.argument("name")
def workspace_unpin(name: str) -> None:
    """Unpin a workspace. Calls the server JOBSERVER_URL with JOBSERVER_TOKEN."""
    own.pin(name, False)


@workspace.command("list")
@click.option("--project", "project_", metavar="ORG/PROJECT", help="Only the workspaces of this project.")
@list_format
def workspace_list(project_: str | None, form: str | None) -> None:
    """List the workspaces, archived ones too."""
    rows = reads.workspaces(project_) if client.is_set() else _workspaces(project_)
    show_rows(rows, form)


def _workspaces(project_: str | None) -> list[dict[str, Any]]:
    with connected() as app:
        workspaces, project = app.repo.writer.read(
            layout.MAIN,
            lambda state: (list(state.workspaces()), state.project(project_) if project_ is not None else None),
        )
    if project_ is not None and project is None:
        raise not_found(f"project {project_!r} does not exist")
    return [
        {
            "name": workspace.name,
            "archived": workspace.archived,
            "project": workspace.project,
            "repo": workspace.repo,
            "branch": workspace.branch,
            "db": workspace.db,
            "created_by": workspace.created_by,
        }
        for workspace in workspaces
        if project_ is None or workspace.project == project_
    ]
