"""The command outbox: the messages that wait to be sent."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import click

from jobserver import bootstrap
from jobserver.cli.terminal.output import list_format, show_rows
from jobserver.config.settings import Settings
from jobserver.errors import invalid, not_found
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.outbox import Outbox, QueuedMessage


@contextmanager
def _opened() -> Iterator[Outbox]:
    with closing(PrivateStore(Settings.from_env().private_store)) as private:
        yield Outbox(private, bootstrap.now)


@click.group()
def outbox() -> None:
    """List, retry or drop the emails and webhook calls that wait to be sent."""


@outbox.command("list")
@list_format
def outbox_list(form: str | None) -> None:
    """List the messages, with their next attempt, and why the last one failed."""
    with _opened() as queue:
        rows = [_row(message) for message in queue.messages()]
    show_rows(rows, form)


@outbox.command("retry")
@click.argument("numbers", metavar="NUMBER...", nargs=-1, type=int)
@click.option("--all", "all_", is_flag=True, help="All messages.")
def outbox_retry(numbers: tuple[int, ...], all_: bool) -> None:
    """Send messages now, also those that were given up. A running server sends them within seconds."""
    with _opened() as queue:
        chosen = _chosen(numbers, [message.number for message in queue.messages()] if all_ else None)
        count = queue.retry(chosen)
    _report(count, chosen, "will be sent now")


@outbox.command("drop")
@click.argument("numbers", metavar="NUMBER...", nargs=-1, type=int)
@click.option("--all", "all_", is_flag=True, help="All messages that were given up.")
def outbox_drop(numbers: tuple[int, ...], all_: bool) -> None:
    """Delete messages without sending them."""
    with _opened() as queue:
        given_up = [message.number for message in queue.messages() if message.is_given_up]
        chosen = _chosen(numbers, given_up if all_ else None)
        count = queue.drop(chosen)
    _report(count, chosen, "deleted")


def _chosen(numbers: tuple[int, ...], everything: list[int] | None) -> list[int]:
    if bool(numbers) == (everything is not None):
        raise invalid("expected the numbers of messages, or --all")
    return list(numbers) if everything is None else everything


def _report(count: int, chosen: list[int], result: str) -> None:
    if count < len(chosen):
        raise not_found(f"{len(chosen) - count} of {len(chosen)} messages are not in the outbox; {count} {result}")
    click.echo(f"{count} {result}", err=True)


def _row(queued: QueuedMessage) -> dict[str, object]:
    return {
        "number": queued.number,
        "receiver": queued.message.receiver,
        "subject": queued.message.subject,
        "queued_at": _time(queued.queued_at),
        "attempts": queued.attempts,
        "next_attempt_at": None if queued.is_given_up else _time(queued.due),
        "given_up": queued.is_given_up,
        "problem": queued.problem,
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
