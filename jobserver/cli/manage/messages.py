"""The command message: what every page shows at its top."""

import json

import click

from jobserver.cli.admin import acting, connected, submit
from jobserver.cli.calls import client, reads
from jobserver.domain.base import layout
from jobserver.domain.site_messages import MessageLevel, SetSiteMessage, SiteMessage


@click.group()
def message() -> None:
    """Show people a message at the top of every page."""


@message.command("set")
@click.argument("text")
@click.option(
    "--level",
    type=click.Choice([level.value for level in MessageLevel]),
    default=MessageLevel.INFO.value,
    show_default=True,
    help="How it looks.",
)
@acting
def message_set(text: str, level: str, username: str | None) -> None:
    """Show this TEXT, instead of the message that is shown now."""
    submit(username, SetSiteMessage(text, level))


@message.command("remove")
@acting
def message_remove(username: str | None) -> None:
    """Show no message."""
    submit(username, SetSiteMessage(""))


@message.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def message_show(as_json: bool) -> None:
    """Print the message that pages show, with its level."""
    if client.is_set():
        shown = SiteMessage.model_validate(reads.message())
    else:
        with connected() as app:
            shown = app.repo.writer.read(layout.MAIN, lambda state: state.site_message()) or SiteMessage(text="")
    if as_json:
        click.echo(json.dumps({"level": shown.level, "text": shown.text}))
    elif shown.text:
        click.echo(f"{shown.level}: {shown.text}")
