"""The command release."""

import json
from collections.abc import Callable
from typing import Any

import click

from jobserver import bootstrap
from jobserver.audit.checked_release_check import checked_releases
from jobserver.cli.admin import acting, actor_of, connected, submit, via
from jobserver.cli.calls import changes, client, reads
from jobserver.cli.terminal.output import list_format, say, show_rows
from jobserver.domain.base import layout
from jobserver.domain.base.values import timestamp
from jobserver.domain.outputs.approvals import Standing, file_groups, release_state
from jobserver.domain.outputs.commands import ReviewRelease, WithdrawRelease
from jobserver.domain.outputs.documents import CheckedRelease, Decision
from jobserver.domain.outputs.publications import (
    ApprovePublication,
    EndPublication,
    RequestPublication,
    RequestUnpublication,
)
from jobserver.domain.plan import Command as DomainCommand
from jobserver.errors import invalid, not_found
from jobserver.service.releases.checked import CheckedReleaseService, ReleaseName
from jobserver.store.checked_files import CheckedFileStore
from jobserver.store.read.snapshot import Snapshot
from jobserver.web.api.outputs.items import release_item

_VERBS: dict[str, Decision] = {"approve": "approved", "reject": "rejected", "return": "returned"}


class _ReleaseParam(click.ParamType[ReleaseName]):
    name = "workspace/backend/id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ReleaseName:
        if isinstance(value, ReleaseName):
            return value
        workspace, _, rest = str(value).partition("/")
        backend, _, identifier = rest.partition("/")
        if not identifier:
            self.fail(f"expected WORKSPACE/BACKEND/ID, as `jobserver release list` shows it, found {value!r}")
        return ReleaseName(backend, workspace, identifier)


def _named(command: Callable[..., None]) -> Callable[..., None]:
    return click.argument("name", type=_ReleaseParam(), metavar="WORKSPACE/BACKEND/ID")(command)


def _with_files(help_: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option("--file", "files", multiple=True, metavar="PATH", help=f"{help_} Repeatable.")


@click.group()
def release() -> None:
    """Show, review, withdraw and publish the released files of workspaces."""


@release.command("list")
@click.argument("workspace", required=False)
@list_format
def release_list(workspace: str | None, form: str | None) -> None:
    """List the releases of WORKSPACE, or of all workspaces, the newest of each first.

    A release that one backend vouches for has no approvals of people.
    """

    rows = reads.releases(workspace) if client.is_set() else _releases(workspace)
    show_rows(rows, form)


def _releases(workspace: str | None) -> list[dict[str, Any]]:
    def read(state: Snapshot) -> tuple[list[str], list[str]]:
        names = [document.name for document in state.workspaces() if workspace in (None, document.name)]
        return names, [backend.slug for backend in state.backends()]

    def read_checked(state: Snapshot) -> list[dict[str, Any]]:
        return [_checked_row(release, state) for release in documents]

    with connected() as app:
        store = bootstrap.release_store(app.settings)
        names, slugs = app.repo.writer.read(layout.MAIN, read)
        documents = [release for _, release in checked_releases(app.repo.path, app.repo.writer.refs.branches())]
        checked = app.repo.writer.read(layout.MAIN, read_checked)
    if store is None:
        raise invalid("is not set, so this server has no released files", "RELEASE_STORAGE")
    if workspace is not None and not names:
        raise not_found(f"workspace {workspace!r} does not exist")
    vouched = [
        {
            "workspace": stored.release.workspace,
            "identifier": stored.release.identifier,
            "backend": stored.backend,
            "user": stored.release.user,
            "received_at": timestamp(stored.received_at),
            "files": stored.release.files,
            "size": stored.release.size,
            "commit": stored.commit,
            "state": reads.VOUCHED,
        }
        for name in names
        for stored in store.of_workspace(name, slugs)
    ]
    return reads.newest_first([*vouched, *(row for row in checked if row["workspace"] in names)])


def _checked_row(release: CheckedRelease, state: Snapshot) -> dict[str, Any]:
    return {
        "workspace": release.workspace,
        "identifier": release.identifier,
        "backend": release.backend,
        "user": release.author,
        "received_at": timestamp(release.created_at),
        "files": len(release.files),
        "size": sum(file.size for file in release.files),
        "commit": "",
        "state": release_state(file_groups(release), Standing.of(state, release)).value,
    }


@release.command("show")
@_named
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def release_show(name: ReleaseName, as_json: bool) -> None:
    """Show a release: its files with their states and approvals, and what was decided."""
    item = reads.checked_release(*name.parts) if client.is_set() else _item(name)
    if as_json:
        click.echo(json.dumps(item))
        return
    say(f"{item['state']}: {len(item['files'])} files of {item['workspace']}, asked for by {item['author']}")
    for file in item["files"]:
        approvals = f"{len(file['approved_by'])} of {item['required_approvals']} approvals"
        people = ", ".join(file["approved_by"])
        say(f"  {file['state']:<12} {file['path']}  {approvals}{f' ({people})' if people else ''}")
    for review in item["reviews"]:
        which = f"{len(review['files'])} files" if review["files"] else "all files"
        comment = f": {review['comment']}" if review["comment"] else ""
        say(f"  {review['at']}  {review['by']} {review['decision']} {which}{comment}")


def _submit(username: str | None, command_of: Callable[[str], DomainCommand]) -> None:
    """As `submit`, for a command that names the person."""
    if client.is_set():
        changes.submit(username, command_of(""))
        return
    with connected() as app:
        actor = actor_of(app, username)
        app.gate.submit(actor, command_of(actor.name), via())


def _item(name: ReleaseName) -> dict[str, Any]:
    with connected() as app:

        def read(state: Snapshot) -> dict[str, Any] | None:
            document = state.release(name.workspace, name.identifier)
            return release_item(document, state) if document is not None else None

        is_known = layout.is_release(name.workspace, name.identifier)
        branch = layout.backend_branch(name.backend)
        is_known = is_known and branch in app.repo.writer.refs.branches()
        item = app.repo.writer.read(branch, read) if is_known else None
    if item is None:
        raise not_found(f"release {name.identifier!r} does not exist")
    return item


@release.command("review")
@_named
@click.argument("decision", type=click.Choice(list(_VERBS)))
@click.option("--comment", default="", help="What you say about it.")
@_with_files("Only this file.")
@acting
def release_review(
    name: ReleaseName, decision: str, comment: str, files: tuple[str, ...], username: str | None
) -> None:
    """Approve or reject files of a release, or return it to its author."""
    _submit(username, lambda person: ReviewRelease(*name.parts, person, _VERBS[decision], comment, files))


@release.command("withdraw")
@_named
@click.option("--reason", required=True, help="Why. It stays in the record.")
@_with_files("Only this file.")
@acting
def release_withdraw(name: ReleaseName, reason: str, files: tuple[str, ...], username: str | None) -> None:
    """Withdraw files, or without --file the whole release. Their bytes are erased; the record stays."""
    if client.is_set():
        _submit(username, lambda person: WithdrawRelease(*name.parts, person, reason, files))
        return
    with connected() as app:
        store = bootstrap.release_store(app.settings)
        if store is None:
            raise invalid("is not set, so this server has no released files", "RELEASE_STORAGE")
        service = CheckedReleaseService(CheckedFileStore(store.root), app.repo, app.gate, bootstrap.now)
        actor = actor_of(app, username)
        service.withdraw(actor, name, actor.name, reason, via(), files)


@release.command("request-publication")
@_named
@click.option("--comment", default="", help="What you say about it.")
@_with_files("Only this file.")
@acting
def release_request_publication(name: ReleaseName, comment: str, files: tuple[str, ...], username: str | None) -> None:
    """Ask that anybody may read released files: all, or those of --file."""
    submit(username, RequestPublication(*name.parts, files, comment))


@release.command("publish")
@_named
@acting
def release_publish(name: ReleaseName, username: str | None) -> None:
    """Publish what somebody else asked to publish."""
    submit(username, ApprovePublication(*name.parts))


@release.command("request-unpublication")
@_named
@click.option("--comment", default="", help="What you say about it.")
@acting
def release_request_unpublication(name: ReleaseName, comment: str, username: str | None) -> None:
    """Ask a publisher to end a publication."""
    submit(username, RequestUnpublication(*name.parts, comment))


@release.command("unpublish")
@_named
@click.option("--reason", required=True, help="Why. It stays in the record.")
@acting
def release_unpublish(name: ReleaseName, reason: str, username: str | None) -> None:
    """End a publication, or decline one that was asked for."""
    submit(username, EndPublication(*name.parts, reason))
