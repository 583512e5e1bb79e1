"""`jobserver view`, `follow` and `unfollow`: what people keep for themselves, on a server."""

from typing import Any
from urllib.parse import quote

import click

from jobserver.cli.calls.client import ServerClient
from jobserver.cli.terminal.output import list_format, show_rows
from jobserver.domain.base.identifiers import is_request_id
from jobserver.errors import not_found

_CALLS = "Calls the server JOBSERVER_URL with JOBSERVER_TOKEN."


@click.group(help=f"Manage your saved views: named searches of the event log. {_CALLS}")
def view() -> None:
    pass


@view.command("list")
@list_format
def view_list(form: str | None) -> None:
    """List your saved views."""
    with ServerClient.from_env() as server:
        views = _settings(server)["views"]
    show_rows([{"name": name, "query": query} for name, query in views.items()], form)


@view.command("save")
@click.argument("name")
@click.argument("query", nargs=-1, required=True, metavar="QUERY...")
def view_save(name: str, query: tuple[str, ...]) -> None:
    """Save a search, such as `status:failed by:me`, as NAME. Replaces the view of that name."""
    with ServerClient.from_env() as server:
        server.send("PATCH", "settings/", {"views": {**_settings(server)["views"], name: " ".join(query)}})


@view.command("delete")
@click.argument("name")
def view_delete(name: str) -> None:
    """Delete the view NAME."""
    with ServerClient.from_env() as server:
        views = _settings(server)["views"]
        if name not in views:
            raise not_found(f"you have no saved view {name!r}")
        server.send("PATCH", "settings/", {"views": {other: views[other] for other in views if other != name}})


@click.command(help=f"Get an email when a job request, or each request of a workspace, has finished. {_CALLS}")
@click.argument("subject", metavar="ID|WORKSPACE")
def follow(subject: str) -> None:
    _follow("PUT", subject)


@click.command(help=f"Follow a job request or a workspace no longer. {_CALLS}")
@click.argument("subject", metavar="ID|WORKSPACE")
def unfollow(subject: str) -> None:
    _follow("DELETE", subject)


def _follow(method: str, subject: str) -> None:
    kind = "job-requests" if is_request_id(subject) else "workspaces"
    with ServerClient.from_env() as server:
        server.send(method, f"{kind}/{quote(subject, safe='')}/follow/")


def pin(name: str, is_pinned: bool) -> None:
    with ServerClient.from_env() as server:
        others = [other for other in _settings(server)["pinned"] if other != name]
        server.send("PATCH", "settings/", {"pinned": [*others, *([name] if is_pinned else [])]})


def _settings(server: ServerClient) -> dict[str, Any]:
    settings: dict[str, Any] = server.get("settings/").json()
    return settings
