"""`jobserver watch`: follows a job request in the terminal until it ends."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from jobserver.cli.calls.client import ServerClient
from jobserver.cli.terminal.output import say, show_error, warn
from jobserver.domain.job_requests import outcomes
from jobserver.errors import Code, Error

FAILED, CANCELLED, LOST = 1, 4, 5
"""Exit codes. 2 and 3 are those of wrong usage and of bugs, as everywhere."""
_WAIT_SECONDS = 50
_PATIENCE_SECONDS = 600.0  # without an answer
_RETRY_SECONDS = 5.0
_LOSSES = (Code.UNAVAILABLE, Code.TOO_MANY)


@click.command()
@click.argument("identifier", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the request as one JSON object a line, at each change.")
@click.option("--quiet", is_flag=True, help="Print nothing until the end.")
def watch(identifier: str, as_json: bool, quiet: bool) -> None:
    """Follow a job request until it ends. Calls the server JOBSERVER_URL with the token JOBSERVER_TOKEN.

    Prints each change of a job. The exit code is 0 if the request succeeded, 1 if it failed, 4 if it was cancelled, and
    5 if the server refused, or did not answer for ten minutes.
    """
    try:
        with ServerClient.from_env() as server:
            last: Mapping[str, Any] = {}
            for item in follow(server, identifier):
                if as_json:
                    click.echo(json.dumps(item))
                elif not quiet:
                    _show_changes(last, item)
                last = item
    except Error as error:
        show_error(error)
        raise click.exceptions.Exit(LOST) from None
    if not as_json:
        _show_end(last)
    ended = last["outcome"]
    code = 0 if ended == "succeeded" else CANCELLED if ended == outcomes.CANCELLED else FAILED
    raise click.exceptions.Exit(code)


def follow(server: ServerClient, identifier: str) -> Iterator[dict[str, Any]]:
    """The request as it is, and again after each change, until it ends. Raises `Error`."""
    tag, lost_at = "", None
    while True:
        headers = {"If-None-Match": tag, "Prefer": f"wait={_WAIT_SECONDS}"} if tag else {}
        try:
            answer = server.get(f"job-requests/{identifier}/", headers=headers, wait=_WAIT_SECONDS)
        except Error as error:
            lost_at = lost_at if lost_at is not None else time.monotonic()
            if error.code not in _LOSSES or time.monotonic() - lost_at > _PATIENCE_SECONDS or not tag:
                raise
            if time.monotonic() == lost_at or error.seconds is None:
                warn(f"{error}; trying again")
            time.sleep(min(error.seconds or _RETRY_SECONDS, 60.0))
            continue
        lost_at = None
        if answer.status_code == 304:
            if "Preference-Applied" not in answer.headers:  # this person has too many calls that wait
                time.sleep(_RETRY_SECONDS)
            continue
        tag = answer.headers.get("ETag", "")
        item: dict[str, Any] = answer.json()
        yield item
        if item["outcome"] in outcomes.ENDED:
            return


def _show_changes(before: Mapping[str, Any], item: Mapping[str, Any]) -> None:
    if not before:
        where = f"{item['workspace']['name']} on {item['backend']}"
        say(f"{item['identifier']}: {', '.join(item['requested_actions'])} on {where}, by {item['created_by']}")
    why, known_why = item.get("waiting"), before.get("waiting")
    if why is not None and (known_why is None or known_why["text"] != why["text"]):
        say(f"{_now()}  {why['text']}")
    known = {job["identifier"]: (job["outcome"], job["status_code"]) for job in before.get("jobs", ())}
    for job in item["jobs"]:
        if known.get(job["identifier"]) != (job["outcome"], job["status_code"]):
            say(f"{_now()}  {job['outcome']:<9}  {job['action']}  {job['status_message']}")


def _show_end(item: Mapping[str, Any]) -> None:
    done = sum(job["outcome"] == "succeeded" for job in item["jobs"])
    ended = outcomes.in_words(item["outcome"], item.get("cancelled_by", ()))
    say(f"{ended}: {done} of {len(item['jobs'])} jobs succeeded")


def _now() -> str:
    return f"{datetime.now(UTC):%H:%M:%S}"
