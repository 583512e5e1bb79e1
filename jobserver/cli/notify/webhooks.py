"""The command webhook: URLs outside that the server calls when something happens."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import click

from jobserver import bootstrap
from jobserver.cli.admin import acting, actor_of, connected
from jobserver.cli.terminal.output import list_format, show_rows
from jobserver.config.settings import Settings
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor, Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.errors import forbidden, invalid, not_found
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.webhooks.client import WebhookClient
from jobserver.service.notify.webhooks.events import trial_event
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
    if added.secret:
        click.echo("This secret is shown only once. The receiver checks signatures with it.", err=True)
        click.echo(added.secret)


def _check_rights(state: Snapshot, actor: Actor, workspace: str | None, project: str | None) -> None:
    """Raises `Error` (not_found or forbidden)."""
    if workspace is not None:
        document = state.workspace(workspace)
        if document is None:
            raise not_found(f"workspace {workspace!r} does not exist")
        project = document.project
    elif project is not None and state.project(project) is None:
        raise not_found(f"project {project!r} does not exist")
    user = state.user(actor.name)
    permissions = permissions_of(state, user, project) if user is not None else frozenset()
    manages = project is not None and Permission.MANAGE_PROJECT_WORKSPACES in permissions
    if not manages and Permission.ADMINISTER not in permissions:
        raise forbidden(f"{actor.name} cannot add this webhook")


@webhook.command("list")
@list_format
def webhook_list(form: str | None) -> None:
    """List the webhooks, without what is secret."""
    with _opened() as webhooks:
        rows = [_row(webhook) for webhook in webhooks.all()]
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
def webhook_remove(number: int) -> None:
    """Remove a webhook, and the calls that wait for it."""
    with _opened() as webhooks:
        webhooks.remove(number)


@webhook.command("test")
@click.argument("number", type=int)
def webhook_test(number: int) -> None:
    """Call a webhook now, with an event of the type `test`."""
    settings = Settings.from_env()
    proxies.check()
    now = bootstrap.now()
    with _opened() as webhooks:
        chosen = webhooks.find(number)
    event = trial_event(settings.base_url, now)
    body = chosen.message(event).content
    WebhookClient(settings.webhook_networks).post(chosen.url, body.encode(), headers(chosen, event.id, body, now))
    click.echo("the receiver accepted it", err=True)
