"""The page of a job request, and what can be done with one: cancel it, run it again, see who did what when."""

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from bottle import HTTPResponse

from jobserver.domain.base import identifiers
from jobserver.domain.base.layout import Area, Place, backend_branch
from jobserver.domain.base.permissions import Permission
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.pipelines import PipelineAction, StoredPipeline, pipeline_of
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.pipeline.graph import select
from jobserver.errors import Error, invalid, not_found
from jobserver.index.queries import forecast
from jobserver.index.queries.jobs import JobRow, latest_jobs
from jobserver.index.queries.requests import JobRequestRow, find_request, previous_request, previous_success
from jobserver.service.writes.job_requests import RequestWithJobs
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import highlight, labels, page_version
from jobserver.web.pages.format.graph import counts, picture, place_of
from jobserver.web.pages.forms import idempotency_key, text, texts
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import audit_tab, estimate
from jobserver.web.pages.views.historical_rows import as_rows

_ERROR = "__error__"  # the action under which a runner reports a request that it could not begin
_WAITS = 20
_MOST_JOBS = 100  # that are shown one by one


@dataclass(frozen=True, slots=True)
class Found:
    """What was asked for."""

    document: JobRequest
    pipeline: StoredPipeline


class JobRequests:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/job-requests/<identifier>/", self.show)
        site.add("/job-requests/<identifier>/cancel/", post=self.cancel)
        site.add("/job-requests/<identifier>/rerun/", post=self.rerun)
        site.add("/job-requests/<identifier>/audit/", self.audit)

    def show(self, context: PageContext, identifier: str) -> HTTPResponse:
        at = text("at", 64)
        row, jobs, found = self.find(identifier, at)
        document, pipeline = found.document, found.pipeline.actions
        order = {action: number for number, action in enumerate(pipeline)}
        jobs.sort(key=lambda job: order.get(job.action, len(order)))
        now = labels.micros(context.now)
        problem = next((job for job in jobs if job.action == _ERROR), None)
        with self._services.index.view() as sql:
            actions = [job.action for job in jobs if job.action in pipeline]
            if not jobs:
                done = [action for action, job in latest_jobs(sql, row.workspace, [row.backend]).items()
                        if job.status == "succeeded"]  # fmt: skip
                preview = select(document.requested_actions, pipeline, done, document.force_run_dependencies)
                actions = sorted(preview.runs, key=lambda action: order[action])
            shown = set(actions)
            needs = {action: [one for one in pipeline[action].needs if one in shown] for action in actions}
            is_over = at or row.completed_at is not None
            expected = estimate.Estimate() if is_over else self._expected(sql, row, jobs, needs, now)
            ahead = forecast.ahead(sql, row) if not at and row.started_at is None and not is_over else 0
            before = previous_request(sql, row, [row.backend])
            succeeded = previous_success(sql, row, [row.backend])
        backend = context.directory.backends.get(row.backend)
        seen = self._services.live.contacts().get(row.backend)
        listed, others = _listed(jobs)
        bars = estimate.timeline(listed, *estimate.stretch(jobs, row.created_at, now), now) if not problem else []
        still_open = open_actions(row, jobs)
        cancelled = set(row.cancelled)
        return self._site.page(
            context,
            "request.html",
            title=f"{', '.join(row.actions[:3])} on {row.workspace}",
            row=row,
            jobs=jobs,
            links={job.action: labels.job_url(job) for job in jobs},
            at=at,
            document=document,
            picture=picture(needs, {job.action: job.status for job in jobs}),
            counts=counts(needs, {job.action: job.status for job in jobs}),
            bars=bars,
            others=others,
            warnings=found.pipeline.warnings,
            whole=estimate.stretch(jobs, row.created_at, now)[1],
            ended=row.completed_at or now,
            runtime=sum(job.completed_at - job.started_at for job in jobs
                        if job.completed_at is not None and job.started_at is not None),
            expected=expected,
            ahead=ahead,
            is_waiting=not is_over and row.started_at is None,
            is_refused=not is_over and seen is not None and labels.is_refused(identifier, dict(seen.flags)),
            before=before,
            succeeded=succeeded if succeeded and before and succeeded.identifier != before.identifier else None,
            problem=problem,
            open_actions=set(still_open),
            can_cancel=not at and may_cancel(context, document) and bool(still_open),
            can_rerun=not at and context.may(Permission.RUN_JOB, document.project),
            cancelling={job.action for job in jobs if job.status not in lifecycle.FINISHED and job.action in cancelled},
            scripts=self._scripts(document, {one.job.action: pipeline.get(one.job.action) for one in bars}),
            yaml=highlight.yaml(highlight.recorded(pipeline), document.workspace.repo, document.sha),
            parent=backend.parent_directory if backend else "",
            finished=lifecycle.FINISHED,
            version=page_version.of_request(row, jobs),
        )  # fmt: skip

    @staticmethod
    def _expected(
        sql: sqlite3.Connection, row: JobRequestRow, jobs: list[JobRow], needs: dict[str, list[str]], now: int
    ) -> estimate.Estimate:
        waits = forecast.waits(sql, row.backend, _WAITS) if row.started_at is None else []
        starts = estimate.begin(row.created_at, now, waits, row.backend)
        past = forecast.durations(sql, row.backend, row.workspace, needs)
        made = {job.action: job for job in jobs}
        return estimate.Estimate(
            starts, estimate.end({action: made.get(action) for action in needs}, needs, past, starts, now), len(waits)
        )

    @staticmethod
    def _scripts(
        document: JobRequest, actions: Mapping[str, PipelineAction | None]
    ) -> dict[str, list[tuple[str, str]]]:
        """action -> (path, where it can be read at the commit) of each script that it runs, where that is known."""
        found = {}
        for name, action in actions.items():
            paths = highlight.scripts(action.run) if action else []
            links = [(path, highlight.blob(document.workspace.repo, document.sha, path)) for path in paths]
            found[name] = [(path, url) for path, url in links if url]
        return found

    def find(self, identifier: str, at: str = "") -> tuple[JobRequestRow, list[JobRow], Found]:
        """As it is, or was at a commit or time. Raises `Error` (not_found, invalid)."""
        slugs = self._services.visible.slugs()
        with self._services.index.view() as sql:
            found = find_request(sql, identifier, slugs) if identifiers.is_request_id(identifier) else None
        if found is None:
            raise not_found(f"there is no job request {identifier!r}")
        row, jobs = found
        branch = backend_branch(row.backend)
        writer = self._services.repo.writer
        commit = audit_tab.commit_at(self._services.repo, branch, at) if at else None

        def read(state):  # type: ignore[no-untyped-def]
            stored = state.find(identifier)
            if stored is None:
                return None
            pipeline = StoredPipeline(actions={})
            with suppress(Error):  # a page without it is better than none
                pipeline = pipeline_of(state, stored)
            return RequestWithJobs(stored, tuple(state.jobs(stored.place).values()) if at else ()), pipeline

        found = writer.read(branch, read, commit=commit)
        if found is None:
            raise not_found(f"there was no job request {identifier} at {at}")
        seen, pipeline = found
        if at:
            row, jobs = as_rows(row, seen)
        return row, jobs, Found(seen.stored.request, pipeline)

    def cancel(self, context: PageContext, identifier: str) -> HTTPResponse:
        self.find(identifier)
        self._services.requests.cancel(context.actor, identifier, tuple(texts("actions")), "web")
        return redirect(f"/job-requests/{identifier}/")

    def rerun(self, context: PageContext, identifier: str) -> HTTPResponse:
        """Again at the branch's newest commit: all that was asked for, or what failed."""
        row, jobs, found = self.find(identifier)
        document = found.document
        failed = tuple(
            dict.fromkeys(job.action for job in jobs if job.status == "failed" and job.action in found.pipeline.actions)
        )
        actions = failed if text("what") == "failed" else document.requested_actions
        if not actions:
            raise invalid("nothing has failed", "what")
        written = self._services.requests.request_jobs(
            context.actor,
            row.workspace,
            actions,
            row.backend,
            "web",
            force_run_dependencies=document.force_run_dependencies and text("what") != "failed",
            will_notify=document.will_notify,
            database_name=document.database_name,
            key=idempotency_key(context.actor),
        )
        return redirect(f"/job-requests/{written.changes.result['identifier']}/")

    def audit(self, context: PageContext, identifier: str) -> HTTPResponse:
        row, _, asked = self.find(identifier)
        document = asked.document
        day = document.created_at.date()
        folders = [Place(area, day, identifier).folder for area in Area]
        ends = labels.moment(row.updated_at) if row.completed_at else None
        found = audit_tab.entries(self._services.repo, backend_branch(row.backend), folders, document.created_at, ends)
        return self._site.page(context, "audit_request.html", title=f"Audit of {identifier}", row=row, entries=found)


def _listed(jobs: list[JobRow]) -> tuple[list[JobRow], list[tuple[str, list[JobRow]]]]:
    """(those to be shown one by one, the others by status): of many, those that matter most come first."""
    if len(jobs) <= _MOST_JOBS:
        return jobs, []
    ordered = sorted(jobs, key=lambda job: place_of(job.status))
    groups = groupby(ordered[_MOST_JOBS:], key=lambda job: job.status)
    return ordered[:_MOST_JOBS], [(status, list(some)) for status, some in groups]


def may_cancel(context: PageContext, document: JobRequest) -> bool:
    own = context.user is not None and document.created_by == context.user.username
    return own or context.may(Permission.CANCEL_JOB, document.project)


def open_actions(row: JobRequestRow, jobs: list[JobRow]) -> list[str]:
    """What can still be cancelled; before the runner has made jobs, all that was asked for."""
    cancelled = set(row.cancelled)
    if not jobs:
        return [action for action in row.actions if action not in cancelled]
    return [job.action for job in jobs if job.status not in lifecycle.FINISHED and job.action not in cancelled]


def is_cancelling(row: JobRequestRow, job: JobRow) -> bool:
    return job.status not in lifecycle.FINISHED and job.action in row.cancelled
