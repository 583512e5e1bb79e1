"""`jobserver log`: the job requests, or the jobs, that match a search."""

from collections.abc import Mapping
from typing import Any

import click

from jobserver.cli.calls.client import ServerClient
from jobserver.cli.terminal.output import list_format, show_rows


@click.command()
@click.argument("query", nargs=-1, metavar="[QUERY...]")
@click.option("--jobs", "of_jobs", is_flag=True, help="List the jobs of the requests.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=25, show_default=True, help="At most this many.")
@list_format
def log(query: tuple[str, ...], of_jobs: bool, limit: int, form: str | None) -> None:
    """List job requests, also finished ones, newest first. Calls the server JOBSERVER_URL with JOBSERVER_TOKEN.

    QUERY is that of the event log, such as `status:failed by:me workspace:trends since:7d`.
    """
    with ServerClient.from_env() as server:
        items = server.items("jobs/" if of_jobs else "job-requests/", {"q": " ".join(query)}, limit)
        rows = [(_job_row if of_jobs else _request_row)(item) for item in items]
    show_rows(rows, form)


def _request_row(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "identifier": item["identifier"],
        "created_at": item["created_at"],
        "outcome": item["outcome"],
        "workspace": item["workspace"]["name"],
        "backend": item["backend"],
        "created_by": item["created_by"],
        "succeeded": item["succeeded_count"],
        "jobs": item["job_count"],
        "requested_actions": item["requested_actions"],
        "sha": item["sha"],
    }


def _job_row(item: Mapping[str, Any]) -> dict[str, Any]:
    same = ("job_request", "identifier", "workspace", "backend", "action", "outcome", "status_code")
    times = ("created_at", "started_at", "completed_at")
    return {key: item[key] for key in (*same, *times, "status_message")}
