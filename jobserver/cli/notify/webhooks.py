"""The command webhook: URLs outside that the server calls when something happens."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from jobserver import bootstrap
from jobserver.cli.admin import acting, actor_of, connected
from jobserver.cli.calls import changes, client, reads
from jobserver.cli.terminal.output import list_format, show_rows
from jobserver.config.settings import Settings
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor
from jobserver.errors import forbidden, invalid, not_found
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.webhooks.client import WebhookClient
from jobserver.service.notify.webhooks.events import trial_event
from jobserver.service.notify.webhooks.of_workspace import may_manage
from jobserver.service.notify.webhooks.store import EVENTS, FINISHED, Webhook, Webhooks, headers
from jobserver.store import proxies
from jobserver.store.read.snapshot import Snapshot

_BACKEND_EVENTS = tuple(event for event in EVENTS if event.startswith("backend."))


@contextmanager
def _opened() -> Iterator[Webhooks]:
    with closing(PrivateStore(Settings.from_env().private_store)) as private:
        yield Webhooks(private)


@click.group()
def webhook() -> None:
    """Manage webhooks: URLs outside that the server calls when something happens."""


@webhook.command("add")
@click.argument("url")
@click.option("--workspace", help="Job requests of this workspace.")
@click.option("--project", metavar="ORG/PROJECT", help="Job requests of this project's workspaces.")
@click.option("--all", "all_", is_flag=True, help="All job requests, and the backends.")
@click.option("--event", "events", multiple=True, type=click.Choice(EVENTS), help=f"Repeatable. [default: {FINISHED}]")
@click.option("--slack", is_flag=True, help="URL is an incoming webhook of Slack.")
@acting
def webhook_add(
    url: str,
    workspace: str | None,
    project: str | None,
    all_: bool,
    events: tuple[str, ...],
    slack: bool,
    username: str | None,
) -> None:
    """Add a webhook. Prints its signing secret on the last line.

    For SuperUsers, and for people who manage the project's workspaces.
    """
    scopes = [f"workspace/{workspace}"] * bool(workspace) + [f"project/{project}"] * bool(project) + ["all"] * all_
    if len(scopes) != 1:
        raise invalid("expected one of --workspace, --project and --all")
    if scopes != ["all"] and (wrong := [event for event in events if event in _BACKEND_EVENTS]):
        raise invalid(f"{', '.join(wrong)}: backends belong to no workspace or project: use --all")
    if client.is_set():
        _add_by_call(username, workspace, {"url": url, "kind": "slack" if slack else None, "event": _only(events)})
        return
    with connected() as app, closing(PrivateStore(app.settings.private_store)) as private:
        actor = actor_of(app, username)
        app.repo.writer.read(layout.MAIN, lambda state: _check_rights(state, actor, workspace, project))
        proxies.check()
        WebhookClient(app.settings.webhook_networks).check(url)
        private.start_notifying(app.repo.writer.refs.branches())
        added = Webhooks(private).add(
            "slack" if slack else "standard", url, scopes[0], events or (FINISHED,), actor.name, bootstrap.now()
        )
    click.echo(f"added webhook {added.number}; try it with `jobserver webhook test {added.number}`", err=True)
    _show_secret(added.secret)


def _add_by_call(username: str | None, workspace: str | None, fields: Mapping[str, Any]) -> None:
    if workspace is None:
        raise invalid(f"can't be used with {client.URL}: only --workspace can", "--project and --all")
    changes.refuse_other_users(username)
    with client.ServerClient.from_env() as server:
        added = server.send("POST", _path(workspace), fields)
    click.echo(f"added webhook {added['number']}", err=True)
    _show_secret(added["secret"])


def _only(events: tuple[str, ...]) -> str | None:
    if len(events) > 1:
        raise invalid(f"can be given once with {client.URL}", "--event")
    return events[0] if events else None


def _path(workspace: str) -> str:
    return f"workspaces/{quote(workspace, safe='')}/webhooks/"


def _show_secret(secret: str | None) -> None:
    if secret:
        click.echo("This secret is shown only once. The receiver checks signatures with it.", err=True)
        click.echo(secret)


def _check_rights(state: Snapshot, actor: Actor, workspace: str | None, project: str | None) -> None:
    """Raises `Error` (not_found or forbidden)."""
    if workspace is not None:
        document = state.workspace(workspace)
        if document is None:
            raise not_found(f"workspace {workspace!r} does not exist")
        project = document.project
    elif project is not None and state.project(project) is None:
        raise not_found(f"project {project!r} does not exist")
    if not may_manage(state, state.user(actor.name), project):
        raise forbidden(f"{actor.name} cannot add this webhook")


@webhook.command("list")
@click.option("--workspace", help="Only those of this workspace. Required with JOBSERVER_URL.")
@list_format
def webhook_list(workspace: str | None, form: str | None) -> None:
    """List the webhooks, without what is secret."""
    if client.is_set():
        show_rows(reads.webhooks(_required(workspace)), form)
        return
    with _opened() as webhooks:
        rows = [_row(hook) for hook in webhooks.all() if workspace is None or hook.scope == f"workspace/{workspace}"]
    show_rows(rows, form)


def _row(webhook: Webhook) -> dict[str, object]:
    return {
        "number": webhook.number,
        "kind": webhook.kind,
        "scope": webhook.scope,
        "events": list(webhook.events),
        "url": webhook.shown_url,
        "created_by": webhook.created_by,
        "created_at": datetime.fromtimestamp(webhook.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


@webhook.command("remove")
@click.argument("number", type=int)
@click.option("--workspace", help="The workspace that it belongs to. Required with JOBSERVER_URL.")
def webhook_remove(number: int, workspace: str | None) -> None:
    """Remove a webhook, and the calls that wait for it."""
    if client.is_set():
        with client.ServerClient.from_env() as server:
            server.send("DELETE", f"{_path(_required(workspace))}{number}/")
        return
    with _opened() as webhooks:
        webhooks.remove(number)


def _required(workspace: str | None) -> str:
    """Raises `Error` (invalid)."""
    if workspace is None:
        raise invalid(f"required with {client.URL}", "--workspace")
    return workspace


@webhook.command("test")
@click.argument("number", type=int)
def webhook_test(number: int) -> None:
    """Call a webhook now, with an event of the type `test`."""
    if client.is_set():
        raise invalid("is set, but this command works on the server's machine only: unset it there", client.URL)
    settings = Settings.from_env()
    proxies.check()
    now = bootstrap.now()
    with _opened() as webhooks:
        chosen = webhooks.find(number)
    event = trial_event(settings.base_url, now)
    body = chosen.message(event).content
    WebhookClient(settings.webhook_networks).post(chosen.url, body.encode(), headers(chosen, event.id, body, now))
    click.echo("the receiver accepted it", err=True)
