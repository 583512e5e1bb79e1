"""The commands of people who run jobs: request, rerun, cancel and status; and check, for people who edit documents."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from jobserver.cli.admin import acting, actor_of, connected, via
from jobserver.cli.calls import changes, client, reads
from jobserver.cli.terminal.output import say
from jobserver.config.settings import RepositorySettings
from jobserver.domain.base import layout
from jobserver.domain.base.values import timestamp
from jobserver.domain.job_requests import lifecycle, outcomes
from jobserver.domain.job_requests.jobs import FailJob
from jobserver.errors import Error, invalid, printable
from jobserver.index.items import job_state
from jobserver.index.queries.jobs import row_of_job
from jobserver.service.writes.job_requests import RequestWithJobs, Rerun
from jobserver.store.git.command import commit_of
from jobserver.store.read.validate import check_files, check_revision
from jobserver.store.read.worktree import branch_of, check_staged, check_worktree, top_of

if TYPE_CHECKING:
    from jobserver.service.readings import Readings


@click.command()
@click.argument("workspace")
@click.argument("actions", nargs=-1, required=True, metavar="ACTION...")
@click.option("--backend", required=True, metavar="SLUG", help="The backend to run on.")
@click.option("--force-run-dependencies", is_flag=True, help="Also run dependencies that have succeeded already.")
@click.option(
    "--notify/--no-notify",
    default=None,
    help="Send an email when the job request ends. [default: the workspace's choice]",
)
@click.option("--database", metavar="NAME", help="The database to run on. [default: the workspace's]")
@click.option(
    "--at", "ref", metavar="REF", help="A branch, tag or commit. [default: the newest of the workspace's branch]"
)
@click.option("--note", metavar="TEXT", help="What to say about it, on one line. Pages and lists show it.")
@click.option("--preview", is_flag=True, help="List what would run, and request nothing. Needs JOBSERVER_URL.")
@acting
def request(
    workspace: str,
    actions: tuple[str, ...],
    backend: str,
    force_run_dependencies: bool,
    notify: bool | None,
    database: str | None,
    note: str | None,
    ref: str | None,
    preview: bool,
    username: str | None,
) -> None:
    """Request jobs. Prints the job request's ID, and warnings about the study on stderr."""
    if preview:
        _show_preview(reads.preview(workspace, actions, backend, force_run_dependencies, ref))
        return
    if client.is_set():
        fields = {
            "requested_actions": list(actions),
            "backend": backend,
            "force_run_dependencies": force_run_dependencies,
            "will_notify": notify,
            "database_name": database,
            "note": note,
            "ref": ref,
        }
        _show_created(changes.run(username, f"workspaces/{quote(workspace, safe='')}/job-requests/", fields))
        return
    with connected() as app:
        written = app.requests.request_jobs(
            actor_of(app, username),
            workspace,
            actions,
            backend,
            via(),
            force_run_dependencies=force_run_dependencies,
            will_notify=notify,
            database_name=database,
            note=note,
            ref=ref,
        )
        warnings = app.requests.read_written(written).warnings
    _show_created({"identifier": written.changes.result["identifier"], "warnings": warnings})


def _show_preview(item: Mapping[str, Any]) -> None:
    for warning in item["warnings"]:
        click.echo(f"warning: {printable(warning)}", err=True)
    for kind in ("chosen", "needed", "kept"):
        for action in item[kind]:
            say(action, {"kept": "succeeded before, will not run"}.get(kind, kind))


def _show_created(item: Mapping[str, Any]) -> None:
    for warning in item.get("warnings", ()):
        click.echo(f"warning: {printable(warning)}", err=True)
    click.echo(item["identifier"])


@click.command()
@click.argument("identifier", metavar="ID")
@click.argument("actions", nargs=-1, metavar="[ACTION...]")
@click.option("--failed", is_flag=True, help="Run the actions whose jobs failed.")
@click.option("--same-commit", is_flag=True, help="Run at the request's own commit, not at the newest of the branch.")
@acting
def rerun(identifier: str, actions: tuple[str, ...], failed: bool, same_commit: bool, username: str | None) -> None:
    """Request the actions of job request ID again. Without ACTION, all that it requested. Prints the new ID."""
    if client.is_set():
        fields = {"actions": list(actions), "only_failed": failed, "commit": "same" if same_commit else "newest"}
        _show_created(changes.run(username, f"job-requests/{quote(identifier, safe='')}/rerun/", fields))
        return
    with connected() as app:
        chosen = Rerun(actions, only_failed=failed, same_commit=same_commit)
        written = app.requests.rerun(actor_of(app, username), identifier, chosen, via())
    click.echo(written.changes.result["identifier"])


@click.command()
@click.argument("identifier", metavar="ID")
@click.argument("actions", nargs=-1, metavar="[ACTION...]")
@acting
def cancel(identifier: str, actions: tuple[str, ...], username: str | None) -> None:
    """Cancel actions of a job request. Without ACTION, cancels all unfinished ones."""
    if client.is_set():
        changes.run(username, f"job-requests/{quote(identifier, safe='')}/cancel/", {"actions": list(actions)})
        click.echo("cancelled", err=True)
        return
    with connected() as app:
        written = app.requests.cancel(actor_of(app, username), identifier, actions, via())
    click.echo("cancelled" if written.changed else "nothing to cancel", err=True)


@click.command("mark-failed")
@click.argument("identifier", metavar="ID")
@click.argument("job")
@acting
def mark_failed(identifier: str, job: str, username: str | None) -> None:
    """Mark a JOB of request ID as failed because its runner has lost it. For SuperUsers."""
    if client.is_set():
        changes.run(username, f"job-requests/{quote(identifier, safe='')}/jobs/{quote(job, safe='')}/fail/", {})
        return
    from jobserver.cli.forecasts import readings_of

    with connected() as app:
        backend = app.requests.find(identifier).stored.request.backend
        with readings_of(app) as readings:
            command = FailJob(job, identifier, backend, readings.heard(backend, identifier, job))
        app.gate.submit(actor_of(app, username), command, via())


def _row(seen: RequestWithJobs, readings: Readings) -> dict[str, Any]:
    request = seen.stored.request
    jobs = readings.newest(request.backend, [row_of_job(request.identifier, job) for job in seen.jobs])
    return {
        "identifier": request.identifier,
        "backend": request.backend,
        "workspace": request.workspace.name,
        "created_by": request.created_by,
        "created_at": timestamp(request.created_at),
        "status": outcomes.reported_status(seen.outcome),
        "outcome": seen.outcome,
        "requested_actions": list(request.requested_actions),
        "cancelled_actions": list(request.cancelled_actions),
        "cancelled_by": list(seen.cancelled_by),
        "jobs": [job_state(job) for job in jobs],
    }


def _rows(identifier: str | None) -> list[dict[str, Any]]:
    from jobserver.cli.forecasts import added, forecasts_of, readings_of

    with connected() as app:
        requests = [app.requests.find(identifier)] if identifier else app.requests.active()
        with readings_of(app) as readings:
            rows = [_row(app.requests.with_cancellers(seen), readings) for seen in requests]
        with forecasts_of(app) as forecast_of:
            return [added(row, forecast_of(row["identifier"], row["backend"])) for row in rows]


@click.command()
@click.argument("identifier", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an object for ID, or else an array.")
def status(identifier: str | None, as_json: bool) -> None:
    """List active job requests, or show one.

    The list begins with the newest. With ID, also shows the jobs.
    """
    rows = reads.job_requests(identifier) if client.is_set() else _rows(identifier)
    if as_json:
        click.echo(json.dumps(rows[0] if identifier else rows))
        return
    for row in rows:
        done = sum(job["status"] in lifecycle.FINISHED for job in row["jobs"])
        ended = outcomes.in_words(row["outcome"], row["cancelled_by"])
        say(
            f"{row['identifier']}  {ended:<9}  {done}/{len(row['jobs'])} jobs  "
            f"{row['workspace']} on {row['backend']}, by {row['created_by']} at {row['created_at']}"
        )
        if row["waiting"] is not None:
            say(f"  {row['waiting']['text']}")
        for name, key in (("start", "expected_start"), ("end", "expected_end")) if identifier else ():
            if (moment := row[key]) is not None:
                say(f"  expected {name}: {moment['at']}, {moment['earliest']} at the earliest, {moment['basis']}")
        for job in row["jobs"] if identifier else ():
            say(f"  {job['outcome']:<9}  {job['action']}  {job['status_code']}  {job['status_message']}")


@click.command()
@click.option("--branch", help="The branch of the documents. [default: the branch that is checked out, or main]")
@click.option("--staged", is_flag=True, help="Check only the changes of the next commit. The default in a git hook.")
@click.argument("targets", nargs=-1, metavar="[REV | FILE...]")
def check(branch: str | None, staged: bool, targets: tuple[str, ...]) -> None:
    """Check documents before you push them.

    Finds the faults that a push would be refused for, and prints their files, lines and keys. In a working copy, checks
    all its files and the commits that are not pushed yet; elsewhere, the branch of STATE_REPO. With FILE, checks these
    files. With REV, checks this revision of the working copy, or else of STATE_REPO.
    """
    files = [Path(target) for target in targets if Path(target).is_file()]
    top = top_of(Path.cwd())
    if staged and top is None:
        raise invalid("is not in a working copy, so nothing is staged", str(Path.cwd()))
    if top is not None and (staged or (not targets and "GIT_INDEX_FILE" in os.environ)):
        count, faults = check_staged(top, branch or branch_of(top))
    elif files and len(files) == len(targets):
        count, faults = check_files(branch or _branch_of_files(top), top or Path.cwd(), files)
    elif not targets and top is not None:
        count, faults = check_worktree(top, branch or branch_of(top))
    elif len(targets) > 1:
        raise click.UsageError("expected one revision, or existing files")
    else:
        revision = targets[0] if targets else branch or layout.MAIN
        here = top if top is not None and commit_of(top, revision) else None
        repository = here or RepositorySettings.from_env().state_repo
        if here is None and not commit_of(repository, revision):
            raise invalid(
                f"this revision does not exist in {repository}: expected a branch, a tag or a commit", revision
            )
        count, faults = check_revision(repository, branch or _branch(revision, here), revision)
    for fault in faults:
        click.echo(str(fault), err=True)
    if faults:
        raise click.exceptions.Exit(1)
    click.echo(f"{count} files, no fault", err=True)


def _branch_of_files(top: Path | None) -> str:
    """The branch that is checked out. Main outside a working copy, where files can be checked too."""
    with suppress(Error):
        return branch_of(top) if top is not None else layout.MAIN
    return layout.MAIN


def _branch(revision: str, top: Path | None) -> str:
    """The branch whose rules apply to ``revision``: the branch of that name, or the one that is checked out."""
    name = revision.removeprefix("refs/heads/").removeprefix("origin/")
    if name == layout.MAIN or layout.branch_backend(name):
        return name
    return layout.MAIN if top is None else branch_of(top)
