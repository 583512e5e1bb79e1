"""The page of a job request, with its audit tab; cancelling a request and running it again."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from bottle import HTTPResponse

from jobserver.domain.base import identifiers
from jobserver.domain.base.layout import Area, Place, backend_branch
from jobserver.domain.job_requests.jobs import RetryRequest
from jobserver.domain.job_requests.pipelines import StoredPipeline, pipeline_of
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.errors import Error, not_found
from jobserver.index.queries.requests import JobRequestRow, find_request
from jobserver.service.writes.job_requests import RequestWithJobs, Rerun
from jobserver.store.read.cancellations import cancellers_by_action
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import highlight, page_version, tabs, times
from jobserver.web.pages.format.graph import counts, picture
from jobserver.web.pages.forms import graph_view, idempotency_key, own_query, text, texts
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import audit_tab, history
from jobserver.web.pages.views.following import follow_state
from jobserver.web.pages.views.historical_rows import as_rows
from jobserver.web.pages.views.request_details import (
    RequestDetails,
    jobs_over_time,
    outlook,
    permitted,
)
from jobserver.web.pages.views.request_jobs import job_filter
from jobserver.web.pages.views.request_summary import summary_of


class JobRequests:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/job-requests/<identifier>/", self.show, has_history=True)
        site.add("/job-requests/<identifier>/cancel/", post=self.cancel)
        site.add("/job-requests/<identifier>/rerun/", post=self.rerun)
        site.add("/job-requests/<identifier>/retry/", post=self.retry)
        site.add("/job-requests/<identifier>/audit/", self.audit)

    def show(self, context: PageContext, identifier: str) -> HTTPResponse:
        details = self.find(identifier, text("at", 64), context.now)
        row, jobs, document = details.row, details.jobs, details.document
        order = {action: number for number, action in enumerate(details.pipeline.actions)}
        jobs.sort(key=lambda job: order.get(job.action, len(order)))
        now = details.moment(times.micros(context.now))
        with self._services.index.view() as sql:
            forecast = outlook(sql, details, self._site.backend_status(context, row.backend), context.now)
            summary = summary_of(sql, details)
        needs = forecast["forecast"].needs
        outcomes = {job.action: job.outcome for job in jobs}
        backend = context.directory.backends.get(row.backend)
        return self._site.page(
            context,
            "requests/request.html",
            title=f"{row.title or ', '.join(row.actions[:3])} · {row.workspace}",
            row=row,
            outcome=row.outcome,
            follow=follow_state(self._services, context, f"request/{identifier}"),
            jobs=jobs,
            links={job.action: tabs.job_url(job) for job in jobs},
            revision=details.revision,
            as_of=details.as_of,
            until=now,
            document=document,
            cancellers=details.cancellers,
            picture=picture(needs, outcomes, graph_view()),
            graph_address=own_query(at=[details.revision]),
            counts=counts(needs, outcomes),
            warnings=details.pipeline.warnings,
            start_failure=details.start_failure,
            summary=summary,
            yaml=highlight.yaml(highlight.recorded(details.pipeline.actions), document.workspace.repo, document.sha),
            parent_directory=backend.parent_directory if backend else "",
            version=page_version.of_request(row, jobs),
            **forecast,
            **jobs_over_time(details, job_filter(text("job", 100), text("outcome", 20)), now),
            **permitted(context, details),
        )

    def find(self, identifier: str, revision: str = "", now: datetime | None = None) -> RequestDetails:
        """As it is, or as it was at a commit or time. Raises `Error` (not_found, invalid)."""
        slugs = self._services.visible.slugs()
        with self._services.index.view() as sql:
            row_and_jobs = find_request(sql, identifier, slugs) if identifiers.is_request_id(identifier) else None
        if row_and_jobs is None:
            raise not_found(f"job request {identifier!r} does not exist")
        row, jobs = row_and_jobs
        branch = backend_branch(row.backend)
        repo = self._services.repo
        commit = history.commit_at(repo, branch, revision, now or self._services.clock()) if revision else None

        def read(state):  # type: ignore[no-untyped-def]
            stored = state.find(identifier)
            if stored is None:
                return None
            pipeline = StoredPipeline(actions={})
            with suppress(Error):  # a page without the pipeline is better than no page
                pipeline = pipeline_of(state, stored)
            return RequestWithJobs(stored, tuple(state.jobs(stored.place).values()) if revision else ()), pipeline

        documents = repo.writer.read(branch, read, commit)
        if documents is None:
            raise not_found(f"job request {identifier} did not exist at {revision}")
        historical, pipeline = documents
        if commit is not None:
            row, jobs = as_rows(row, historical)
        else:
            jobs = self._services.readings.newest(row.backend, jobs)
        as_of = audit_tab.entry_of(repo, branch, commit) if commit is not None else None
        document = historical.stored.request
        return RequestDetails(row, jobs, document, pipeline, revision, as_of, self._cancellers(row, document, commit))

    def _cancellers(self, row: JobRequestRow, document: JobRequest, commit: str | None) -> Mapping[str, str]:
        """Action -> who cancelled it, where several people did: only the commits say it."""
        repo, branch = self._services.repo, backend_branch(row.backend)
        tip = commit or repo.writer.refs.tip(branch)
        if len(row.cancelled_by) < 2 or tip is None:
            return {}
        with suppress(Error):  # a page that names all of them is better than no page
            ended, known = times.moment(row.completed_at), (repo.path, tip, row.identifier, document.created_at)
            # The end is by the clock of a runner, which can be wrong.
            return cancellers_by_action(*known, ended) or cancellers_by_action(*known)
        return {}

    def cancel(self, context: PageContext, identifier: str) -> HTTPResponse:
        self.find(identifier)
        self._services.requests.cancel(context.actor, identifier, tuple(texts("actions")), "web")
        return redirect(f"/job-requests/{identifier}/")

    def rerun(self, context: PageContext, identifier: str) -> HTTPResponse:
        """Requests its actions again, or those that failed, or some by name: at its own commit or the newest."""
        self.find(identifier)
        rerun = Rerun(tuple(texts("actions")), text("what") == "failed", text("commit") == "same")
        written = self._services.requests.rerun(
            context.actor, identifier, rerun, "web", key=idempotency_key(context.actor)
        )
        return redirect(f"/job-requests/{written.changes.result['identifier']}/")

    def retry(self, context: PageContext, identifier: str) -> HTTPResponse:
        """Asks the backend's controller for the request again."""
        backend = self.find(identifier).row.backend
        self._services.gate.submit(context.actor, RetryRequest(identifier, backend), "web")
        return redirect(f"/job-requests/{identifier}/")

    def audit(self, context: PageContext, identifier: str) -> HTTPResponse:
        details = self.find(identifier)
        row, created_at = details.row, details.document.created_at
        folders = [Place(area, created_at.date(), identifier).folder for area in Area]
        title, actions = f"Audit · {identifier}", {job.identifier: job.action for job in details.jobs}
        audit = self.audit_page(row, created_at, folders)
        return self._site.page(context, "requests/audit.html", title=title, row=row, audit=audit, actions=actions)

    def audit_page(self, row: JobRequestRow, created_at: datetime, paths: Sequence[str]) -> audit_tab.AuditPage:
        """The changes of files of this job request."""
        end = times.moment(row.updated_at) if row.completed_at else None
        branch = backend_branch(row.backend)
        return audit_tab.audit_page(self._services.repo, {branch: paths}, text("before", 100), created_at, end)
