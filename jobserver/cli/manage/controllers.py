"""The command rap: the controllers that run the requests of backends."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import click

from jobserver import bootstrap
from jobserver.cli.admin import acting, actor_of, connected, submit, via
from jobserver.cli.calls import changes, client, reads
from jobserver.cli.terminal.output import list_format, show_rows
from jobserver.domain.backends import Backend, ConnectController, DisconnectController
from jobserver.domain.base import layout
from jobserver.domain.base.values import timestamp
from jobserver.domain.job_requests.jobs import RetryRequest
from jobserver.domain.rap.controller import GITHUB
from jobserver.errors import Error, invalid
from jobserver.service.rap.client import ControllerClient
from jobserver.service.writes.job_requests import RequestWithJobs


@click.group()
def rap() -> None:
    """Connect the controllers that run the requests of backends, and see how they are."""


@rap.command("connect")
@click.argument("backend")
@click.argument("url")
@click.option(
    "--database",
    "databases",
    multiple=True,
    metavar="NAME=NAME",
    help="A database here, and its name at the controller. Repeatable. [default: full=default]",
)
@click.option(
    "--repositories",
    default=GITHUB,
    show_default=True,
    metavar="URL",
    help="What the addresses of the repositories that it takes begin with.",
)
@acting
def rap_connect(backend: str, url: str, databases: tuple[str, ...], repositories: str, username: str | None) -> None:
    """Have the controller at URL run the requests of BACKEND. Its token is in the setting RAP_TOKENS.

    URL is the address before /rap/create/, such as https://controller.example.org/controller/v1.
    """
    submit(username, ConnectController(backend, url, _pairs(databases), repositories))


@rap.command("disconnect")
@click.argument("backend")
@acting
def rap_disconnect(backend: str, username: str | None) -> None:
    """Have a runner that calls the server run the requests of BACKEND."""
    submit(username, DisconnectController(backend))


@rap.command("status")
@list_format
def rap_status(form: str | None) -> None:
    """Show whether each controller works. On the server's machine, this asks the controllers."""
    show_rows(reads.controllers() if client.is_set() else _status(), form)


@rap.command("retry")
@click.argument("identifier", metavar="ID")
@acting
def rap_retry(identifier: str, username: str | None) -> None:
    """Ask the controller for request ID again, which it refused or has lost. For SuperUsers.

    It creates the request if it does not have it. Otherwise it reports its jobs.
    """
    if client.is_set():
        changes.run(username, f"job-requests/{quote(identifier, safe='')}/retry/", {})
        return
    with connected() as app:
        backend = app.requests.find(identifier).stored.request.backend
        app.gate.submit(actor_of(app, username), RetryRequest(identifier, backend), via())


def _pairs(texts: Sequence[str]) -> dict[str, str] | None:
    pairs = [text.partition("=") for text in texts]
    if not all(name and there for name, _, there in pairs):
        raise invalid("expected the database here and its name at the controller, such as full=default", "--database")
    return {name: there for name, _, there in pairs} or None


def _status() -> list[dict[str, Any]]:
    with connected() as app:
        backends = app.repo.writer.read(layout.MAIN, lambda state: list(state.backends()))
        active = app.requests.active()
        return [_row(app, backend, active) for backend in backends if backend.active and backend.rap is not None]


def _row(app: bootstrap.App, backend: Backend, active: Sequence[RequestWithJobs]) -> dict[str, Any]:
    assert backend.rap is not None
    requests = [request for request in active if request.stored.request.backend == backend.slug]
    row: dict[str, Any] = {
        "backend": backend.slug,
        "url": backend.rap.url,
        "problem": None,
        "last_seen": None,
        "active_requests": len(requests),
        "not_created": None,
    }
    controller = ControllerClient(backend.rap.url, app.settings.rap_tokens.get(backend.slug, ""))
    try:
        known = {seen.slug: seen for seen in controller.backends()}
        if backend.slug not in known:
            return row | {"problem": "the controller does not know this backend, or not with this token"}
        seen_at = known[backend.slug].last_seen
        status = controller.status([request.stored.request.identifier for request in requests]) if requests else None
    except Error as error:
        return row | {"problem": error.message}
    finally:
        controller.close()
    return row | {
        "last_seen": timestamp(seen_at) if seen_at is not None else None,
        "not_created": list(status.unrecognised_rap_ids) if status is not None else [],
    }
