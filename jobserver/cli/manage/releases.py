"""The command release."""

from typing import Any

import click

from jobserver import bootstrap
from jobserver.cli.admin import connected
from jobserver.cli.calls import client, reads
from jobserver.cli.terminal.output import list_format, show_rows
from jobserver.domain.base import layout
from jobserver.domain.base.values import timestamp
from jobserver.errors import invalid, not_found
from jobserver.store.read.snapshot import Snapshot


@click.group()
def release() -> None:
    """Show the released files of workspaces."""


@release.command("list")
@click.argument("workspace", required=False)
@list_format
def release_list(workspace: str | None, form: str | None) -> None:
    """List the releases of WORKSPACE, or of all workspaces, the newest of each first."""

    rows = reads.releases(workspace) if client.is_set() else _releases(workspace)
    show_rows(rows, form)


def _releases(workspace: str | None) -> list[dict[str, Any]]:
    def read(state: Snapshot) -> tuple[list[str], list[str]]:
        names = [document.name for document in state.workspaces() if workspace in (None, document.name)]
        return names, [backend.slug for backend in state.backends()]

    with connected() as app:
        store = bootstrap.release_store(app.settings)
        names, slugs = app.repo.writer.read(layout.MAIN, read)
    if store is None:
        raise invalid("is not set, so this server has no released files", "RELEASE_STORAGE")
    if workspace is not None and not names:
        raise not_found(f"workspace {workspace!r} does not exist")
    return [
        {
            "workspace": stored.release.workspace,
            "identifier": stored.release.identifier,
            "backend": stored.backend,
            "user": stored.release.user,
            "received_at": timestamp(stored.received_at),
            "files": stored.release.files,
            "size": stored.release.size,
            "commit": stored.commit,
        }
        for name in names
        for stored in store.of_workspace(name, slugs)
    ]
