"""The page of one job, with its audit tab; marking a job as failed that its runner has lost."""

import sqlite3

from bottle import HTTPResponse

from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.permissions import Permission
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import FailJob
from jobserver.errors import conflict, not_found
from jobserver.index.queries.history import usual_duration
from jobserver.index.queries.identifiers import resolve_identifier
from jobserver.index.queries.jobs import JobRow, last_success_before, requests_with_job
from jobserver.index.queries.requests import JobRequestRow, find_request
from jobserver.service.forecasts import RequestForecast, forecast_of, needs_of
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import highlight, labels, page_version, tabs, times
from jobserver.web.pages.history.actions import usual_words
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.routes.job_requests import JobRequests
from jobserver.web.pages.site import Site
from jobserver.web.pages.views.request_details import RequestDetails, can_cancel, open_actions

_LOST_AFTER = 30 * 60 * 1_000_000  # microseconds without a report


class Jobs:
    def __init__(self, site: Site, requests: JobRequests) -> None:
        self._site, self._services, self._requests = site, site.services, requests
        # The short form is for people. It works while only one job has this id.
        for path in ("/job-requests/<request>/jobs/<identifier>/", "/jobs/<identifier>/"):
            site.add(path, self.show, self.mark_failed)
            site.add(f"{path}audit/", self.audit)

    def show(self, context: PageContext, identifier: str, request: str = "") -> HTTPResponse:
        if not request and (other := self._other_page(identifier)):
            return redirect(other)
        job, row, jobs = self._find(identifier, request)
        details = self._requests.find(row.identifier)
        document, action = details.document, details.pipeline.actions.get(job.action)
        is_open = job.status not in lifecycle.FINISHED
        now = times.micros(context.now)
        last_report = job.updated_at if job.updated_at is not None else now
        backend = context.directory.backends.get(row.backend)
        by_action = {sibling.action: sibling for sibling in jobs}
        needs = action.needs if action else ()
        with self._services.index.view() as sql:
            earlier = {
                need: last_success_before(sql, row.backend, row.workspace, need, row.created_at)
                for need in needs
                if need not in by_action
            }
            usual = usual_duration(sql, row.backend, row.workspace, job.action, job.created_at)
            forecast = self._forecast(context, sql, details) if is_open else RequestForecast({})
        return self._site.page(
            context,
            "jobs/job.html",
            title=f"{job.action} · {row.workspace}",
            job=job,
            row=row,
            outcome=job.outcome,
            cancellers=details.cancellers,
            needs=[(need, by_action.get(need), earlier.get(need)) for need in needs],
            run=highlight.yaml(action.run, document.workspace.repo, document.sha) if action else "",
            metrics=_metrics(job),
            parent_directory=backend.parent_directory if backend else "",
            usual=usual_words(usual) if usual else "",
            is_slow=usual is not None
            and job.started_at is not None
            and usual.is_exceeded((job.completed_at or now) - job.started_at),
            is_open=is_open,
            expected_start=forecast.job_starts.get(job.identifier),
            waiting=forecast.jobs.get(job.identifier),
            links={sibling.action: tabs.job_url(sibling) for sibling in jobs},
            is_stale=is_open and now - last_report > _LOST_AFTER,
            can_cancel=can_cancel(context, document) and job.action in open_actions(row, jobs),
            can_rerun=not is_open and action is not None and context.may(Permission.RUN_JOB, document.project),
            is_cancelling=is_open and job.action in row.cancelled,
            version=page_version.of_request(row, jobs),
        )

    def _forecast(self, context: PageContext, sql: sqlite3.Connection, details: RequestDetails) -> RequestForecast:
        row, backend = details.row, self._site.backend_status(context, details.row.backend)
        needs = needs_of(sql, row, details.jobs, details.document, details.pipeline.actions)
        if backend is None:
            return RequestForecast(needs)
        return forecast_of(sql, row, details.jobs, needs, backend, context.now)

    def _other_page(self, identifier: str) -> str:
        """Where the short form of an address leads if it does not name one job; empty if it does, or names nothing."""
        with self._services.index.view() as sql:
            slugs = self._services.visible.slugs()
            owners = requests_with_job(sql, identifier, slugs)
            match = resolve_identifier(sql, identifier, slugs) if not owners else None
        if len(owners) > 1:
            return f"/jobs/?q={identifier}"
        return f"/{match[0].value}s/{match[1]}/" if match is not None else ""

    def _find(self, identifier: str, request: str) -> tuple[JobRow, JobRequestRow, list[JobRow]]:
        """The job, its request, and all jobs of that. Without ``request``, only one request may have such a job.

        Raises `Error` (not_found, conflict).
        """
        slugs = self._services.visible.slugs()
        with self._services.index.view() as sql:
            owners = [request] if request else requests_with_job(sql, identifier, slugs)
            if len(owners) > 1:
                raise conflict(f"several jobs have the id {identifier!r}: open the job from its job request")
            row_and_jobs = find_request(sql, owners[0], slugs) if owners else None
        if row_and_jobs is not None:
            row, recorded = row_and_jobs
            jobs = self._services.readings.newest(row.backend, recorded)
            if job := next((job for job in jobs if job.identifier == identifier), None):
                return job, row, jobs
        raise not_found(f"job {identifier!r} does not exist")

    def mark_failed(self, context: PageContext, identifier: str, request: str = "") -> HTTPResponse:
        job, row, _ = self._find(identifier, request)
        heard = self._services.readings.heard(row.backend, job.request, identifier)
        self._services.gate.submit(context.actor, FailJob(identifier, job.request, row.backend, heard), "web")
        return redirect(tabs.job_url(job))

    def audit(self, context: PageContext, identifier: str, request: str = "") -> HTTPResponse:
        job, row, _ = self._find(identifier, request)
        details = self._requests.find(row.identifier)
        created_at = details.document.created_at
        paths = [Place(area, created_at.date(), row.identifier).job(identifier) for area in Area]
        audit = self._requests.audit_page(row, created_at, paths)
        title, actions = f"Audit · {job.action}", {job.identifier: job.action}
        return self._site.page(
            context,
            "jobs/audit.html",
            title=title,
            job=job,
            row=row,
            audit=audit,
            actions=actions,
            cancellers=details.cancellers,
        )


def _metrics(job: JobRow) -> list[tuple[str, str]]:
    """(label, value with its unit); empty where the runner sent none, or none that could be stored."""
    metrics = job.more.get("metrics")
    return [labels.metric(name, value) for name, value in metrics.items()] if isinstance(metrics, dict) else []
